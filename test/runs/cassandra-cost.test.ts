/** What a run costs on Cassandra, in calls of the cluster: the same whatever is in its thread. */

import { afterAll, beforeAll, expect, test } from 'bun:test';
import type { CqlSession } from '../../src/cassandra/session.ts';
import { systemClock } from '../../src/clock.ts';
import { createIds } from '../../src/ids.ts';
import { createCassandraStore } from '../../src/store/cassandra/cassandra-store.ts';
import { makeKeyspace } from '../support/cassandra/keyspace.ts';
import { CASSANDRA_START_MS } from '../support/cassandra/node.ts';
import { cassandraOrSkip } from '../support/cassandra/shared-node.ts';
import * as steps from '../support/upstream-steps.ts';
import { type EngineFixture, startEngineFixture, TENANT } from './engine-fixture.ts';

const describeCassandra = cassandraOrSkip('the cost of runs on Cassandra');

/** A run shows the model so many at most, and reads no more. */
const SHOWN_MAX = 256;
/** From its start to its end: claims, the window of messages, one answer. */
const CALLS_MAX = 60;
/** What goes by the clock, a look for cancels as an example, may fall into a run, and can only add: the cheapest of some counts. */
const RUNS = 4;

const toSum = ({ reads, writes, conditional }: ReturnType<CqlSession['getStatistics']>): number =>
  reads + writes + conditional;

describeCassandra('the cost of runs on Cassandra', () => {
  const ids = createIds(systemClock);
  let session: CqlSession;
  let fixture: EngineFixture;

  beforeAll(async () => {
    const keyspace = await makeKeyspace();
    session = await keyspace.open();
    const store = createCassandraStore({ session, clock: systemClock });
    fixture = await startEngineFixture({ openStore: async () => ({ store, close: () => store.close() }) });
  }, CASSANDRA_START_MS);
  afterAll(() => fixture.stop());

  /** Calls of the cluster for one answered run on a thread with so many messages of before. */
  const countCalls = async (messages: number): Promise<number> => {
    const { store } = fixture;
    const answers = Array.from({ length: RUNS + 1 }, () => [steps.say('Yes.')]);
    const model = fixture.upstream.script(`cost of ${messages}`, ...answers);
    const first = await fixture.ask(model);
    const threadId = first.run.thread_id;
    const scope = { tenant: TENANT, parent: threadId };
    const [example] = (await store.list('messages', scope, { limit: 1, order: 'asc' })).items;
    for (let count = 0; count < messages; count += 1) {
      const record = { ...example?.record, id: ids.create('message') };
      await store.insert('messages', scope, record, { isFresh: true });
    }
    const counts: number[] = [];
    for (let run = 0; run < RUNS; run += 1) {
      const before = toSum(session.getStatistics());
      await fixture.ask(model, { threadId });
      counts.push(toSum(session.getStatistics()) - before);
    }
    return Math.min(...counts);
  };

  test('is bounded, and the same for a thread of 300 and of 1,500 messages', async () => {
    const short = await countCalls(SHOWN_MAX + 44);
    const long = await countCalls(1_500);
    expect(long).toBe(short);
    expect(short).toBeLessThanOrEqual(CALLS_MAX);
  });
});
