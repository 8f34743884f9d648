/** `understudy check` and `understudy health`, as operators and probes call them. */

import { Database } from 'bun:sqlite';
import { afterAll, describe, expect, test } from 'bun:test';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { APPLICATION_ID } from '../../src/store/sqlite/schema.ts';
import { CERTIFICATE, CERTIFICATE_KEY } from '../support/certificate.ts';
import { startServer } from '../support/server.ts';
import { runProgram, toPicture } from './program.ts';

const folder = mkdtempSync(join(tmpdir(), 'understudy-check-'));
const KEY = 'sk-never-to-be-seen';
/** On SQLite whatever the suites run on: a cluster is looked at in `test/acceptance/cassandra-migrate.test.ts`. */
const ON_SQLITE = ['--store', 'sqlite'];

function check(directory: string, args: readonly string[] = [], env: Record<string, string> = {}) {
  return runProgram(['check', '--port', '0', '--data', directory, ...args], { env });
}

describe('check', () => {
  test('of a server that would start ends with 0, and makes nothing', async () => {
    const directory = join(folder, 'nothing-yet');
    const { code, stdout, stderr } = await check(directory);
    expect(stderr).toBe('');
    expect(stdout).toContain(`sqlite in ${directory}, a folder that a start makes`);
    expect(stdout).toContain('understudy.db: not there yet');
    expect(stdout).not.toContain('FAIL');
    expect(code).toBe(0);
    expect(toPicture(folder)).toEqual({});
  });

  test('changes no byte of a store, in use or not', async () => {
    const directory = join(folder, 'used');
    const server = await startServer({ dataDirectory: directory, flags: ON_SQLITE });
    try {
      await server.call('POST', '/v1/threads', {});
      const before = toPicture(directory);
      const whileServing = await check(directory);
      expect(whileServing.stdout).toContain('understudy.db: version 1, as it should be');
      expect(whileServing.code).toBe(0);
      // The memory that processes share about the log is where locks are held, and no content.
      const withoutLocks = (picture: Record<string, string>) =>
        Object.entries(picture).filter(([name]) => !name.endsWith('-shm'));
      expect(withoutLocks(toPicture(directory))).toEqual(withoutLocks(before));
    } finally {
      await server.stop();
    }
    const stopped = toPicture(directory);
    const afterwards = await check(directory);
    expect(afterwards.stdout).toContain('understudy.db: version 1, as it should be');
    expect(afterwards.code).toBe(0);
    expect(toPicture(directory)).toEqual(stopped);
    rmSync(directory, { recursive: true });
  });

  test('sees what stands in the log of a server that was killed', async () => {
    const directory = join(folder, 'killed');
    const server = await startServer({ dataDirectory: directory, flags: ON_SQLITE });
    await server.kill();
    const { code, stdout } = await check(directory);
    expect(stdout).toContain('understudy.db: version 1, as it should be');
    expect(code).toBe(0);
    rmSync(directory, { recursive: true });
  });

  test('tells a database of a newer version and one of another program, and ends with 1', async () => {
    const directory = join(folder, 'odd');
    mkdirSync(directory);
    const newer = new Database(join(directory, 'understudy.db'));
    newer.run(`PRAGMA application_id = ${APPLICATION_ID}`);
    newer.run('PRAGMA user_version = 99');
    newer.close();
    const foreign = new Database(join(directory, 'files.db'));
    foreign.run('CREATE TABLE theirs (a)');
    foreign.close();
    await Bun.write(
      join(directory, 'index.db'),
      'no database at all, but long enough to have a header'.repeat(4),
    );
    const { code, stdout } = await check(directory);
    expect(stdout).toMatch(/^FAIL store .*understudy\.db: version 99, from a newer version/m);
    expect(stdout).toMatch(/^FAIL store .*files\.db: no database of this program/m);
    expect(stdout).toMatch(/^FAIL store .*index\.db: no database of this program/m);
    expect(code).toBe(1);
    rmSync(directory, { recursive: true });
  });

  test('tells a data directory that cannot be had, and ends with 1', async () => {
    const { code, stdout } = await check('/dev/null/data');
    expect(stdout).toMatch(/^FAIL store +sqlite in \/dev\/null\/data: \/dev\/null may not be written/m);
    expect(code).toBe(1);
  });

  test('tells a port that another program has, but not one that an understudy has', async () => {
    const other = Bun.listen({
      hostname: '127.0.0.1',
      port: 0,
      socket: { open: (socket) => void socket.end(), data() {} },
    });
    const server = await startServer({ flags: ON_SQLITE });
    try {
      const taken = await check(join(folder, 'x'), ['--port', String(other.port)]);
      expect(taken.stdout).toMatch(/^FAIL port .*another program has that port/m);
      expect(taken.code).toBe(1);
      const own = await check(join(folder, 'x'), ['--port', new URL(server.url).port]);
      expect(own.stdout).toMatch(/^ok +port .*taken, by an understudy that runs there/m);
      expect(own.code).toBe(0);
    } finally {
      other.stop(true);
      await server.stop();
    }
  });

  test('names providers and whether there is a key, never the key', async () => {
    const { code, stdout, stderr } = await check(join(folder, 'x'), [], {
      OPENAI_API_KEY: KEY,
      GROQ_API_KEY: KEY,
      OPENAI_BASE_URL: 'http://127.0.0.1:9/v1',
      UNDERSTUDY_SECRET: `${KEY}-and-longer`,
    });
    expect(stdout).toContain('OpenAI (openai): with a key');
    expect(stdout).toContain('Groq (groq): with a key');
    expect(stdout).toContain('UNDERSTUDY_SECRET is set');
    expect(stdout + stderr).not.toContain(KEY);
    // Nobody listens there, and nobody was asked.
    expect(code).toBe(0);
  });

  test('asks hosts with --online only, without the key, and ends with 1 where one does not answer', async () => {
    const seen: Request[] = [];
    const upstream = Bun.serve({
      port: 0,
      hostname: '127.0.0.1',
      fetch(request) {
        seen.push(request);
        return new Response('no', { status: 401 });
      },
    });
    const env = { OPENAI_API_KEY: KEY, OPENAI_BASE_URL: `http://127.0.0.1:${upstream.port}/v1` };
    const answered = await check(join(folder, 'x'), ['--online'], env);
    expect(answered.stdout).toContain(`http://127.0.0.1:${upstream.port} answers`);
    expect(answered.code).toBe(0);
    expect(seen).toHaveLength(1);
    expect(JSON.stringify([...(seen[0]?.headers ?? [])])).not.toContain(KEY);
    await upstream.stop(true);
    const silent = await check(join(folder, 'x'), ['--online'], env);
    expect(silent.stdout).toMatch(/^FAIL provider .*does not answer/m);
    expect(silent.code).toBe(1);
  });

  test('of a broken configuration ends with 2, and looks at nothing', async () => {
    const { code, stdout, stderr } = await check(join(folder, 'x'), ['--workers', 'many']);
    expect(stderr).toContain('--workers must be');
    expect(stdout).toBe('');
    expect(code).toBe(2);
  });
});

