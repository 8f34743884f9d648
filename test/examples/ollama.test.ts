/** `examples/ollama`: chat and embeddings come from the one Ollama, and whatever a request says, nothing else is called. */

import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isRecord, type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { callTool, say } from '../support/upstream-steps.ts';
import { EXAMPLES, run, TEST_MS } from './programs.ts';

const CONFIG = join(EXAMPLES, 'ollama/understudy.yaml');
const COMMAND = [process.execPath, join(EXAMPLES, 'ollama/ask.ts')];

/** What stands for the model of the file: it searches, and answers with what it is shown. */
const MODEL = 'script:qwen3';

let root: string;
let ollama: ScriptedUpstream;
/** All of the rest of the world: another server on this machine, and the proxy by which the internet is reached. */
let world: ScriptedUpstream;
let server: TestServer;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'understudy-ollama-'));
  [ollama, world] = await Promise.all([
    startScriptedUpstream({ models: [MODEL, 'nomic-embed-text:latest'] }),
    startScriptedUpstream(),
  ]);
  ollama.script(
    'qwen3',
    [callTool('file_search', { queries: ['HX-218'] })],
    [say('The cooling water is too hot ', '【4:0†ferry-handbook.pdf】', '.')],
  );
  server = await startServer({ flags: ['--config', await writeConfig()], env: toEnv() });
}, TEST_MS);

afterAll(async () => {
  await server?.stop();
  await ollama?.close();
  await world?.close();
  await rm(root, { recursive: true, force: true });
});

/** The file as it stands, but for Ollama's port and the model. */
async function writeConfig(change = (text: string) => text): Promise<string> {
  const text = await Bun.file(CONFIG).text();
  expect(text.match(/127\.0\.0\.1:11434/g)).toHaveLength(2);
  const path = join(root, `${crypto.randomUUID()}.yaml`);
  const named = text.replaceAll('127.0.0.1:11434', new URL(ollama.url).host).replaceAll('qwen3:4b', MODEL);
  await writeFile(path, change(named));
  return path;
}

/** A key that was forgotten in the environment would make OpenAI, and Groq, models that anybody may ask. */
function toEnv(): Record<string, string> {
  const proxy = new URL(world.url).origin;
  return {
    HTTP_PROXY: proxy,
    HTTPS_PROXY: proxy,
    NO_PROXY: '127.0.0.1,localhost',
    OPENAI_API_KEY: 'sk-forgotten',
    GROQ_API_KEY: 'gsk-forgotten',
  };
}

/** What could lead elsewhere: by headers, by names, by keys in the environment. Answers the statuses. */
async function tryToLeave(target: TestServer, triesMax = 20): Promise<number[]> {
  const body = (model: string) => ({ model, messages: [{ role: 'user', content: 'A secret' }] });
  const elsewhere = { 'api-key': 'k', 'base-url': 'https://api.groq.com/openai/v1' };
  const file = new FormData();
  file.set('model', 'whisper-1');
  file.set('file', new File(['RIFF'], 'a.wav'));
  const tries: [string, string, unknown, Record<string, string>][] = [
    ['POST', '/v1/chat/completions', body(`ollama/${MODEL}`), elsewhere],
    ['POST', '/v1/chat/completions', body(`ollama/${MODEL}`), { 'base-url': world.url }],
    ['POST', '/v1/chat/completions', body(`ollama/${MODEL}`), { 'custom-llm-provider': 'groq' }],
    ['POST', '/v1/chat/completions', body('groq/llama-3.3-70b-versatile'), { 'api-key': 'k' }],
    ['POST', '/v1/chat/completions', body('claude-sonnet-4-5'), { 'api-key': 'k' }],
    // Ollama would hand it to its own cloud.
    ['POST', '/v1/chat/completions', body('ollama/gpt-oss:120b-cloud'), {}],
    ['POST', '/v1/embeddings', { model: 'text-embedding-3-small', input: 'A secret' }, {}],
    [
      'POST',
      '/v1/embeddings',
      { model: 'ollama/nomic-embed-text', input: 'A secret' },
      { 'embedding-param-base-url': world.url, 'base-url': world.url },
    ],
    ['GET', '/v1/models/groq/llama-3.3-70b-versatile', undefined, { 'llm-param-groq-api-key': 'k' }],
    ['POST', '/v1/images/generations', { model: 'dall-e-3', prompt: 'A secret' }, {}],
    ['POST', '/v1/audio/transcriptions', file, {}],
  ];
  const statuses: number[] = [];
  for (const [method, path, sent, headers] of tries.slice(0, triesMax)) {
    statuses.push((await target.call(method, path, sent, headers)).status);
  }
  return statuses;
}

