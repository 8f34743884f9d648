/** SIGHUP: from an operator it is a wish, from a terminal that closes it is the end. */

import { describe, expect, test } from 'bun:test';
import { waitUntil } from '../support/server.ts';
import { isRunning, startCluster } from './cluster.ts';

/** What nohup does, but for the file that it sends the output to. */
const NOHUP = ['sh', '-c', 'trap "" HUP; exec "$@"', 'sh'];

async function expectStillThere(cluster: Awaited<ReturnType<typeof startCluster>>): Promise<void> {
  const url = await cluster.waitUntilUp();
  const workers = await cluster.readStarts();
  cluster.signal('SIGHUP');
  for (const pid of workers) process.kill(pid, 'SIGHUP');
  // The signal was dealt with before the next one, which is told in the log.
  cluster.signal('SIGTERM');
  expect(await cluster.exited).toBe(0);
  expect(cluster.log().find(({ event }) => event === 'stopping')).toMatchObject({ signal: 'SIGTERM' });
  expect(url).toContain('http');
}

describe('SIGHUP', () => {
  test.skipIf(process.platform !== 'linux')(
    'ends nothing where there is no terminal, as under systemd',
    async () => {
      await using cluster = await startCluster({ within: ['setsid', '--wait'] });
      await expectStillThere(cluster);
    },
  );

  test('ends nothing from an operator while the terminal is open', async () => {
    await using cluster = await startCluster({ hasTerminal: true });
    await expectStillThere(cluster);
  });
});

describe.skipIf(process.platform !== 'linux')('a terminal that is closed', () => {
  test('ends the server that was started in it, workers and all', async () => {
    await using cluster = await startCluster({ hasTerminal: true });
    await cluster.waitUntilUp();
    const workers = await cluster.readStarts();
    cluster.closeTerminal();
    expect(await cluster.exited).toBe(0);
    await waitUntil('every worker has ended', () => !workers.some(isRunning));
  });

  test('leaves one that was started with nohup', async () => {
    await using cluster = await startCluster({ hasTerminal: true, within: NOHUP });
    const url = await cluster.waitUntilUp();
    cluster.closeTerminal();
    expect((await fetch(url)).status).toBe(200);
    cluster.signal('SIGTERM');
    expect(await cluster.exited).toBe(0);
  });
});