describe('health', () => {
  test('of a server that runs ends with 0, by its address and by the settings', async () => {
    const server = await startServer({ flags: ON_SQLITE });
    try {
      for (const args of [
        ['--url', server.url],
        ['--url', `${server.url}/`, '--ready'],
        ['--port', new URL(server.url).port],
      ]) {
        expect(await runProgram(['health', ...args])).toMatchObject({ code: 0, stderr: '' });
      }
    } finally {
      await server.stop();
    }
  });

  test('asks a server that speaks TLS under any name, and so does check', async () => {
    const files = { '--tls-cert': CERTIFICATE, '--tls-key': CERTIFICATE_KEY };
    const flags = Object.entries(files).flatMap(([flag, text]) => {
      const path = join(folder, `${flag.slice(2)}.pem`);
      writeFileSync(path, text);
      return [flag, path];
    });
    const server = await startServer({ flags: [...ON_SQLITE, ...flags] });
    try {
      const { port } = new URL(server.url);
      expect(server.url).toStartWith('https:');
      expect(await runProgram(['health', '--port', port, ...flags])).toMatchObject({ code: 0, stderr: '' });
      const checked = await check(join(folder, 'x'), ['--port', port, ...flags]);
      expect(checked.stdout).toMatch(/^ok +port .*taken, by an understudy that runs there/m);
    } finally {
      await server.stop();
    }
  });

  test('ends with 1 where nobody answers, another program does, or the server is not ready', async () => {
    const other = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: () => new Response('ok') });
    const unready = Bun.serve({
      port: 0,
      hostname: '127.0.0.1',
      fetch: () => new Response('', { status: 503, headers: { 'x-understudy-version': '1' } }),
    });
    const gone = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data() {} } });
    gone.stop(true);
    const ask = async (port: number | undefined) =>
      await runProgram(['health', '--ready', '--url', `http://127.0.0.1:${port}`]);
    expect(await ask(other.port)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/another program/),
    });
    expect(await ask(unready.port)).toMatchObject({ code: 1, stderr: expect.stringMatching(/status 503/) });
    expect(await ask(gone.port)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/understudy: http/),
    });
    await Promise.all([other.stop(true), unready.stop(true)]);
  });

  test('gives up on a server that accepts and says nothing', async () => {
    const deaf = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data() {} } });
    const sinceMs = performance.now();
    const { code } = await runProgram(['health', '--url', `http://127.0.0.1:${deaf.port}`]);
    expect(code).toBe(1);
    expect(performance.now() - sinceMs).toBeLessThan(10_000);
    deaf.stop(true);
  });

  test('needs an address that is one', async () => {
    expect(await runProgram(['health', '--url', 'localhost:8700'])).toMatchObject({ code: 2 });
  });
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));
