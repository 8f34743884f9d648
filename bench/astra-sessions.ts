/**
 * What sessions of many tenants leave behind, on an emulated Astra with a real Cassandra node (Java and Maven are needed).
 *
 *     bun bench/astra-sessions.ts [--quick]
 *
 * In each round a process opens sessions of 200 tokens, uses each, and closes them all as idle. Its memory after the last round over
 * that after the second, aim ≤ 1.05, and the sockets that are open behind the last, aim 0.
 */

import { join } from 'node:path';
import { startAstra } from '../test/support/astra/astra.ts';
import { startCassandra } from '../test/support/cassandra/node.ts';
import { readVersion } from '../test/support/cassandra/requirements.ts';
import { atMost, isQuick, openResults } from './harness.ts';

const TENANTS = 200;
const ROUNDS = isQuick ? 3 : 6;
const MEMORY_AIM = 1.05;

interface Round {
  readonly open: number;
  readonly full: number;
  readonly left: number;
  readonly rss: number;
}

const MIB = 1024 * 1024;
const toMiB = (bytes: number): string => `${(bytes / MIB).toFixed(0)} MiB`;

const node = await startCassandra({ authenticator: 'password', commitLogSync: 'periodic', heapMiB: 1024 });
const astra = await startAstra({ node });
const database = await astra.createDatabase({ name: 'understudy' });
const child = Bun.spawn(
  [
    process.execPath,
    join(import.meta.dir, 'support/astra-sessions-child.ts'),
    astra.apiUrl,
    database.keyspaces()[0] ?? '',
    database.id,
  ],
  { stdin: 'pipe', stdout: 'pipe', stderr: 'inherit' },
);
const reader = child.stdout.getReader();
const rounds: Round[] = [];
for (let round = 1; round <= ROUNDS; round += 1) {
  const tokens = Array.from({ length: TENANTS }, () => astra.createToken({ databases: [database.id] }));
  child.stdin.write(`${JSON.stringify(tokens)}\n`);
  await child.stdin.flush();
  const { value } = await reader.read();
  const seen = JSON.parse(new TextDecoder().decode(value)) as Round;
  rounds.push(seen);
  console.error(
    `round ${round}: ${seen.open} open at ${toMiB(seen.full)}, then ${seen.left} at ${toMiB(seen.rss)}`,
  );
  if (seen.open !== TENANTS || seen.left !== 0) throw new Error('Not all were open, or not all are closed.');
}
const sockets = database.openSockets();
child.kill();
await child.exited;
const ratio = (rounds.at(-1)?.rss ?? Number.NaN) / (rounds[1]?.rss ?? Number.NaN);
const results = openResults('astra-sessions');
results.addVersion('Apache Cassandra', readVersion());
results.report({
  id: 'memory-over-second-round',
  what: `memory after ${ROUNDS} rounds of ${TENANTS} sessions opened, used and closed, over that after two`,
  value: ratio,
  unit: '',
  aim: atMost(MEMORY_AIM),
  beside: [{ name: 'in all', value: (rounds.at(-1)?.rss ?? 0) / MIB, unit: 'MiB' }],
});
results.report({ id: 'sockets-left', what: 'sockets left', value: sockets, unit: '', aim: atMost(0) });
await astra.stop();
await node.kill();
process.exit(0);
