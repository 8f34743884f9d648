/** An old program of astra-assistants-api, with the last client that was published for it, against this server. */

import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { findPythonFolder } from '../support/python-packages.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { callTool, say } from '../support/upstream-steps.ts';
import { findPython, type Python } from './python.ts';

const FOLDER = join(import.meta.dir, 'pioneer');
/** The client, the official one of its time, and what both need. */
const PACKAGES = [
  'astra-assistants==2.5.5',
  'openai==1.66.5',
  'httpx==0.27.2',
  'httpcore==1.0.9',
  'h11==0.16.0',
  'anyio==4.16.0',
  'idna==3.20',
  'certifi==2026.10.19.post1',
  'sniffio==1.3.1',
  'pydantic==2.14.4',
  'pydantic_core==2.50.5',
  'annotated-types==0.8.0',
  'typing_extensions==4.16.0',
  'typing-inspection==0.4.5',
  'jiter==0.19.0',
  'distro==1.9.0',
  'tqdm==4.70.1',
  'python-dotenv==1.2.1',
];
const KEYS = { GROQ_API_KEY: 'gsk-key-of-groq', TOGETHER_AI_API_KEY: 'key-of-together' };
const SCRIPTS = 'pioneer';
const PROGRAM_MS = 50_000;
const BEFORE_MS = 100_000;

const python = await findPython();
const packages: Python =
  python.path === null ? python : await findPythonFolder(python.path, 'astra-assistants', PACKAGES);
if (packages.path === null)
  console.warn(`The client of astra-assistants-api is not tried: ${packages.reason}.`);

let upstream: ScriptedUpstream;
let server: TestServer;
let folder: string;
let output = '';

beforeAll(async () => {
  if (python.path === null || packages.path === null) return;
  folder = await mkdtemp(join(tmpdir(), 'understudy-pioneer-'));
  upstream = await startScriptedUpstream();
  upstream.script(`${SCRIPTS}-plain`, [say('Hello there.')]);
  upstream.script(`${SCRIPTS}-search`, [callTool('file_search', { queries: ['ferry'] })], [say('At nine.')]);
  upstream.script(`${SCRIPTS}-tool`, [callTool('get_weather', { city: 'Paris' })], [say('It is sunny.')]);
  const origin = new URL(upstream.url).origin;
  const providers = Object.fromEntries(
    ['groq', 'together_ai'].map((id) => [id, { 'base-url': `${origin}/${id}/v1` }]),
  );
  const config = join(folder, 'understudy.json');
  await writeFile(config, JSON.stringify({ providers }));
  server = await startServer({
    flags: ['--config', config],
    env: { OPENAI_BASE_URL: `${origin}/openai/v1` },
  });
  const child = Bun.spawn([python.path, join(FOLDER, 'program.py')], {
    env: {
      PATH: process.env.PATH ?? '',
      PYTHONPATH: [packages.path, join(FOLDER, 'stand_ins')].join(delimiter),
      PYTHONDONTWRITEBYTECODE: '1',
      PYTHONWARNINGS: 'ignore',
      BASE_URL: `${server.url}/v1`,
      ASTRA_DB_APPLICATION_TOKEN: 'AstraCS:any',
      OPENAI_API_KEY: 'sk-key-of-openai',
      TEST_SCRIPTS: SCRIPTS,
      ...KEYS,
    },
    cwd: folder,
    stdout: 'pipe',
    stderr: 'pipe',
    timeout: PROGRAM_MS,
  });
  const [printed, errors] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  output = printed + errors;
}, BEFORE_MS);

afterAll(async () => {
  await server?.stop();
  await upstream?.close();
  if (folder !== undefined) await rm(folder, { recursive: true, force: true });
});

const GUARANTEES = {
  files: 'a file has the embedding model that it was uploaded for, or null',
  searches: 'a run finds a file that was just put into a store, and its step has chunks',
  edits: "a message's content is changed, and the message deleted",
  lists: 'threads are listed',
  handles: "the client's own event handler reads a run to its end",
  manages: "the client's AssistantManager talks, and calls a function",
};

for (const [name, guarantee] of Object.entries(GUARANTEES)) {
  test.skipIf(packages.path === null)(guarantee, () => {
    expect(output).toContain(`ok ${name}\n`);
  });
}

test.skipIf(packages.path === null)('each key reaches its own provider alone', () => {
  const sent = upstream.requests.map(({ path, headers }) => ({ path, key: headers.authorization }));
  expect(sent.length).toBeGreaterThan(0);
  for (const { path, key } of sent) {
    const own = path.startsWith('/groq/') ? KEYS.GROQ_API_KEY : KEYS.TOGETHER_AI_API_KEY;
    expect([path, key]).toEqual([path, `Bearer ${own}`]);
  }
  // The file and the question of the store that has a model.
  const embedded = sent.filter(({ path }) => path === '/together_ai/v1/embeddings');
  expect(embedded).toHaveLength(2);
});
