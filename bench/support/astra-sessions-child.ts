/**
 * Opens sessions of many tokens, uses each, closes all, and says what memory is left: once for each line of tokens on stdin. Arguments:
 * the address of Astra's API, and the keyspace.
 */

import { createAstra } from '../../src/astra/astra.ts';
import { toCredentials } from '../../src/astra/credentials.ts';
import type { CqlSession } from '../../src/cassandra/session.ts';
import { systemClock } from '../../src/clock.ts';
import { createEngines, migrateSession } from '../../src/compose-cassandra.ts';
import { createLog } from '../../src/log.ts';

const [apiUrl = '', keyspace = '', databaseId = ''] = process.argv.slice(2);
const SESSIONS_MAX = 200;
const OPENING_MAX = 8;
const SETTLE_MS = 2_000;
const log = createLog('warn', (line) => console.error(line));

/** Its hands are moved from outside: all sessions become idle at once. */
let aheadMs = 0;
const clock = { ...systemClock, nowMs: () => systemClock.nowMs() + aheadMs };

async function openEngines(session: CqlSession) {
  const options = { clock, log, isManaged: true };
  await migrateSession(session, options);
  return createEngines(session, options);
}

const { sessions } = createAstra(
  { fetch, clock, log, openEngines },
  {
    apiUrl,
    databaseName: 'understudy',
    keyspace,
    create: null,
    sessions: { sessionsMax: SESSIONS_MAX, protectMs: 0, idleMs: 60_000, revalidateMs: 3_600_000 },
  },
);

async function useAll(tokens: readonly string[]): Promise<void> {
  let next = 0;
  const work = async (): Promise<void> => {
    for (let token = tokens[next++]; token !== undefined; token = tokens[next++]) {
      const tenant = await sessions.open(toCredentials(token, databaseId));
      await sessions.use(tenant, ({ store }) =>
        store.list('assistants', { tenant }, { limit: 1, order: 'asc' }),
      );
    }
  };
  await Promise.all(Array.from({ length: OPENING_MAX }, work));
}

for await (const line of console) {
  await useAll(JSON.parse(line));
  const open = sessions.getStatistics().open;
  Bun.gc(true);
  const full = process.memoryUsage.rss();
  aheadMs += 3_600_000;
  sessions.sweep();
  await Bun.sleep(SETTLE_MS);
  Bun.gc(true);
  const left = sessions.getStatistics();
  console.log(JSON.stringify({ open, full, left: left.open + left.closing, rss: process.memoryUsage.rss() }));
}
