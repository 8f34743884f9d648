/** Workers behind the primary, as on systems whose processes cannot share a port. */

import { describe, expect, test } from 'bun:test';
import { startBalancer } from '../../src/cluster/balancer.ts';
import { toSharing } from '../../src/cluster/door.ts';
import { startScriptedUpstream } from '../support/scripted-upstream.ts';
import { startServer, waitUntil } from '../support/server.ts';
import * as steps from '../support/upstream-steps.ts';
import { isRunning, startCluster } from './cluster.ts';

const CLOSE = { headers: { connection: 'close' } };

async function ask(url: string): Promise<string> {
  return await (await fetch(url, CLOSE)).text();
}

test('is what several workers get where the system has no way of its own, and where it is asked for', () => {
  expect(toSharing(1, 'primary', 'linux')).toBe('alone');
  expect(toSharing(2, 'auto', 'linux')).toBe('shared');
  expect(toSharing(2, 'auto', 'darwin')).toBe('balanced');
  expect(toSharing(2, 'auto', 'win32')).toBe('balanced');
  expect(toSharing(2, 'primary', 'linux')).toBe('balanced');
});

describe('a connection', () => {
  test('goes to the worker that has the fewest', async () => {
    const held = Promise.withResolvers<void>();
    const start = (name: string) =>
      Bun.serve({
        hostname: '127.0.0.1',
        port: 0,
        async fetch(request) {
          if (new URL(request.url).pathname === '/hold') await held.promise;
          return new Response(name);
        },
      });
    await using first = start('first');
    await using second = start('second');
    const balancer = await startBalancer('127.0.0.1', 0);
    try {
      const url = `http://127.0.0.1:${balancer.port}`;
      balancer.addWorker(1, first.port ?? 0);
      const holding = Array.from({ length: 3 }, () => ask(`${url}/hold`));
      await waitUntil('three are held', () => first.pendingRequests === 3);
      balancer.addWorker(2, second.port ?? 0);
      for (let round = 0; round < 5; round += 1) expect(await ask(url)).toBe('second');
      held.resolve();
      expect(await Promise.all(holding)).toEqual(['first', 'first', 'first']);
    } finally {
      balancer.close();
    }
  });

  test('goes to another worker where one has just died, and waits for the next where all have', async () => {
    const worker = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: () => new Response('alive') });
    const dead = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: () => new Response('dead') });
    const balancer = await startBalancer('127.0.0.1', 0);
    try {
      balancer.addWorker(1, dead.port ?? 0);
      balancer.addWorker(2, worker.port ?? 0);
      await dead.stop(true);
      const url = `http://127.0.0.1:${balancer.port}`;
      expect(await ask(url)).toBe('alive');
      await worker.stop(true);
      balancer.removeWorker(1);
      balancer.removeWorker(2);
      const asked = ask(url);
      await using next = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: () => new Response('next') });
      balancer.addWorker(3, next.port ?? 0);
      expect(await asked).toBe('next');
    } finally {
      balancer.close();
    }
  });
});

describe('a server whose primary hands connections on', () => {
  test('serves by every worker, replaces one that dies, and lets answers be given when it is stopped', async () => {
    await using cluster = await startCluster({ workers: 2, balance: 'primary' });
    const url = await cluster.waitUntilUp();
    const workers = await cluster.readStarts();
    const seen = new Set<string>();
    await waitUntil('both have answered', async () => seen.add(await ask(url)).size === 2);
    process.kill(workers[0] ?? 0, 'SIGKILL');
    await waitUntil('another has answered', async () => {
      seen.add(await ask(url).catch(() => String(workers[0])));
      return seen.size === 3;
    });
    const slow = fetch(`${url}slow`);
    await ask(url);
    cluster.signal('SIGTERM');
    expect((await slow).status).toBe(200);
    expect(await cluster.exited).toBe(0);
    expect((await cluster.readStarts()).filter(isRunning)).toEqual([]);
  });

  test('is refused the port that somebody else has', async () => {
    await using other = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: () => new Response('other') });
    await using cluster = await startCluster({ port: other.port ?? 0, workers: 2, balance: 'primary' });
    expect(await cluster.exited).not.toBe(0);
    expect(cluster.errors()).toContain('another program has that port');
  });

  test('streams a run through, and tells its own address to clients', async () => {
    const upstream = await startScriptedUpstream();
    const model = upstream.script('told', [steps.say('one ', 'two'), steps.finish('stop')]);
    const server = await startServer({
      flags: ['--workers', '2', '--balance', 'primary'],
      env: { OPENAI_BASE_URL: upstream.url, OPENAI_API_KEY: 'sk-x' },
    });
    try {
      const client = server.client();
      const assistant = await client.beta.assistants.create({ model });
      const thread = await client.beta.threads.create({ messages: [{ role: 'user', content: 'Say it.' }] });
      const stream = client.beta.threads.runs.stream(thread.id, { assistant_id: assistant.id });
      const { content } = (await stream.finalMessages())[0] ?? {};
      expect(content).toMatchObject([{ text: { value: 'one two' } }]);
      expect(await server.stop()).toBe(0);
    } finally {
      await server.stop();
      await upstream.close();
    }
  });
});
