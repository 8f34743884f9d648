/** Every engine of the vector index port, against one contract. */

import { describe } from 'bun:test';
import { cassandraOrSkip } from '../support/cassandra/shared-node.ts';
import { openCassandraIndex } from '../vector/cassandra-index.ts';
import { openSqliteIndex } from '../vector/index-directory.ts';
import { describeVectorIndexContract, type OpenIndex } from './vector-index.ts';

const ENGINES: readonly (readonly [name: string, open: OpenIndex, describeEngine: typeof describe])[] = [
  ['sqlite', openSqliteIndex, describe],
  ['cassandra', openCassandraIndex, cassandraOrSkip('the vector index on Cassandra')],
];

for (const [name, open, describeEngine] of ENGINES) {
  describeEngine(name, () => describeVectorIndexContract(name, open));
}
