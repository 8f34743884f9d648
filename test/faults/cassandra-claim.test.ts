/** A server that dies amid the making of a run, at every place: the run is there and somebody works on it, or nothing of it is. */

import { afterAll, beforeAll, expect, test } from 'bun:test';
import { systemClock } from '../../src/clock.ts';
import { createIds } from '../../src/ids.ts';
import { LEASE_SCOPE, toLeaseInsert } from '../../src/runs/leases.ts';
import { type RecoveryDeps, sweepRuns } from '../../src/runs/recovery.ts';
import { type RunRecord, toThreadScope } from '../../src/runs/run-records.ts';
import { createCassandraStore } from '../../src/store/cassandra/cassandra-store.ts';
import type { Store, StoredRecord, Write } from '../../src/store/store.ts';
import { makeKeyspace, type TestKeyspace } from '../support/cassandra/keyspace.ts';
import { CASSANDRA_START_MS } from '../support/cassandra/node.ts';
import { cassandraOrSkip } from '../support/cassandra/shared-node.ts';
import { toDyingSession } from '../vector/cassandra-session.ts';

/** More than the making of a run takes. */
const WRITES_MAX = 20;
const ABANDONED_MS = 400;
const SWEEP_MS = 100;
/** Longer than the store waits for a write that is under way, and than the sweeps take. */
const SETTLE_MS = 8_000;

const describeCassandra = cassandraOrSkip('a claim that is cut short on Cassandra');

interface Thread extends StoredRecord {
  readonly active_run_id: string | null;
}

