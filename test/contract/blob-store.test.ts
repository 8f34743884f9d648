/** Every engine of the blob store port, against one contract. */

import { openSqliteBlobStore } from '../store/blob-directory.ts';
import { openCassandraBlobStore } from '../support/cassandra/keyspace.ts';
import { cassandraOrSkip } from '../support/cassandra/shared-node.ts';
import { describeBlobStoreContract } from './blob-store.ts';

describeBlobStoreContract('sqlite', openSqliteBlobStore);

const describeCassandra = cassandraOrSkip('blob store contract: cassandra');
describeCassandra('on Cassandra', () => describeBlobStoreContract('cassandra', openCassandraBlobStore));
