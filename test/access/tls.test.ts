/** A server that speaks HTTPS. */

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import OpenAI from 'openai';
import { AUTHORITY, CERTIFICATE, CERTIFICATE_KEY } from '../support/certificate.ts';
import { startServer, type TestServer } from '../support/server.ts';

const ROOT = resolve(import.meta.dir, '../..');
/** The name in the certificate. */
const NAME = 'model.example';

let folder: string;
let server: TestServer | null = null;
const files: Record<'cert' | 'key' | 'ca' | 'other' | 'text', string> = {
  cert: '',
  key: '',
  ca: '',
  other: '',
  text: '',
};

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'understudy-tls-'));
  const { privateKey } = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, [
    'sign',
    'verify',
  ]);
  const exported = Buffer.from(await crypto.subtle.exportKey('pkcs8', privateKey)).toString('base64');
  const texts = {
    cert: CERTIFICATE,
    key: CERTIFICATE_KEY,
    ca: AUTHORITY,
    other: `-----BEGIN PRIVATE KEY-----\n${exported}\n-----END PRIVATE KEY-----\n`,
    text: 'nothing of the kind',
  };
  for (const name of ['cert', 'key', 'ca', 'other', 'text'] as const) {
    files[name] = join(folder, `${name}.pem`);
    await writeFile(files[name], texts[name]);
  }
});
afterEach(async () => {
  await server?.stop();
  server = null;
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function start(...flags: readonly string[]): Promise<TestServer> {
  server = await startServer({
    flags: ['--tls-cert', files.cert, '--tls-key', files.key, '--allow-host', NAME, ...flags],
  });
  return server;
}

/** Asks under the certificate's name, and believes its authority alone. */
function fetchAs(
  tls: Readonly<Record<string, string>> = {},
): (url: string, init?: RequestInit) => Promise<Response> {
  return (url, init) => {
    const headers = new Headers(init?.headers);
    headers.set('host', NAME);
    return fetch(url, { ...init, headers, tls: { ca: AUTHORITY, serverName: NAME, ...tls } });
  };
}

function createClient({ url }: TestServer, asked = fetchAs()): OpenAI {
  return new OpenAI({
    baseURL: `${url}/v1`,
    apiKey: 'understudy',
    maxRetries: 0,
    fetch: (input, init) => asked(String(input), init as RequestInit),
  });
}

test('an official client that knows its authority is served, streams too, and HTTP is not', async () => {
  const running = await start();
  expect(running.url).toStartWith('https://');
  const client = createClient(running);
  const { id } = await client.beta.assistants.create({ model: 'understudy/rehearsal' });
  const stream = client.beta.threads.createAndRunStream({
    assistant_id: id,
    thread: { messages: [{ role: 'user', content: 'Hello' }] },
  });
  expect((await stream.finalRun()).status).toBe('completed');
  await expect(fetch(`${running.url.replace('https', 'http')}/health`)).rejects.toThrow();
});

test('a client that does not know the authority turns away', async () => {
  const running = await start();
  await expect(fetch(`${running.url}/health`)).rejects.toThrow();
});

test('with authorities for clients, only who has a certificate of theirs is served', async () => {
  const running = await start('--tls-ca', files.ca);
  await expect(fetchAs()(`${running.url}/health`)).rejects.toThrow();
  const known = fetchAs({ cert: CERTIFICATE, key: CERTIFICATE_KEY });
  expect((await known(`${running.url}/health`)).status).toBe(200);
  expect((await createClient(running, known).beta.assistants.list()).data).toEqual([]);
});

describe('what is wrong with the files is said in one line, with exit code 2', () => {
  const run = (...flags: readonly string[]) => {
    const { exitCode, stdout, stderr } = Bun.spawnSync(
      [
        process.execPath,
        join(ROOT, 'src/main.ts'),
        'serve',
        '--port',
        '0',
        '--data',
        join(folder, 'd'),
        ...flags,
      ],
      { env: { PATH: process.env.PATH ?? '' }, stdin: 'ignore' },
    );
    return { exitCode, stdout: stdout.toString(), stderr: stderr.toString() };
  };

  test.each([
    [
      'a certificate without its key',
      () => ['--tls-cert', files.cert],
      () => '--tls-key is missing: the certificate and its key go together.',
    ],
    [
      'authorities alone',
      () => ['--tls-ca', files.ca],
      () => '--tls-cert is missing: the certificate and its key go together.',
    ],
    [
      'a file that is not there',
      () => ['--tls-cert', '/nowhere.pem', '--tls-key', files.key],
      () => "--tls-cert /nowhere.pem cannot be read: ENOENT: no such file or directory, open '/nowhere.pem'",
    ],
    [
      'what is no certificate',
      () => ['--tls-cert', files.text, '--tls-key', files.key],
      () => `--tls-cert ${files.text} holds no certificate that can be read. It has to be PEM.`,
    ],
    [
      'what is no key',
      () => ['--tls-cert', files.cert, '--tls-key', files.cert],
      () => `--tls-key ${files.cert} holds no private key that can be read. It has to be PEM.`,
    ],
    [
      'the key of another certificate',
      () => ['--tls-cert', files.cert, '--tls-key', files.other],
      () => `--tls-key ${files.other} is not the key of the certificate in ${files.cert}.`,
    ],
    [
      'authorities that are none',
      () => ['--tls-cert', files.cert, '--tls-key', files.key, '--tls-ca', files.text],
      () => `--tls-ca ${files.text} holds no certificate that can be read. It has to be PEM.`,
    ],
    [
      'a range that is none',
      () => ['--metrics-allow', '10.0.0.0/99'],
      () => '--metrics-allow 10.0.0.0/99 is neither an address nor a range like 10.0.0.0/8.',
    ],
  ])('%s', (_, toFlags, toProblem) => {
    expect(run(...toFlags())).toEqual({ exitCode: 2, stdout: '', stderr: `understudy: ${toProblem()}\n` });
  });
});
