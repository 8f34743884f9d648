/** The documentation as the real server serves it, and its first program as a reader would run it. */

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { MISSING_PATH, makeSite, toBytes } from '../../scripts/site/build.ts';
import { ROOT, readPages } from '../../scripts/site/pages.ts';
import { findPython } from '../acceptance/python.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { readBlocks } from './blocks.ts';

const PROGRAM_MS = 30_000;
const START_MS = 60_000;
/** Beyond it a page is no longer a small part of the executable. */
const PACKED_BYTES_MAX = 400_000;

const python = await findPython();
if (python.path === null) console.warn(`SKIPPED: the first program in Python: ${python.reason}.`);

let server: TestServer;

beforeAll(async () => {
  server = await startServer({ flags: ['--auth', 'keys'] });
}, START_MS);

afterAll(async () => {
  await server.stop();
});

describe('the site', () => {
  test('is served whole, to everybody, under a policy that lets nothing else in', async () => {
    for (const [path, file] of makeSite()) {
      if (path === MISSING_PATH) continue;
      const answer = await fetch(`${server.url}${path}`);
      expect({ path, status: answer.status }).toEqual({ path, status: 200 });
      expect(Buffer.from(await answer.arrayBuffer()).equals(toBytes(file)), path).toBe(true);
      expect(answer.headers.get('content-type')).toStartWith(file.type);
      const policy = answer.headers.get('content-security-policy') ?? '';
      expect(policy).toStartWith("default-src 'none'");
      expect(policy).not.toContain('unsafe');
      expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
    }
  });

  test('leaves the page about the API where it was', async () => {
    expect((await server.call('GET', '/docs/api')).text).toContain('/docs/api/bundle.js');
  });

  test('is the same with a slash at the end of a path, and has the length of a page without its body', async () => {
    expect((await server.call('GET', '/docs/')).text).toBe((await server.call('GET', '/docs')).text);
    const head = await server.call('HEAD', '/docs/start');
    expect([head.status, head.text]).toEqual([200, '']);
  });

  test('answers what is not there by 404: people a page, programs an error', async () => {
    for (const path of [
      '/docs/nothing',
      '/docs/404',
      '/docs/assets/nothing.js',
      '/docs/start/more',
      '/docs/..%2fstart',
    ]) {
      const people = await server.call('GET', path, undefined, { accept: 'text/html,*/*' });
      expect({ path, status: people.status }).toEqual({ path, status: 404 });
      expect(people.text).toContain('There is no such page');
      expect(people.headers.get('content-security-policy')).toStartWith("default-src 'none'");
      const program = await server.call('GET', path, undefined, { accept: 'application/json' });
      expect([program.status, program.json.error.code]).toEqual([404, 'unknown_url']);
    }
    const posted = await server.call('POST', '/docs/start', {});
    expect([posted.status, posted.headers.get('allow')]).toEqual([405, 'GET']);
  });

  test('is compressed for who takes it so, and not sent again to who has it', async () => {
    const get = (headers: Record<string, string>) =>
      fetch(`${server.url}/docs/reference`, { headers, decompress: false });
    const plain = await get({ 'accept-encoding': 'identity' });
    const packed = await get({ 'accept-encoding': 'br, gzip' });
    const refused = await get({ 'accept-encoding': 'gzip;q=0' });
    const bytes = new Uint8Array(await packed.arrayBuffer());
    expect([plain, packed, refused].map(({ headers }) => headers.get('content-encoding'))).toEqual([
      null,
      'gzip',
      null,
    ]);
    expect(new TextDecoder().decode(Bun.gunzipSync(bytes))).toBe(await plain.text());
    for (const [answer, encoding] of [
      [plain, 'identity'],
      [packed, 'gzip'],
    ] as const) {
      const etag = answer.headers.get('etag') ?? '';
      const known = { 'accept-encoding': encoding, 'if-none-match': `"other", W/${etag}` };
      const again = await get(known);
      expect([again.status, await again.text(), again.headers.get('etag')]).toEqual([304, '', etag]);
      expect((await get({ ...known, 'if-none-match': '"other"' })).status).toBe(200);
    }
    expect(plain.headers.get('etag')).not.toBe(packed.headers.get('etag'));
  });

  test('lets a picture that is opened by itself have its one style sheet, and nothing else', async () => {
    const { headers, text } = await server.call('GET', '/docs/pictures/architecture.svg');
    const style = /<style>([\s\S]*?)<\/style>/.exec(text)?.[1] ?? '';
    const hash = new Bun.CryptoHasher('sha256').update(style).digest('base64');
    const policy = headers.get('content-security-policy') ?? '';
    expect(policy).toContain(`style-src 'sha256-${hash}';`);
    expect(policy.replace(/style-src [^;]*;/, '')).not.toContain('sha256');
  });

  test('is small', () => {
    const sizes = [...makeSite().values()].map((file) => Bun.gzipSync(toBytes(file)).byteLength);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(PACKED_BYTES_MAX);
  });
});

describe('the first program', () => {
  /** Runs a program of the page against a server of its own, and answers what it printed. */
  const run = async (language: string, ending: string, program: string): Promise<string> => {
    const open = await startServer();
    const block = blocks.find((one) => one.language === language && one.text.includes('import'));
    const path = join(ROOT, 'dist', `docs-program-${process.pid}.${ending}`);
    try {
      await Bun.write(path, block?.text.replace('http://127.0.0.1:8700', open.url) ?? '');
      const child = Bun.spawn([program, path], { stdout: 'pipe', stderr: 'pipe', timeout: PROGRAM_MS });
      const [output, errors] = await Promise.all([
        new Response(child.stdout).text(),
        new Response(child.stderr).text(),
      ]);
      // The official client for Python warns that OpenAI gives the API up.
      const failed = language === 'python' ? '' : errors;
      expect({ code: await child.exited, failed }).toEqual({ code: 0, failed: '' });
      return output;
    } finally {
      rmSync(path, { force: true });
      await open.stop();
    }
  };

  const blocks = readPages()
    .filter(({ file }) => file === 'docs/start.md')
    .flatMap(readBlocks);

  test(
    'streams an answer in TypeScript, as it stands on the page',
    async () => {
      expect(await run('ts', 'ts', process.execPath)).toContain('Who are you?');
    },
    START_MS,
  );

  test.skipIf(python.path === null)(
    'streams an answer in Python, as it stands on the page',
    async () => {
      expect(await run('python', 'py', python.path ?? '')).toContain('Who are you?');
    },
    START_MS,
  );
});
