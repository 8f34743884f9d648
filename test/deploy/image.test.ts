/** The image of the `Dockerfile`: how large it is, what is in it, and that the program works there as a stranger who can write nothing. */

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import OpenAI from 'openai';
import { waitUntil } from '../support/server.ts';
import { findText, toWords } from './dockerfile.ts';
import { buildImage, findHindrance, type Image } from './image.ts';

const BINARY_BYTES_MAX = 130e6;
const IMAGE_BYTES_MAX = 150e6;
const BUILD_MS = 6 * 60_000;
const TEST_MS = 120_000;
const START_MS = 30_000;
const HANDBOOK = resolve(import.meta.dir, '../../examples/documents/ferry-handbook.pdf');

const hindrance = findHindrance();
if (hindrance !== null) console.error(`SKIPPED: the image cannot be made and run here: ${hindrance}.`);

describe.skipIf(hindrance !== null)('the image', () => {
  let image: Image;

  beforeAll(() => {
    image = buildImage();
  }, BUILD_MS);

  afterAll(() => image?.remove());

  const toFiles = (): string[] =>
    readdirSync(image.root, { recursive: true, encoding: 'utf8' }).filter((name) =>
      statSync(join(image.root, name)).isFile(),
    );

  test('is no larger than it may be, and neither is the executable', () => {
    const bytes = toFiles().reduce((sum, name) => sum + statSync(join(image.root, name)).size, 0);
    const { size } = statSync(join(image.root, 'usr/local/bin/understudy'));
    console.log(`image ${(bytes / 1e6).toFixed(1)} MB, executable ${(size / 1e6).toFixed(1)} MB`);
    expect(size).toBeLessThanOrEqual(BINARY_BYTES_MAX);
    expect(bytes).toBeLessThanOrEqual(IMAGE_BYTES_MAX);
  });

  test('holds one program, the libraries that it loads, and no shell', () => {
    const others = toFiles().filter((name) => !/^lib(64)?\/.*\.so(\.\d+)?$/.test(name));
    expect(others.toSorted()).toEqual([
      'etc/group',
      'etc/nsswitch.conf',
      'etc/passwd',
      'etc/ssl/certs/ca-certificates.crt',
      'usr/local/bin/understudy',
    ]);
    expect(readFileSync(join(image.root, 'etc/ssl/certs/ca-certificates.crt'), 'utf8')).toContain(
      'BEGIN CERT',
    );
  });

  test('lets nobody in without a key unless the operator says so', () => {
    expect(image.environment.UNDERSTUDY_AUTH).toBe('keys');
    expect(image.userId).toMatch(/^[1-9]\d+$/);
  });

  test(
    'serves as a stranger on a root that cannot be written: keys, a run, a PDF, search, the page of the API',
    async () => {
      const made = await run(['keys', 'create', '--project', 'ferry']);
      expect(made.stdout).toMatch(/^sk-\S+\n$/);
      expect(made.code).toBe(0);
      const server = await serve();
      try {
        expect(readStatus(server.pid, 'Uid')).toBe(image.userId);
        expect(readFileSync(`/proc/${server.pid}/mounts`, 'utf8')).toMatch(/^\S+ \/ \S+ ro,/m);
        const client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: made.stdout.trim(), maxRetries: 0 });
        await answerRun(client);
        await searchHandbook(client);
        for (const path of [
          '/docs',
          '/docs/search.json',
          '/docs/api',
          '/docs/api/bundle.js',
          '/openapi.json',
        ]) {
          expect(await fetch(`${server.url}${path}`)).toHaveProperty('status', 200);
        }
        const probe = toWords(findText(image.final, 'HEALTHCHECK')).slice(1);
        const { port } = new URL(server.url);
        expect(await run(probe, { UNDERSTUDY_PORT: port })).toMatchObject({ code: 0 });
        const refused = await fetch(`${server.url}/v1/assistants`, {
          headers: { authorization: 'Bearer sk-x' },
        });
        expect(refused.status).toBe(401);
      } finally {
        expect(await server.stop()).toBe(0);
      }
      const probe = toWords(findText(image.final, 'HEALTHCHECK')).slice(1);
      expect(await run(probe, { UNDERSTUDY_PORT: '1' })).toMatchObject({ code: 1 });
    },
    TEST_MS,
  );

  test(
    'checks its own configuration there, and tells where it may not write',
    async () => {
      expect(await run(['check'], { UNDERSTUDY_PORT: '0' })).toMatchObject({ code: 0 });
      const elsewhere = await run(['check'], { UNDERSTUDY_PORT: '0', UNDERSTUDY_DATA: '/data' });
      expect(elsewhere.stdout).toMatch(/may not be written \(E(ROFS|ACCES)\)/);
      expect(elsewhere.code).toBe(1);
      const started = await run(['serve'], { UNDERSTUDY_PORT: '0', UNDERSTUDY_DATA: '/data' });
      expect(started.stderr).toMatch(/^understudy: .*'\/data'.*\n$/);
      expect(started.code).toBe(2);
    },
    TEST_MS,
  );

  // ——— How programs run there ———

  async function run(words: readonly string[], environment: Readonly<Record<string, string>> = {}) {
    const [program = ''] = toWords(findText(image.final, 'ENTRYPOINT'));
    const isWhole = words[0] === program;
    const child = Bun.spawn(image.toCommand(isWhole ? words : [program, ...words], environment), {
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'pipe',
      timeout: START_MS,
    });
    const [stdout, stderr] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ]);
    await child.exited;
    return { code: child.exitCode, stdout, stderr };
  }

  async function serve() {
    const words = [...toWords(findText(image.final, 'ENTRYPOINT')), ...toWords(findText(image.final, 'CMD'))];
    const sinceMs = performance.now();
    const child = Bun.spawn(image.toCommand(words, { UNDERSTUDY_PORT: '0' }), {
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'inherit',
    });
    let output = '';
    void (async () => {
      for await (const piece of child.stdout) output += new TextDecoder().decode(piece);
    })();
    const findUrl = () => /"event":"listening","url":"([^"]+)"/.exec(output)?.[1];
    await waitUntil('the server listens', () => findUrl() !== undefined || child.exitCode !== null, START_MS);
    const url = (findUrl() ?? '').replace('0.0.0.0', '127.0.0.1').replace(/\/$/, '');
    expect(await fetch(`${url}/health`)).toHaveProperty('status', 200);
    console.log(
      `from the start to the first 200 in the image: ${(performance.now() - sinceMs).toFixed(0)} ms`,
    );
    return {
      url,
      pid: child.pid,
      async stop() {
        child.kill('SIGTERM');
        return await child.exited;
      },
    };
  }
});

function readStatus(pid: number, name: string): string | undefined {
  return new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
}

async function answerRun(client: OpenAI): Promise<void> {
  const assistant = await client.beta.assistants.create({ model: 'understudy/rehearsal' });
  const thread = await client.beta.threads.create({ messages: [{ role: 'user', content: 'Hello' }] });
  const run = await client.beta.threads.runs.createAndPoll(thread.id, { assistant_id: assistant.id });
  expect(run.status).toBe('completed');
}

/** The document is read by a process of its own, with all that the executable holds for it. */
async function searchHandbook(client: OpenAI): Promise<void> {
  const file = await client.files.create({ file: Bun.file(HANDBOOK), purpose: 'assistants' });
  const store = await client.vectorStores.create({ name: 'handbook' });
  const added = await client.vectorStores.files.createAndPoll(store.id, { file_id: file.id });
  expect(added).toMatchObject({ status: 'completed', last_error: null });
  const { data } = await client.vectorStores.search(store.id, { query: 'ferry' });
  expect(data[0]?.filename).toBe('ferry-handbook.pdf');
  expect(data[0]?.content[0]?.text.toLowerCase()).toContain('ferr');
}
