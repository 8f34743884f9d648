/** Every engine of the store port, against one contract. */

import { openSqliteStore } from '../store/sqlite-directory.ts';
import { openCassandraStore } from '../support/cassandra/keyspace.ts';
import { cassandraOrSkip } from '../support/cassandra/shared-node.ts';
import { describeStoreContract } from './store.ts';

describeStoreContract('sqlite', openSqliteStore);

const describeCassandra = cassandraOrSkip('store contract: cassandra');
describeCassandra('on Cassandra', () => describeStoreContract('cassandra', openCassandraStore));
