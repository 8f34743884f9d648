/**
 * Keys are used and forgotten: whatever a request or the operator brings is neither on the disk, nor in what the server prints, nor in
 * any answer, upstreams that repeat it in their errors included.
 */

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ProtocolServer, startProtocolServer } from '../support/protocols/protocol-server.ts';
import { breakWith, failAs } from '../support/protocols/protocol-steps.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { countPieces, readEverything } from '../support/stored.ts';
import { answer, chunk, fail, say } from '../support/upstream-steps.ts';

/** Words of their own, so that not even a part of one is anything else. */
const SECRETS = Object.freeze({
  operatorOpenAi: 'zq1operatoropenaikey',
  operatorAnthropic: 'zq2operatoranthropickey',
  operatorGroq: 'zq3operatorgroqkey',
  operatorGate: 'zq4operatorgateheader',
  operatorAwsId: 'ZQ5OPERATORAWSID',
  operatorAwsSecret: 'zq6operatorawssecret',
  operatorVertex: 'zq15operatorvertexkey',
  bearer: 'zq7requestbearerkey',
  apiKey: 'zq8requestapikey',
  named: 'zq9requestgroqkey',
  embedding: 'zq10requestembeddingkey',
  awsSecret: 'zq11requestawssecret',
  awsToken: 'zq12requestawstoken',
  vertex: 'zq13requestvertexprivatekey',
  sealing: 'zq14operatorsealingsecret0123456789',
});
const TEST_MS = 60_000;

/** What careless servers say: all that they were sent. */
function echo(headers: Readonly<Record<string, unknown>>): string {
  return `Wrong key in ${JSON.stringify(headers)}.`;
}

let folder: string;
let own: ProtocolServer;
let openAi: ScriptedUpstream;
let server: TestServer;
const answers: string[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'understudy-secrets-'));
  own = await startProtocolServer();
  openAi = await startScriptedUpstream();
  await writeFile(join(folder, 'groq.key'), SECRETS.operatorGroq);
  const file = join(folder, 'understudy.json');
  await writeFile(
    file,
    JSON.stringify({
      providers: {
        groq: {
          'base-url': openAi.url,
          'key-file': join(folder, 'groq.key'),
          headers: { 'x-gate': { variable: 'GATE' } },
        },
        anthropic: { 'base-url': own.origin },
        bedrock: { 'base-url': own.origin },
        vertex_ai: { 'base-url': own.origin },
      },
      fallbacks: { 'groq/script:echo': 'anthropic/echo' },
    }),
  );
  server = await startServer({
    dataDirectory: join(folder, 'data'),
    flags: ['--config', file, '--embedding-model', 'text-embedding-3-small'],
    env: {
      OPENAI_BASE_URL: openAi.url,
      OPENAI_API_KEY: SECRETS.operatorOpenAi,
      ANTHROPIC_API_KEY: SECRETS.operatorAnthropic,
      AWS_ACCESS_KEY_ID: SECRETS.operatorAwsId,
      AWS_SECRET_ACCESS_KEY: SECRETS.operatorAwsSecret,
      VERTEXAI_API_KEY: SECRETS.operatorVertex,
      GATE: SECRETS.operatorGate,
      UNDERSTUDY_SECRET: SECRETS.sealing,
    },
  });
  openAi.scriptBy('echo', (_, headers) => {
    const text = echo(headers);
    return [[fail(401, { message: text, code: text, param: text })]];
  });
  openAi.scriptBy('echo-html', (_, headers) => [
    [answer(502, `<html>${echo(headers)}</html>`, { 'content-type': 'text/html' })],
  ]);
  openAi.scriptBy('echo-amid', (_, headers) => [
    [say('So'), chunk({ error: { message: echo(headers), code: 'server_error' } })],
  ]);
  own.scriptBy('echo', (_, headers) => [[failAs(403, { message: echo(headers) })]]);
  own.scriptBy('echo-amid', (_, headers) => [[say('So'), breakWith(echo(headers))]]);
});

afterAll(async () => {
  await server?.stop();
  await own?.close();
  await openAi?.close();
  await rm(folder, { recursive: true, force: true });
});

const HEADERS = {
  authorization: `Bearer ${SECRETS.bearer}`,
  'LLM-PARAM-groq-api-key': SECRETS.named,
  'EMBEDDING-PARAM-api-key': SECRETS.embedding,
  'LLM-PARAM-aws-access-key-id': 'AKIAIOSFODNN7EXAMPLE',
  'LLM-PARAM-aws-secret-access-key': SECRETS.awsSecret,
  'LLM-PARAM-aws-session-token': SECRETS.awsToken,
  'LLM-PARAM-vertex-credentials': JSON.stringify({
    private_key: SECRETS.vertex,
    client_email: 'a@b.example',
  }),
};
const messages = [{ role: 'user', content: 'Hello' }];

