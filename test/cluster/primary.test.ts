import { describe, expect, test } from 'bun:test';
import { runPrimary } from '../../src/cluster/primary.ts';
import { createLog } from '../../src/log.ts';
import { waitUntil } from '../support/server.ts';
import { isRunning, startCluster } from './cluster.ts';

/** The process that answers, or null where nobody does. */
async function askWho(url: string): Promise<number | null> {
  try {
    // A connection of its own each time: one that is kept open stays with its worker.
    const response = await fetch(url, { headers: { connection: 'close' } });
    return Number(await response.text());
  } catch {
    return null;
  }
}

describe('a worker that dies', () => {
  test('is started again, and answers on the same port although the system chose it', async () => {
    await using cluster = await startCluster();
    const url = await cluster.waitUntilUp();
    const first = await askWho(url);
    process.kill(first ?? 0, 'SIGKILL');
    let second: number | null = null;
    await waitUntil('another worker answers', async () => {
      second = await askWho(url);
      return second !== null && second !== first;
    });
    expect(await cluster.readStarts()).toEqual([first ?? 0, second ?? 0]);
    expect(isRunning(cluster.pid)).toBe(true);
  });

  test('is started again later each time, as long as it cannot start', async () => {
    await using cluster = await startCluster({ behaviour: 'fails-when-restarted' });
    const url = await cluster.waitUntilUp();
    process.kill((await askWho(url)) ?? 0, 'SIGKILL');
    await waitUntil('the fourth start serves', async () => (await cluster.readStarts()).length === 4);
    await waitUntil('it answers', async () => (await askWho(url)) !== null);
    const delays = cluster.log().filter((line) => line.event === 'worker is started again');
    expect(delays.map((line) => line.delayMs)).toEqual([100, 200, 400]);
    const reasons = cluster.log().filter((line) => line.event === 'worker cannot start');
    expect(reasons.map((line) => line.error)).toEqual(['Start 2.', 'Start 3.']);
  });

  test.skipIf(process.platform !== 'linux')('leaves the port to the others meanwhile', async () => {
    await using cluster = await startCluster({ workers: 3 });
    const url = await cluster.waitUntilUp();
    const [first = 0, ...others] = await cluster.readStarts();
    process.kill(first, 'SIGKILL');
    await waitUntil('it has ended', () => !isRunning(first));
    // A connection that the dead one had taken breaks once, as for any client.
    await waitUntil('another answers', async () => others.includes((await askWho(url)) ?? 0));
  });
});

describe('stopping', () => {
  test('lets answers that are under way be given, and ends with 0', async () => {
    await using cluster = await startCluster();
    const url = await cluster.waitUntilUp();
    const slow = fetch(`${url}slow`);
    // The worker has it once it answers something that came later.
    await askWho(url);
    cluster.signal('SIGTERM');
    expect((await slow).status).toBe(200);
    expect(await cluster.exited).toBe(0);
    expect((await cluster.readStarts()).filter(isRunning)).toEqual([]);
    expect(await askWho(url)).toBeNull();
  });

  test('at once where it is asked for twice', async () => {
    await using cluster = await startCluster({ behaviour: 'never-closes' });
    await cluster.waitUntilUp();
    const sinceMs = performance.now();
    cluster.signal('SIGINT');
    await waitUntil('it is stopping', () => cluster.log().some((line) => line.event === 'stopping'));
    let code: number | null = null;
    void cluster.exited.then((exitCode) => {
      code = exitCode;
    });
    await waitUntil('it ends', () => {
      cluster.signal('SIGINT');
      return code !== null;
    });
    expect(code as number | null).toBe(1);
    // Its grace alone is three seconds.
    expect(performance.now() - sinceMs).toBeLessThan(3_000);
    expect((await cluster.readStarts()).filter(isRunning)).toEqual([]);
  });

  test('is not hastened by one Ctrl-C that arrives twice', async () => {
    await using cluster = await startCluster();
    const url = await cluster.waitUntilUp();
    const slow = fetch(`${url}slow`);
    await askWho(url);
    cluster.signal('SIGINT');
    cluster.signal('SIGINT');
    for (const pid of await cluster.readStarts()) process.kill(pid, 'SIGINT');
    expect((await slow).status).toBe(200);
    expect(await cluster.exited).toBe(0);
  });

  test('a primary that SIGKILL ends leaves no worker behind', async () => {
    await using cluster = await startCluster({ workers: process.platform === 'linux' ? 2 : 1 });
    const url = await cluster.waitUntilUp();
    const workers = await cluster.readStarts();
    const slow = fetch(`${url}slow`);
    await askWho(url);
    cluster.signal('SIGKILL');
    expect((await slow).status).toBe(200);
    await waitUntil('every worker has ended', () => !workers.some(isRunning));
    expect(workers.length).toBeGreaterThan(0);
  });
});

describe('a first start that fails', () => {
  test('is not tried again, and says why once', async () => {
    await using cluster = await startCluster({ behaviour: 'cannot-start' });
    expect(await cluster.exited).toBe(1);
    expect(cluster.errors()).toBe('The store is not to be had.\n');
    expect(await cluster.readStarts()).toHaveLength(1);
  });

  test('is told from the signal where the worker can say nothing', async () => {
    await using cluster = await startCluster({ behaviour: 'dies-at-start' });
    expect(await cluster.exited).toBe(1);
    expect(cluster.errors()).toBe('The worker ended before it was ready (signal SIGKILL).\n');
  });
});

test('a worker whose process cannot be made is forgotten by all who had made ready for it', async () => {
  const told: string[] = [];
  const running = runPrimary({
    host: '127.0.0.1',
    port: 0,
    workers: 1,
    sharing: 'alone',
    graceMs: 0,
    command: ['/nowhere/understudy'],
    toEnvironment: () => ({}),
    log: createLog('silent', () => undefined),
    announce: () => undefined,
    parts: [
      {
        beforeStart: ({ serial }) => {
          told.push(`before ${serial}`);
          return {};
        },
        onEnded: ({ serial }) => void told.push(`ended ${serial}`),
      },
    ],
  });
  expect(await running.catch((error: Error) => error)).toBeInstanceOf(Error);
  expect(told).toEqual(['before 1', 'ended 1']);
});

describe('a port that somebody else has', () => {
  test.each(process.platform === 'linux' ? [1, 2] : [1])('is refused with %d workers', async (workers) => {
    using other = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: () => new Response('other') });
    const port = other.port ?? 0;
    await using cluster = await startCluster({ port, workers });
    expect(await cluster.exited).toBe(1);
    expect(cluster.errors()).toBe(
      `Cannot listen on 127.0.0.1:${port}: another program has that port. Choose another with --port.\n`,
    );
  });

  test.skipIf(process.platform !== 'linux')('is not shared by two servers that start at once', async () => {
    const free = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: () => new Response() });
    const port = free.port ?? 0;
    await free.stop(true);
    await using first = await startCluster({ port, workers: 2 });
    await using second = await startCluster({ port, workers: 2 });
    const loser = await Promise.race([first.exited.then(() => first), second.exited.then(() => second)]);
    const winner = loser === first ? second : first;
    expect(await loser.exited).toBe(1);
    expect(loser.errors()).toContain('another program has that port');
    const url = await winner.waitUntilUp();
    expect(await winner.readStarts()).toContain((await askWho(url)) ?? 0);
  });
});
