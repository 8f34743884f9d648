/**
 * `node scripts/with-cassandra.mjs COMMAND`: runs the command beside a node that `UNDERSTUDY_TEST_CASSANDRA` names. Without
 * a command the node stays until it is interrupted.
 */

import { startCassandra } from './node.ts';

const VARIABLE = 'UNDERSTUDY_TEST_CASSANDRA';
const ENDING = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
/** What shells answer for a program that a signal ended. */
const SIGNAL_CODE = 128;
const INTERRUPTED = SIGNAL_CODE + 2;
const PARENT_POLL_MS = 250;
/** Many suites share it, and each makes tables. */
const HEAP_MIB = 1024;

async function main(command: readonly string[]): Promise<number> {
  const stopped = onStop();
  const node = await Promise.race([
    startCassandra({ commitLogSync: 'periodic', heapMiB: HEAP_MIB }),
    stopped.then(() => null),
  ]);
  // The guard of a node that is only starting ends it.
  if (node === null) return INTERRUPTED;
  try {
    if (command.length > 0) return await run(command, node.contactPoint, stopped);
    console.log(`${VARIABLE}=${node.contactPoint}`);
    console.error('understudy tests: Cassandra answers there until this is interrupted');
    await stopped;
    return 0;
  } finally {
    await node.stop();
  }
}

async function run(
  command: readonly string[],
  contactPoint: string,
  stopped: Promise<void>,
): Promise<number> {
  const child = Bun.spawn([...command], {
    stdio: ['inherit', 'inherit', 'inherit'],
    env: { ...process.env, [VARIABLE]: contactPoint },
  });
  void stopped.then(() => child.kill('SIGTERM'));
  await child.exited;
  return child.exitCode ?? INTERRUPTED;
}

/** Told to stop, or left alone: whoever is killed cannot pass that on. Also what keeps this process alive. */
function onStop(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const parent = process.ppid;
  for (const signal of ENDING) process.on(signal, () => resolve());
  const timer = setInterval(() => {
    if (process.ppid !== parent) resolve();
  }, PARENT_POLL_MS);
  return promise.finally(() => clearInterval(timer));
}

main(process.argv.slice(2)).then(
  (code) => process.exit(code),
  (error) => {
    console.error(`understudy tests: ${error instanceof Error ? error.message : String(error)}`);
    process.exit(1);
  },
);