async function call(...args: Parameters<TestServer['call']>) {
  const found = await server.call(...args);
  answers.push(found.text + JSON.stringify([...found.headers]));
  return found;
}

async function waitFor(condition: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + TEST_MS / 2;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error('It did not come about in time.');
    await Bun.sleep(10);
  }
}

const MODELS = [
  'script:echo',
  'script:echo-html',
  'script:echo-amid',
  'groq/script:echo',
  'groq/script:echo-amid',
  'anthropic/echo',
  'anthropic/echo-amid',
  'bedrock/echo',
  'vertex_ai/echo',
];

describe.each([
  ['the operator’s keys', {}],
  ['a key for whichever provider', { 'api-key': SECRETS.apiKey }],
  ['keys for many providers', HEADERS],
] as const)('with %s', (_, headers) => {
  test.each(MODELS)(
    '%s repeats what it was given in its error: a chat, a stream of one, a run',
    async (model) => {
      const given = { ...headers };
      const plain = await call('POST', '/v1/chat/completions', { model, messages }, given);
      // In an answer that is no stream there is nothing to fail amid.
      if (!model.endsWith('script:echo-amid')) expect(plain.status).toBeGreaterThanOrEqual(400);
      const stream = await call('POST', '/v1/chat/completions', { model, messages, stream: true }, given);
      expect(stream.text).toContain('"error"');
      const assistant = await call('POST', '/v1/assistants', { model }, given);
      const run = await call(
        'POST',
        '/v1/threads/runs',
        { assistant_id: assistant.json.id, thread: { messages }, stream: true },
        given,
      );
      expect(run.text).toContain('thread.run.failed');
    },
    TEST_MS,
  );

  test(
    'a document is embedded and searched',
    async () => {
      const form = new FormData();
      form.append('purpose', 'assistants');
      form.append('file', new File(['The lighthouse keeper counts ships.'], 'keeper.txt'));
      const given = { ...headers };
      const file = await call('POST', '/v1/files', form, given);
      const store = await call('POST', '/v1/vector_stores', { file_ids: [file.json.id] }, given);
      const path = `/v1/vector_stores/${store.json.id}`;
      await waitFor(async () => (await call('GET', path, undefined, given)).json.status === 'completed');
      const files = await call('GET', `${path}/files`, undefined, given);
      expect(files.json.data[0]).toMatchObject({ status: 'completed', last_error: null });
      const found = await call('POST', `${path}/search`, { query: 'lighthouse' }, given);
      expect(found.json.data).toHaveLength(1);
      const vectors = await call('POST', '/v1/embeddings', { model: 'script:echo', input: 'x' }, given);
      expect(vectors.status).toBe(401);
      await call('GET', '/v1/models', undefined, given);
    },
    TEST_MS,
  );
});

test('what was used did reach the upstreams, each the right one', () => {
  const sent = JSON.stringify(
    [openAi.requests, own.requests].map((list) => list.map(({ headers }) => headers)),
  );
  const used = [
    'operatorOpenAi',
    'operatorAnthropic',
    'operatorGroq',
    'operatorGate',
    'operatorAwsId',
  ] as const;
  for (const name of [...used, 'bearer', 'apiKey', 'named', 'embedding', 'awsToken'] as const) {
    expect([name, sent.includes(SECRETS[name])]).toEqual([name, true]);
  }
  // These only sign, or seal.
  for (const name of ['operatorAwsSecret', 'awsSecret', 'vertex', 'sealing'] as const) {
    expect([name, sent.includes(SECRETS[name])]).toEqual([name, false]);
  }
});

test('no answer, nothing that was printed, counted or stored holds any of them', async () => {
  const metrics = (await server.call('GET', '/metrics')).text;
  expect(metrics).toContain('understudy_provider_calls_total{provider="anthropic"');
  const places: [string, string][] = [
    ['answers', answers.join('\n')],
    ['output', server.output()],
    ['ready', (await server.call('GET', '/ready')).text],
    ['metrics', metrics],
  ];
  const dataDirectory = join(folder, 'data');
  const running = await readEverything(dataDirectory);
  // Records and bytes of files are both in what was read.
  expect(running).toContain('"object":"assistant"');
  expect(await countPieces(dataDirectory)).toBeGreaterThan(0);
  await server.stop();
  places.push(['running', running], ['stopped', await readEverything(dataDirectory)]);
  places.push(['last output', server.output()]);
  const found = places.flatMap(([place, text]) =>
    Object.entries(SECRETS)
      .filter(([, secret]) => text.includes(secret) || text.includes(btoa(secret)))
      .map(([name]) => `${name} in ${place}`),
  );
  expect(found).toEqual([]);
});