describeCassandra('a claim that is cut short on Cassandra', () => {
  const ids = createIds(systemClock);
  const log = {
    debug: () => undefined,
    info: () => undefined,
    warn: () => undefined,
    error: () => undefined,
  };
  let keyspace: TestKeyspace;
  let heir: Store;

  beforeAll(async () => {
    keyspace = await makeKeyspace();
    heir = createCassandraStore({
      session: await keyspace.open(),
      clock: systemClock,
      sweepMs: SWEEP_MS,
      abandonedMs: ABANDONED_MS,
    });
  }, CASSANDRA_START_MS);

  afterAll(async () => await heir?.close());

  /** What another server's sweeps are given. The ids of runs that it begins to work on are added to `started`. */
  function toServer(store: Store, name: string, started: Set<string>): RecoveryDeps {
    return {
      store,
      clock: systemClock,
      ids,
      log,
      router: {},
      headerKeeper: { keep: () => null, open: () => ({ headers: {}, isLost: false }) },
      isProcessAlive: () => false,
      runs: {
        owner: `elsewhere/2/${name}`,
        isWorkingOn: (id: string) => started.has(id),
        start: ({ run: begun }: { run: { record: RunRecord } }) => void started.add(begun.record.id),
      },
    } as unknown as RecoveryDeps;
  }

  /** What another server does about it all the time. Answers the runs that it has begun to work on. */
  async function sweepFor(durationMs: number): Promise<ReadonlySet<string>> {
    const started = new Set<string>();
    const deps = toServer(heir, 'heir', started);
    const deadline = performance.now() + durationMs;
    while (performance.now() < deadline) {
      await sweepRuns(deps);
      await Bun.sleep(SWEEP_MS);
    }
    return started;
  }

  /** Makes a run as the server does, and dies behind so many writes of the cluster. */
  async function claimAndDie(tenant: string, writes: number): Promise<{ run: RunRecord; hasDied: boolean }> {
    const threadId = ids.create('thread');
    const thread: Thread = { id: threadId, active_run_id: null };
    const made = await heir.insert('threads', { tenant }, thread, { isFresh: true });
    const run = {
      id: ids.create('run'),
      thread_id: threadId,
      status: 'queued',
      expires_at: null,
      internal: { attempts: 0 },
    } as unknown as RunRecord;
    const dying = toDyingSession(await keyspace.open(), writes);
    const dead = createCassandraStore({ session: dying.session, clock: systemClock, sweepMs: 3_600_000 });
    const claim: Write = {
      kind: 'update',
      collection: 'threads',
      scope: { tenant },
      id: threadId,
      change: { active_run_id: run.id },
      ifVersion: made.version,
    };
    await dead
      .write([
        toLeaseInsert({ clock: systemClock }, tenant, run, 'elsewhere/1/dead'),
        claim,
        {
          kind: 'insert',
          collection: 'runs',
          scope: toThreadScope(tenant, threadId),
          record: run,
          isFresh: true,
        },
      ])
      .catch(() => undefined);
    const hasDied = dying.isDead();
    await dead.close().catch(() => undefined);
    return { run, hasDied };
  }

  async function look(tenant: string, run: RunRecord, started: ReadonlySet<string>): Promise<string> {
    const lease = await heir.get('leases', LEASE_SCOPE, run.id);
    const there = await heir.get('runs', toThreadScope(tenant, run.thread_id), run.id);
    const held = (await heir.get<Thread>('threads', { tenant }, run.thread_id))?.record.active_run_id ?? null;
    const says = (holds: boolean, what: string): string => (holds ? what : `no ${what}`);
    return [
      says(there !== null, 'run'),
      says(started.has(run.id), 'work'),
      says(lease !== null, 'lease'),
      says(held !== null, 'claim'),
    ].join(', ');
  }

  /** Answers what is left when another server has swept; null where the server did not die. */
  async function cut(
    writes: number,
    name: string,
    sweeping: Promise<ReadonlySet<string>>,
  ): Promise<string | null> {
    const tenant = `cut-${writes}-${name}`;
    const { run, hasDied } = await claimAndDie(tenant, writes);
    const left = await look(tenant, run, await sweeping);
    await heir.delete('leases', LEASE_SCOPE, run.id);
    return hasDied ? left : null;
  }

  test.each([true, false])(
    'the run is there and worked on, or nothing is left (others sweep at once: %p)',
    async (sweepsAtOnce) => {
      const numbers = Array.from({ length: WRITES_MAX }, (_, writes) => writes);
      const waitMs = sweepsAtOnce ? 0 : SETTLE_MS / 2;
      const sweeping = Bun.sleep(waitMs).then(() => sweepFor(SETTLE_MS));
      const name = sweepsAtOnce ? 'soon' : 'late';
      const found = await Promise.all(numbers.map(async (writes) => await cut(writes, name, sweeping)));
      const left = found.flatMap((one, writes) => (one === null ? [] : [`${writes} writes: ${one}`]));
      console.error(left.join('\n'));
      expect(left.length).toBeGreaterThan(2);
      const whole = /: run, work, lease, claim$/;
      const nothing = /: no run, no work, no lease, no claim$/;
      expect(left.filter((one) => !whole.test(one) && !nothing.test(one))).toEqual([]);
    },
    90_000,
  );

  test('a server that looked before the run was there takes nothing from another that works on it now', async () => {
    for (let writes = 0; writes < WRITES_MAX; writes += 1) {
      const tenant = `late-${writes}`;
      const { run, hasDied } = await claimAndDie(tenant, writes);
      if (!hasDied) return;
      if ((await heir.get('leases', LEASE_SCOPE, run.id)) === null) continue;
      const hasLooked = Promise.withResolvers<void>();
      const goesOn = Promise.withResolvers<void>();
      const slow: Store = {
        ...heir,
        async get(collection, scope, id) {
          const found = await heir.get(collection, scope, id);
          if (collection === 'runs' && id === run.id) {
            hasLooked.resolve();
            await goesOn.promise;
          }
          return found as never;
        },
      };
      const late = sweepRuns(toServer(slow, 'late', new Set()));
      await hasLooked.promise;
      // Any write of the thread ends what the dead server has begun.
      await heir.update<Thread & { metadata: object }>('threads', { tenant }, run.thread_id, {
        metadata: {},
      });
      const started = new Set<string>();
      await sweepRuns(toServer(heir, 'fast', started));
      goesOn.resolve();
      await late;
      const left = await look(tenant, run, started);
      await heir.delete('leases', LEASE_SCOPE, run.id);
      expect(`${writes} writes: ${left}`).toBe(`${writes} writes: run, work, lease, claim`);
    }
  }, 90_000);
});
