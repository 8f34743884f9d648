/** `examples/ingest-folder.ts`: stopped anywhere it goes on, uploads nothing twice, and says what could not be read. */

import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type OpenAI from 'openai';
import { startServer, type TestServer, waitUntil } from '../support/server.ts';
import { type GateRequest, startGate } from './gate.ts';
import { EXAMPLES, run, runToEnd, startProgram, TEST_MS } from './programs.ts';

const COMMAND = [process.execPath, join(EXAMPLES, 'ingest-folder.ts')];
/** More than one batch of the example. */
const FILES = 70;

let root: string;
let server: TestServer;
let client: OpenAI;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'understudy-ingest-'));
  server = await startServer();
  client = server.client();
}, TEST_MS);

afterAll(async () => {
  await server?.stop();
  await rm(root, { recursive: true, force: true });
});

/** Counts uploads, and may keep the answers of all but the first ones to itself. */
function startUploadGate() {
  const gate = startGate(() => server.url);
  const isUpload = ({ method, path, status }: GateRequest) =>
    method === 'POST' && path === '/v1/files' && status === 200;
  const count = () => gate.requests.filter(isUpload).length;
  return {
    url: gate.url,
    uploads: count,
    answerOnly: (answersMax: number) => gate.keep((request) => isUpload(request) && count() > answersMax),
    [Symbol.asyncDispose]: () => gate[Symbol.asyncDispose](),
  };
}

async function makeFolder(
  name: string,
  files: Readonly<Record<string, string | Uint8Array>>,
): Promise<string> {
  const folder = join(root, name);
  for (const [path, content] of Object.entries(files)) {
    await mkdir(join(folder, path, '..'), { recursive: true });
    await writeFile(join(folder, path), content);
  }
  return folder;
}

function toStoreId(output: string): string {
  return /vs_\w+/.exec(output)?.[0] ?? '';
}

async function listEntries(storeId: string) {
  return await Array.fromAsync(client.vectorStores.files.list(storeId, { limit: 100 }));
}

test(
  'killed in the middle, with uploads that it never heard of, it goes on and uploads nothing twice',
  async () => {
    const files: Record<string, string> = {
      'a/same.txt': 'The same words.',
      'b/same.txt': 'The same words.',
    };
    for (let i = 0; i < FILES; i += 1)
      files[`part-${i % 3}/file-${i}.txt`] = `The number of this file is ${i}.`;
    const folder = await makeFolder('interrupted', { ...files, '.git/config': 'not a document' });
    const total = Object.keys(files).length;
    await using gate = startUploadGate();
    gate.answerOnly(20);
    await using first = startProgram([...COMMAND, folder], { url: gate.url });
    await waitUntil('the answers of eight uploads are missing', () => gate.uploads() === 28);
    first.signal('SIGKILL');
    await first.end();
    const storeId = toStoreId(first.output());
    // Nothing has been added yet: all that was uploaded is loose.
    expect(await listEntries(storeId)).toHaveLength(0);

    gate.answerOnly(60);
    await using second = startProgram([...COMMAND, folder], { url: gate.url });
    await waitUntil('the answers of further uploads are missing', () => gate.uploads() === 68);
    await waitUntil('a batch was added', async () => (await listEntries(storeId)).length >= 50);
    second.signal('SIGKILL');
    await second.end();

    gate.answerOnly(Number.POSITIVE_INFINITY);
    const output = await run([...COMMAND, folder], { url: gate.url });
    expect(output).toContain(storeId);
    expect(output).toContain(`${total} of ${total} files, 0 failed`);
    expect(gate.uploads()).toBe(total);
    const entries = await listEntries(storeId);
    expect(entries.map(({ attributes }) => attributes?.path).sort()).toEqual(Object.keys(files).sort());
    expect(new Set(entries.map(({ status }) => status))).toEqual(new Set(['completed']));

    const again = await run([...COMMAND, folder], { url: gate.url });
    expect(again).toContain(`${total} files, 0 of them new or changed.`);
    expect(gate.uploads()).toBe(total);
  },
  TEST_MS,
);

test(
  'takes what is new or changed alone, and what a changed file said before is no longer found',
  async () => {
    const folder = await makeFolder('changed', {
      'hours.md': 'The office opens at nine.',
      'team.md': 'Ada leads it.',
    });
    await using gate = startUploadGate();
    const storeId = toStoreId(await run([...COMMAND, folder], { url: gate.url }));
    await makeFolder('changed', {
      'hours.md': 'The office opens at seven.',
      'new/prices.md': 'Tea is free.',
    });
    const output = await run([...COMMAND, folder, storeId], { url: gate.url });
    expect(output).toContain('3 files, 2 of them new or changed.');
    expect(gate.uploads()).toBe(4);
    const found = await client.vectorStores.search(storeId, { query: 'When does the office open?' });
    expect(found.data.map(({ content }) => content[0]?.text)).toEqual(['The office opens at seven.']);
    const filters = { type: 'eq', key: 'path', value: 'new/prices.md' } as const;
    const free = await client.vectorStores.search(storeId, { query: 'free', filters });
    expect(free.data[0]?.filename).toBe('prices.md');
  },
  TEST_MS,
);

test(
  'lists with its reason each file that cannot be read, reads the others, and says so in its exit code',
  async () => {
    const folder = await makeFolder('broken', {
      'good.txt': 'All is well.',
      'empty.txt': '',
      'deep/noise.bin': new Uint8Array(4096).map((_, at) => (at * 7919) % 251),
    });
    await using gate = startUploadGate();
    for (const uploads of [2, 2]) {
      const { code, output } = await runToEnd([...COMMAND, folder], { url: gate.url });
      expect(code).toBe(1);
      expect(output).toContain('3 of 3 files, 2 failed');
      expect(output).toMatch(/^ {2}empty\.txt: .*empty/m);
      expect(output).toMatch(/^ {2}deep\/noise\.bin: \S+/m);
      expect(output).not.toContain('good.txt');
      // What cannot be read is not sent again and again.
      expect(gate.uploads()).toBe(uploads);
    }
  },
  TEST_MS,
);

test.skipIf(process.platform === 'win32')(
  'shows a bar on a terminal, and lines elsewhere',
  async () => {
    const folder = await makeFolder('shown', { 'a.txt': 'One.', 'b.txt': 'Two.' });
    await using shown = startProgram([...COMMAND, folder], { url: server.url, hasTerminal: true });
    expect(await shown.end()).toBe(0);
    expect(shown.output()).toContain(`\r${'█'.repeat(30)} 2 of 2 files, 0 failed`);
    const plain = await run([...COMMAND, folder], { url: server.url });
    expect(plain.split('\n').slice(1)).toEqual([
      '2 files, 0 of them new or changed.',
      '2 of 2 files, 0 failed',
      '',
    ]);
  },
  TEST_MS,
);

test(
  'called wrongly it says how to call it, and with a server that is away what to do',
  async () => {
    const wrong = await runToEnd(COMMAND, { url: server.url });
    expect(wrong).toEqual({
      code: 2,
      output: '',
      errors: 'Usage: ingest-folder.ts FOLDER [VECTOR_STORE_ID]\n',
    });
    const folder = await makeFolder('away', { 'a.txt': 'One.' });
    const gone = startUploadGate();
    await gone[Symbol.asyncDispose]();
    const away = await runToEnd([...COMMAND, folder, 'vs_1'], { url: gone.url });
    expect(away.code).toBe(1);
    expect(away.errors).toContain('Run it again');
  },
  TEST_MS,
);
