import { expect, test } from 'bun:test';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { UPSTREAM_CALLS_MAX } from '../../src/config/config.ts';
import { startServer, waitUntil } from '../support/server.ts';
import { readEverything } from '../support/stored.ts';
import { readTestEngine } from '../support/test-engine.ts';

const KEY = 'sk-never-to-be-seen';
const isLinux = process.platform === 'linux';

test.skipIf(!isLinux)(
  'a worker may call as many models at once as we say, and its key is in no argument',
  async () => {
    const server = await startServer({ env: { OPENAI_API_KEY: KEY } });
    try {
      for (const pid of [server.pid, server.workerPid]) {
        expect(await readFile(`/proc/${pid}/cmdline`, 'utf8')).not.toContain(KEY);
      }
      const environment = (await readFile(`/proc/${server.workerPid}/environ`, 'utf8')).split('\0');
      expect(environment).toContain(`BUN_CONFIG_MAX_HTTP_REQUESTS=${UPSTREAM_CALLS_MAX}`);
      // Handed on under the name that it came with, and no other.
      expect(environment.filter((entry) => entry.includes(KEY))).toEqual([`OPENAI_API_KEY=${KEY}`]);
    } finally {
      await server.stop();
    }
  },
);

test('a key that the operator set is neither printed nor written to the data', async () => {
  const data = await mkdtemp(join(tmpdir(), 'understudy-key-'));
  const server = await startServer({
    dataDirectory: data,
    env: { OPENAI_API_KEY: KEY },
    flags: ['--log-level', 'debug'],
  });
  try {
    await server.call('POST', '/v1/assistants', { model: 'understudy/rehearsal' });
    await server.stop();
    expect(server.output()).toContain('OPENAI_API_KEY');
    expect(server.output()).not.toContain(KEY);
    const stored = await readEverything(data);
    expect(stored).toContain('understudy/rehearsal');
    expect(stored).not.toContain(KEY);
  } finally {
    await server.stop();
    await rm(data, { recursive: true, force: true });
  }
});

test('a worker that is killed takes nothing along that was acknowledged', async () => {
  const server = await startServer();
  try {
    const created = await server.call('POST', '/v1/threads', { metadata: { kept: 'yes' } });
    process.kill(server.workerPid, 'SIGKILL');
    let found = created;
    await waitUntil('the thread is answered again', async () => {
      try {
        found = await server.call('GET', `/v1/threads/${created.json.id}`, undefined, {
          connection: 'close',
        });
        return true;
      } catch {
        return false;
      }
    });
    expect(found.json).toEqual(created.json);
  } finally {
    await server.stop();
  }
});

test.skipIf(!isLinux)('several workers serve one set of data', async () => {
  const server = await startServer({ flags: ['--workers', '3'] });
  try {
    const created = await server.call('POST', '/v1/threads', {});
    // Each connection goes to one of the workers, by chance: hardly ever are all of these answered by one.
    const asked = Array.from({ length: 24 }, () =>
      server.call('GET', `/v1/threads/${created.json.id}`, undefined, { connection: 'close' }),
    );
    for (const answer of await Promise.all(asked)) expect(answer.json).toEqual(created.json);
    expect(await server.stop()).toBe(0);
  } finally {
    await server.stop();
  }
});

test('data that cannot be had is a clear end, and no start over and over', async () => {
  const sinceMs = performance.now();
  // A folder is the operator's to mend; a cluster that does not answer may answer the next start.
  const [options, place, code] = {
    sqlite: [{ dataDirectory: '/dev/null/here' }, '/dev/null/here', 2] as const,
    cassandra: [{ flags: ['--cassandra-local-datacenter', 'nowhere'] }, "'nowhere'", 1] as const,
    astra: [{ env: { ASTRA_DB_APPLICATION_TOKEN: 'AstraCS:x:y' } }, 'Incorrect Astra token', 1] as const,
  }[readTestEngine()];
  const reason = new RegExp(`ended with code ${code} before it listened.*understudy: .*${place}`, 's');
  await expect(startServer(options)).rejects.toThrow(reason);
  expect(performance.now() - sinceMs).toBeLessThan(10_000);
});
