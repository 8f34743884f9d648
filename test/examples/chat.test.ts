/** The chat of `examples/chat.ts` and `chat.py`: what is said stays, whatever is killed; Ctrl-C stops the answer alone. */

import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isRecord, type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';
import { startServer, type TestServer, waitUntil } from '../support/server.ts';
import { fail, hang, say, waitFor } from '../support/upstream-steps.ts';
import { type GateRequest, startGate } from './gate.ts';
import { LANGUAGES, type Language, run, startProgram, TEST_MS, TYPESCRIPT } from './programs.ts';

let folder: string;
let upstream: ScriptedUpstream;
let server: TestServer;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'understudy-chat-'));
  upstream = await startScriptedUpstream();
  server = await start();
}, TEST_MS);

afterAll(async () => {
  await server?.stop();
  await upstream?.close();
  await rm(folder, { recursive: true, force: true });
});

function start(): Promise<TestServer> {
  return startServer({ dataDirectory: join(folder, 'data'), env: { OPENAI_BASE_URL: upstream.url } });
}

function toState(name: string): string {
  return join(folder, `${name}.json`);
}

function readThread(output: string): string {
  return /thread_\w+/.exec(output)?.[0] ?? '';
}

/** What the newest request to a model showed it, but for the instructions. */
function readShown(model: string): string[] {
  const body = upstream.requestsFor(model).at(-1)?.body;
  const messages = isRecord(body) && Array.isArray(body.messages) ? body.messages : [];
  return messages.filter(isRecord).flatMap(({ role, content }) => {
    if (role !== 'user' && role !== 'assistant') return [];
    return [`${role}: ${typeof content === 'string' ? content : JSON.stringify(content)}`];
  });
}

test(
  'the conversation goes on after the chat and the server were killed in the middle of an answer',
  async () => {
    const chats = LANGUAGES.filter(({ isThere }) => isThere).map((language) => {
      const opened = Promise.withResolvers<void>();
      const model = upstream.scriptBy(`killed-${language.name}`, (body) =>
        body.includes('What is my name?')
          ? [[say('Your name is Ada.')]]
          : [[say('Nice to '), waitFor(opened.promise), say('meet you.')]],
      );
      return { command: [...language.toCommand('chat'), toState(`killed-${language.name}`)], model, opened };
    });
    const talk = async ({ command, model }: (typeof chats)[number]): Promise<void> => {
      await using chat = startProgram(command, { url: server.url, env: { OPENAI_MODEL: model } });
      await chat.waitFor('A new conversation: thread_');
      chat.type('My name is Ada.\n');
      await chat.waitFor('Nice to');
      chat.signal('SIGKILL');
      await chat.end();
    };
    await Promise.all(chats.map(talk));
    await server.kill();
    server = await start();
    await using gate = startGate(() => server.url);
    const goOn = async ({ command, model, opened }: (typeof chats)[number]): Promise<void> => {
      await using chat = startProgram(command, { url: gate.url, env: { OPENAI_MODEL: model } });
      await chat.waitFor('We go on with thread_');
      chat.type('What is my name?\n');
      // It waits for the answer that was begun before.
      const isRun = ({ path }: GateRequest) =>
        path.includes(readThread(chat.output())) && /\/run_\w+$/.test(path);
      await waitUntil('it looks for the run', () => gate.requests.some(isRun));
      opened.resolve();
      await chat.waitFor('Your name is Ada.');
      chat.type('/history\n');
      chat.closeInput();
      expect(await chat.end()).toBe(0);
      // What the killed server had begun to say was said to its end by the next one, and the model was shown all of it.
      const [first, answer = '', last, ...rest] = readShown(model);
      expect([first, last, rest]).toEqual(['user: My name is Ada.', 'user: What is my name?', []]);
      expect(answer).toMatch(/^assistant: .*Nice to meet you\.$/);
      const kept = chat
        .output()
        .split('\n')
        .filter((line) => /^(user|assistant): /.test(line));
      expect(kept).toEqual([first, answer, last, 'assistant: Your name is Ada.'].map(String));
    };
    await Promise.all(chats.map(goOn));
  },
  TEST_MS,
);

async function expectInterrupted(language: Language, hasTerminal: boolean): Promise<void> {
  const name = `interrupted-${language.name}-${hasTerminal}`;
  const model = upstream.scriptBy(name, (body) =>
    body.includes('And now?') ? [[say('Now it is short.')]] : [[say('Once upon a time '), hang()]],
  );
  const command = [...language.toCommand('chat'), toState(name)];
  await using chat = startProgram(command, { url: server.url, env: { OPENAI_MODEL: model }, hasTerminal });
  const interrupt = () => (hasTerminal ? chat.type('\x03') : chat.signal('SIGINT'));
  await chat.waitFor(hasTerminal ? '> ' : 'thread_');
  chat.type('Tell me a long story.\n');
  await chat.waitFor('Once upon a time');
  interrupt();
  await chat.waitFor('(cancelled)');
  // The model is no longer paid for.
  expect(await upstream.requestsFor(model)[0]?.ended).toBe('aborted');
  chat.type('And now?\n');
  await chat.waitFor('Now it is short.');
  // The answer is over only when the next line is read.
  if (!hasTerminal) chat.type('/help\n');
  await chat.waitFor(hasTerminal ? '> ' : '/new begins');
  interrupt();
  expect(await chat.end()).toBe(0);
  expect(chat.errors()).toBe('');
}

for (const language of LANGUAGES) {
  test.skipIf(process.platform === 'win32' || !language.isThere)(
    `Ctrl-C stops the answer of chat.${language.name} on a terminal, and between answers the program`,
    () => expectInterrupted(language, true),
    TEST_MS,
  );

  test.skipIf(!language.isThere)(
    `chat.${language.name} begins another conversation where it is told to or its own is gone, and says why there is no answer`,
    async () => {
      const state = toState(`commands-${language.name}`);
      await Bun.write(state, JSON.stringify({ assistant_id: 'asst_none', thread_id: 'thread_none' }));
      const command = [...language.toCommand('chat'), state];
      const input = 'Hello there\n/new\n/history\nAgain\n/history\n/dance\n/quit\nNever said\n';
      const first = await run(command, { url: server.url, input });
      expect(first.match(/A new conversation: thread_/g)).toHaveLength(2);
      expect(first).toContain('It sees 1 message');
      expect(first).not.toContain('user: Hello there');
      expect(first).toContain('user: Again\nassistant: This is understudy');
      expect(first.match(/\/new begins/g)).toHaveLength(2);

      const refusal = fail(400, { message: 'The model is not in the mood.' });
      const env = { OPENAI_MODEL: upstream.script(`broken-${language.name}`, [refusal]) };
      const second = await run(command, { url: server.url, env, input: 'Why?\n/history\n' });
      const [id = ''] = first.match(/thread_\w+/g)?.slice(-1) ?? [];
      expect(second).toContain(`We go on with ${id}.`);
      expect(second).toMatch(/\(no answer: .*not in the mood/);
      expect(second).toContain('user: Why?');
      expect(second).not.toContain('Never said');
    },
    TEST_MS,
  );
}

test(
  'the signal of Ctrl-C does the same where the lines come from a pipe',
  () => expectInterrupted(TYPESCRIPT, false),
  TEST_MS,
);