test(
  'documents are embedded, searched and answered by Ollama alone',
  async () => {
    const output = await run(COMMAND, { url: server.url });
    expect(output).toContain('Search is hybrid.');
    expect(output).toContain('The cooling water is too hot');
    expect(output).toContain('1 citations');
    const asked = ollama.requests.map(({ path, model: name }) => `${path} ${name}`);
    expect(new Set(asked)).toEqual(
      new Set(['/v1/embeddings nomic-embed-text', `/v1/chat/completions ${MODEL}`]),
    );
    const embedded = ollama
      .requestsFor('nomic-embed-text')
      .map(({ body }) => (isRecord(body) ? body.input : null));
    expect(JSON.stringify(embedded)).toContain('HX-218');
    expect(JSON.stringify(ollama.requests.map(({ headers }) => headers))).not.toContain('forgotten');
    expect(world.connections.total).toBe(0);
  },
  TEST_MS,
);

test('programs that name one of OpenAI’s models, or none, are answered by Ollama', async () => {
  const before = ollama.requestsFor(MODEL).length;
  for (const model of ['gpt-4o', 'gpt-3.5-turbo', 'default']) {
    const answer = await server.call('POST', '/v1/chat/completions', {
      model,
      messages: [{ role: 'user', content: 'Hello' }],
    });
    expect(answer.status).toBe(200);
  }
  expect(ollama.requestsFor(MODEL)).toHaveLength(before + 3);
  expect(world.connections.total).toBe(0);
});

test('no header, no name and no forgotten key makes the server call anybody else', async () => {
  const statuses = await tryToLeave(server);
  // The proxy and the other server saw not even a connection.
  expect(world.connections.total).toBe(0);
  expect(statuses.filter((status) => status < 400)).toEqual([]);
  expect(statuses.filter((status) => status >= 500)).toEqual([]);
  expect(await askElsewhere(server)).toMatchObject({ code: 'model_not_found' });
});

/** The error of a request that names an allowed model and another host. */
async function askElsewhere(target: TestServer): Promise<unknown> {
  const { json } = await target.call(
    'POST',
    '/v1/chat/completions',
    { model: `ollama/${MODEL}`, messages: [{ role: 'user', content: 'A secret' }] },
    { 'api-key': 'k', 'base-url': 'https://api.groq.com/openai/v1' },
  );
  return json.error;
}

/** The file without these settings. */
async function startWithout(...names: string[]): Promise<TestServer> {
  const lines = new RegExp(`^(${names.join('|')}): .*$`, 'gm');
  const config = await writeConfig((text) => text.replace(lines, ''));
  return await startServer({ flags: ['--config', config], env: toEnv() });
}

test(
  'the lock of the file holds by itself, whatever models are allowed',
  async () => {
    const locked = await startWithout('allowed-models');
    try {
      await tryToLeave(locked);
      expect(world.connections.total).toBe(0);
      expect(await askElsewhere(locked)).toMatchObject({
        code: 'host_not_allowed',
        message: expect.stringContaining('api.groq.com'),
      });
    } finally {
      await locked.stop();
    }
  },
  TEST_MS,
);

test(
  'without lock and list the same requests do leave: they are what holds them',
  async () => {
    const unlocked = await startWithout('only-upstream', 'allowed-models');
    try {
      await tryToLeave(unlocked, 2);
      // One by the proxy, one straight to the other server.
      expect(world.connections.total).toBeGreaterThan(1);
    } finally {
      await unlocked.stop();
    }
  },
  TEST_MS,
);
