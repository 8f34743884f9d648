/** A node that is killed while it holds vectors starts again: none of them is of a kind that it cannot read back. */

import { afterAll, beforeAll, expect, test } from 'bun:test';
import { openSession } from '../../src/cassandra/connect.ts';
import type { CqlSession } from '../../src/cassandra/session.ts';
import { systemClock } from '../../src/clock.ts';
import { createCassandraVectorIndex } from '../../src/vector/cassandra/cassandra-vector-index.ts';
import type { VectorIndex } from '../../src/vector/vector-index.ts';
import {
  expectRefusal,
  publish,
  toChunk,
  toPlaces,
  toQuery,
  toVector,
} from '../contract/vector-index-fixture.ts';
import { CASSANDRA_START_MS, type CassandraNode, startCassandra } from '../support/cassandra/node.ts';
import { cassandraOrSkip } from '../support/cassandra/shared-node.ts';
import { makeIndexTables, toIndexSettings } from './cassandra-index.ts';

const SUITE = 'the vector index on a node that is killed';

cassandraOrSkip(SUITE, { needsOwnNode: true })(SUITE, () => {
  let node: CassandraNode;
  let session: CqlSession;
  let index: VectorIndex;

  beforeAll(async () => {
    node = await startCassandra();
    const settings = toIndexSettings(node.contactPoint, 'killed');
    await makeIndexTables(settings);
    session = await openSession(settings);
    index = createCassandraVectorIndex({ session, clock: systemClock });
  }, CASSANDRA_START_MS);
  afterAll(async () => {
    await index.close();
    await session.close();
    await node.stop();
  }, CASSANDRA_START_MS);

  test(
    'what was published is found after the restart, and what was staged goes on',
    async () => {
      const scope = { tenant: 'tenant', store: 'store' };
      const chunks = Array.from({ length: 300 }, (_, position) =>
        toChunk(position, `all w${position}`, toVector(1, position, 7)),
      );
      await publish(index, scope, 'file', chunks);
      for (const bad of [Float32Array.of(0, 0, 0), Float32Array.of(Number.NaN, 1, 1)]) {
        await expectRefusal(index.stageChunks(scope, 'bad', 'first', [toChunk(0, 'bad', bad)]), 'misuse');
        await expectRefusal(index.search(scope, toQuery('', bad)), 'misuse');
      }
      await index.stageChunks(scope, 'staged', 'first', chunks.slice(0, 50));
      const query = toQuery('all w7', toVector(1, 7, 7));
      const before = await index.search(scope, query);
      await node.kill();
      await expectRefusal(index.search(scope, query), 'unavailable');
      await node.restart();
      expect(await index.search(scope, query)).toEqual(before);
      expect(toPlaces(before)[0]).toBe('file:7');
      expect(await index.countStaged(scope, 'staged', 'first')).toBe(50);
      await index.publishFile(scope, { file: 'staged', attributes: {}, languages: [] }, 'first');
      expect((await index.describe(scope)).chunks).toBe(350);
    },
    CASSANDRA_START_MS,
  );
});
