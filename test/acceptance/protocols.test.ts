/**
 * One program, whoever answers: the quickstart runs unchanged against each protocol, spoken by a scripted upstream in its true
 * wire format (each file of `test/support/protocols` says where its shapes were recorded), and prints the same.
 */

import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { AWS_KEYS } from '../support/protocols/protocol-calls.ts';
import { type ProtocolServer, startProtocolServer } from '../support/protocols/protocol-server.ts';
import { count, sign } from '../support/protocols/protocol-steps.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { callTool, type Step, say, think, usage } from '../support/upstream-steps.ts';

const QUICKSTART = resolve(import.meta.dir, '../../examples/quickstart.ts');
const TEST_MS = 60_000;

/** By prefix: what its server is called, and who speaks its protocol. */
const PROVIDERS = [
  { prefix: 'openai', speaker: 'chat-completions' },
  { prefix: 'azure', speaker: 'chat-completions' },
  { prefix: 'groq', speaker: 'chat-completions' },
  { prefix: 'anthropic', speaker: 'own' },
  { prefix: 'gemini', speaker: 'own' },
  { prefix: 'vertex_ai', speaker: 'own' },
  { prefix: 'bedrock', speaker: 'own' },
  { prefix: 'cohere', speaker: 'own' },
  { prefix: 'mistral', speaker: 'own' },
] as const;

const KEYS = Object.fromEntries(PROVIDERS.map(({ prefix }) => [prefix, `key-of-${prefix}-0123456789`]));

let folder: string;
let own: ProtocolServer;
let openAi: ScriptedUpstream;
let server: TestServer;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'understudy-protocols-'));
  own = await startProtocolServer();
  openAi = await startScriptedUpstream();
  const origin = new URL(openAi.url).origin;
  const file = join(folder, 'understudy.json');
  const providers = Object.fromEntries(
    PROVIDERS.filter(({ prefix }) => prefix !== 'openai').map(({ prefix, speaker }) => [
      prefix,
      { 'base-url': speaker === 'own' ? own.origin : prefix === 'azure' ? origin : openAi.url },
    ]),
  );
  await writeFile(file, JSON.stringify({ providers }));
  server = await startServer({
    flags: ['--config', file],
    env: {
      OPENAI_BASE_URL: openAi.url,
      OPENAI_API_KEY: KEYS.openai ?? '',
      AZURE_API_KEY: KEYS.azure ?? '',
      AZURE_API_VERSION: '2024-10-21',
      GROQ_API_KEY: KEYS.groq ?? '',
      ANTHROPIC_API_KEY: KEYS.anthropic ?? '',
      GEMINI_API_KEY: KEYS.gemini ?? '',
      VERTEXAI_API_KEY: KEYS.vertex_ai ?? '',
      AWS_ACCESS_KEY_ID: AWS_KEYS.id,
      AWS_SECRET_ACCESS_KEY: AWS_KEYS.secret,
      COHERE_API_KEY: KEYS.cohere ?? '',
      MISTRAL_API_KEY: KEYS.mistral ?? '',
    },
  });
});

afterAll(async () => {
  await server?.stop();
  await own?.close();
  await openAi?.close();
  await rm(folder, { recursive: true, force: true });
});

/** What every one of them says, in turn: to a greeting, to a question about the weather, to what the function answered. */
function toTurns<S>(body: string, counts: S, thoughts: readonly (Step | S)[]): (Step | S)[][] {
  if (!body.includes('weather in Paris')) return [[...thoughts, say('Grüezi, I am your guide 🗼.'), counts]];
  return [
    [say('Let me look.'), callTool('get_weather', { city: 'Paris' }), counts],
    [say('It is clear in Paris, at 21 °C.'), counts],
  ];
}

async function runQuickstart(model: string): Promise<string> {
  const child = Bun.spawn([process.execPath, QUICKSTART], {
    env: { PATH: process.env.PATH ?? '', UNDERSTUDY_URL: server.url, OPENAI_MODEL: model },
    stdout: 'pipe',
    stderr: 'pipe',
    timeout: TEST_MS / 2,
  });
  const [output, errors] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  expect(errors).toBe('');
  return output.replaceAll(model, 'MODEL').replaceAll(/thread_\w+/g, 'THREAD');
}

const EXPECTED = `The model is MODEL.

assistant: Grüezi, I am your guide 🗼.

assistant: Let me look.

(the assistant calls get_weather {"city":"Paris"})

assistant: It is clear in Paris, at 21 °C.

(the run is completed, 320 tokens)

The conversation THREAD:
  user: Hello! Who are you?
  assistant: Grüezi, I am your guide 🗼.
  user: What is the weather in Paris?
  assistant: Let me look.
  assistant: It is clear in Paris, at 21 °C.

It is kept: restart the server, and run this again with THREAD.
`;

test.each(PROVIDERS)(
  'the quickstart prints the same with $prefix',
  async ({ prefix, speaker }) => {
    const name = `weather-${prefix}`;
    const scripted =
      speaker === 'own'
        ? own.scriptBy(name, (body) =>
            toTurns(body, count({ prompt: 120, completion: 40, cached: 100, thoughts: 15 }), [
              think('A greeting.'),
              sign('c2lnbmF0dXJl'),
            ]),
          )
        : openAi.scriptBy(name, (body) =>
            toTurns(body, usage({ prompt_tokens: 120, completion_tokens: 40, total_tokens: 160 }), [
              think('A greeting.'),
            ]),
          );
    // A server at OPENAI_BASE_URL may have models whose names begin with a prefix.
    const model = prefix === 'openai' ? scripted : `${prefix}/${scripted}`;
    expect(await runQuickstart(model)).toBe(EXPECTED);

    const requests = speaker === 'own' ? own.requestsFor(scripted) : openAi.requestsFor(scripted);
    expect(requests).toHaveLength(3);
    for (const { headers, path } of requests) {
      const sent = `${path} ${JSON.stringify(headers)}`;
      const secret = prefix === 'bedrock' ? AWS_KEYS.id : (KEYS[prefix] ?? '');
      expect(sent).toContain(secret);
      const foreign = [...Object.values(KEYS), AWS_KEYS.id, AWS_KEYS.secret].filter((key) => key !== secret);
      expect(foreign.filter((key) => sent.includes(key))).toEqual([]);
    }
  },
  TEST_MS,
);

test('each was spoken to in its own protocol', () => {
  const protocols = own.requests.map(({ protocol, path }) => `${protocol} ${path.split('?')[0]}`);
  expect([...new Set(protocols)].toSorted()).toEqual([
    'anthropic /v1/messages',
    'bedrock /model/weather-bedrock/converse-stream',
    'cohere /v2/chat',
    'gemini /v1/publishers/google/models/weather-vertex_ai:streamGenerateContent',
    'gemini /v1beta/models/weather-gemini:streamGenerateContent',
    'mistral /v1/chat/completions',
  ]);
  const azure = openAi.requests.find(({ model }) => model === 'script:weather-azure');
  expect(azure?.path).toMatch(/^\/openai\/deployments\/.+\/chat\/completions\?api-version=2024-10-21$/);
});
