/**
 * A server of primary and workers as `main.ts` makes them, around an app that is small and misbehaves on demand.
 * Arguments: port, number of workers, a folder for what the starts leave behind, how the app behaves, and
 * how workers get connections.
 */

import { appendFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Balance, toSharing } from '../../src/cluster/door.ts';
import { toListenError } from '../../src/cluster/port.ts';
import { runPrimary } from '../../src/cluster/primary.ts';
import { type RunningApp, runWorker } from '../../src/cluster/worker.ts';
import { createLog } from '../../src/log.ts';

export type Behaviour = 'good' | 'cannot-start' | 'dies-at-start' | 'fails-when-restarted' | 'never-closes';

const [port = '0', workers = '1', folder = '', behaviour = 'good', balance = 'auto'] = process.argv.slice(2);
const sharing = toSharing(Number(workers), balance as Balance);
const WORKER_PORT = 'TEST_CLUSTER_PORT';
const HOST = '127.0.0.1';
/** How long the answer of `/slow` takes. */
const SLOW_MS = 400;
/** Which starts of `fails-when-restarted` fail. */
const FAILING_STARTS = [2, 3];

const log = createLog('info', (line) => console.log(line));

function noteStart(): number {
  const file = join(folder, 'starts');
  appendFileSync(file, `${process.pid}\n`);
  return readFileSync(file, 'utf8').trim().split('\n').length;
}

async function startApp(wantedPort: number): Promise<RunningApp> {
  const start = noteStart();
  if (behaviour === 'cannot-start') throw new Error('The store is not to be had.');
  if (behaviour === 'dies-at-start') process.kill(process.pid, 'SIGKILL');
  if (behaviour === 'fails-when-restarted' && FAILING_STARTS.includes(start))
    throw new Error(`Start ${start}.`);
  const server = Bun.serve({
    hostname: HOST,
    port: sharing === 'balanced' ? 0 : wantedPort,
    reusePort: sharing === 'shared',
    async fetch(request) {
      if (new URL(request.url).pathname === '/slow') await Bun.sleep(SLOW_MS);
      return new Response(String(process.pid));
    },
  });
  return {
    url: sharing === 'balanced' ? `http://${HOST}:${wantedPort}/` : server.url.href,
    port: server.port ?? wantedPort,
    localServer: null,
    async close() {
      await server.stop(false);
      if (behaviour === 'never-closes') await new Promise(() => undefined);
    },
  };
}

async function main(): Promise<number> {
  const handed = process.env[WORKER_PORT];
  if (handed !== undefined) {
    const start = () =>
      startApp(Number(handed)).catch((error: unknown) => {
        throw toListenError(error, HOST, Number(handed));
      });
    return await runWorker({ graceMs: 1_000, log, start });
  }
  return await runPrimary({
    host: HOST,
    port: Number(port),
    workers: Number(workers),
    sharing,
    graceMs: 3_000,
    command: [process.execPath, import.meta.path, ...process.argv.slice(2)],
    toEnvironment: (chosen) => ({ ...process.env, [WORKER_PORT]: String(chosen) }),
    log,
    announce: (ready) => log.info('up', { url: ready.url }),
  });
}

process.exit(
  await main().catch((error: Error) => {
    console.error(error.message);
    return 1;
  }),
);
