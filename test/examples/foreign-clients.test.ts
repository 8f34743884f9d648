/** Frameworks whose own client still speaks Assistants: their programs run as they are, with another base URL in the environment. */

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { join, resolve } from 'node:path';
import { OPENAI_VERSION } from '../acceptance/python.ts';
import { findPythonFolder, findPythonWithList } from '../support/python-packages.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { callTool, callTools, say } from '../support/upstream-steps.ts';
import { toScript } from './question-page.ts';

const EXAMPLES = resolve(import.meta.dir, '../../examples');
const LIST = (await Bun.file(join(import.meta.dir, 'foreign-clients.txt')).text())
  .split('\n')
  .filter((line) => line !== '' && !line.startsWith('#'));
/** Each takes seconds to import what it is made of. */
const PROGRAM_MS = 50_000;
const BEFORE_MS = 60_000;

/** LlamaIndex asks for the 1.x of OpenAI's client; LangChain has the newest before it in the path. */
const NEWEST = [`openai==${OPENAI_VERSION}`, 'httpx2==2.16.2', 'httpcore2==2.16.2', 'truststore==0.10.5'];

const python = await findPythonWithList('foreign-clients', LIST);
const newest = python.path === null ? python : await findPythonFolder(python.path, 'foreign-newest', NEWEST);
const reason = python.reason ?? newest.reason;
if (reason !== null) console.warn(`LangChain and LlamaIndex are not tried: ${reason}.`);

interface Ending {
  readonly code: number;
  readonly output: string;
  readonly errors: string;
}

const PRICES = "What is the tide level at 'Ferry Point', and the ticket price for 4 passengers?";
const answers = {
  [PRICES]: () => [
    [
      callTools([
        { name: 'tide_level', arguments: { place: 'Ferry Point' } },
        { name: 'ticket_price', arguments: { passengers: 4 } },
      ]),
    ],
    [callTool('tide_level', { place: 'Old Quay' }, { id: 'call_second_round' })],
    [say('0.84 metres and falling at Ferry Point, 1.10 at the Old Quay; four tickets are 14 euros.')],
  ],
  'Thank you!': () => [[say('You are welcome.')]],
  'What does fault code HX-218 mean?': (cite: (words: string) => string) => [
    [callTool('file_search', { queries: ['HX-218'] })],
    [say(`The cooling water is above 96 degrees${cite('HX-218 means')}.`)],
  ],
};

describe.skipIf(reason !== null)('with another base URL', () => {
  const endings = new Map<string, Ending>();
  let upstream: ScriptedUpstream;
  let server: TestServer;

  const run = async (name: string, env: Readonly<Record<string, string>> = {}): Promise<void> => {
    const child = Bun.spawn([python.path ?? '', join(EXAMPLES, name, 'assistant.py')], {
      env: {
        PATH: process.env.PATH ?? '',
        OPENAI_BASE_URL: `${server.url}/v1`,
        OPENAI_MODEL: upstream.scriptBy(name, toScript(answers)),
        ...env,
      },
      stdout: 'pipe',
      stderr: 'pipe',
      timeout: PROGRAM_MS,
    });
    const [output, errors, code] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    endings.set(name, { code, output, errors });
  };

  beforeAll(async () => {
    upstream = await startScriptedUpstream();
    server = await startServer({ env: { OPENAI_BASE_URL: upstream.url, OPENAI_API_KEY: 'sk-operator' } });
    await Promise.all([run('langchain', { PYTHONPATH: newest.path ?? '' }), run('llamaindex')]);
  }, BEFORE_MS);

  afterAll(async () => {
    await server?.stop();
    await upstream?.close();
  });

  const toOutput = (name: string): string => {
    const { code, output, errors } = endings.get(name) ?? { code: -1, output: '', errors: 'It did not run.' };
    // LlamaIndex says on stderr that this class of its own is deprecated, whatever the warnings are set to.
    expect({ name, code }, `${output}\n${errors}`).toEqual({ name, code: 0 });
    return output;
  };

  for (const [name, framework] of [
    ['langchain', 'LangChain'],
    ['llamaindex', 'LlamaIndex'],
  ] as const) {
    test(`${framework} calls functions: several at once, round by round, and goes on in the thread`, () => {
      expect(toOutput(name)).toStartWith(
        [
          "(tide_level {'place': 'Ferry Point'} -> 0.84 m, falling)",
          "(ticket_price {'passengers': 4} -> 14.0)",
          "(tide_level {'place': 'Old Quay'} -> 1.10 m, falling)",
          'assistant: 0.84 metres and falling at Ferry Point, 1.10 at the Old Quay; four tickets are 14 euros.',
          'assistant: You are welcome.\n',
        ].join('\n'),
      );
    });

    test(`${framework} has its functions described to the model, and their outputs given back under their calls`, () => {
      toOutput(name);
      const bodies = upstream.requestsFor(`script:${name}`).map(({ body }) => body as ModelRequest);
      const [first, , third, thanked] = bodies;
      expect(first?.tools?.map(({ function: { name: tool, parameters } }) => [tool, parameters])).toEqual([
        ['tide_level', expect.objectContaining({ required: ['place'] })],
        [
          'ticket_price',
          expect.objectContaining({
            properties: { passengers: expect.objectContaining({ type: 'integer' }) },
          }),
        ],
      ]);
      expect(first?.messages[0]?.content).toBe('You answer passengers of the ferry.');
      const outputs = third?.messages.filter(({ role }) => role === 'tool') ?? [];
      expect(outputs.map(({ tool_call_id: id, content }) => [id, content])).toEqual([
        ['call_tide_level_0', '0.84 m, falling'],
        ['call_ticket_price_1', '14.0'],
        ['call_second_round', '1.10 m, falling'],
      ]);
      expect(thanked?.messages.map(({ role }) => role)).toEqual(['system', 'user', 'assistant', 'user']);
    });

    test(`${framework} attaches a file to a question, and gets the answer with its citation`, () => {
      expect(toOutput(name)).toEndWith(
        'assistant: The cooling water is above 96 degrees【4:0†ferry-handbook.pdf】.\n  【4:0†ferry-handbook.pdf】 is ferry-handbook.pdf\n',
      );
    });
  }

  test('the versions that the programs name are the ones that are tried', async () => {
    for (const [name, list] of [
      ['langchain', [...LIST, ...NEWEST]],
      ['llamaindex', LIST],
    ] as const) {
      const text = await Bun.file(join(EXAMPLES, name, 'assistant.py')).text();
      const [, ...pins] = /pip install (\S+==\S+) (\S+==\S+)/.exec(text) ?? [];
      expect(pins).toHaveLength(2);
      expect(list).toEqual(expect.arrayContaining(pins));
    }
  });
});

interface ModelRequest {
  readonly messages: readonly {
    readonly role: string;
    readonly content: string;
    readonly tool_call_id?: string;
  }[];
  readonly tools?: readonly { readonly function: { readonly name: string; readonly parameters: object } }[];
}
