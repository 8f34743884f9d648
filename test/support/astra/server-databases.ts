/** Databases of the emulated Astra for the tests' servers, each with a keyspace and a token of its own. */

import { SUPERUSER, startCassandra } from '../cassandra/node.ts';
import type { KeyspaceHost } from '../cassandra/server-keyspaces.ts';
import { startAstra } from './astra.ts';

const HEAP_MIB = 1024;

/** Everything ends with this process. */
export async function openAstraHost(): Promise<KeyspaceHost> {
  const node = await startCassandra({
    authenticator: 'password',
    commitLogSync: 'periodic',
    heapMiB: HEAP_MIB,
  });
  const astra = await startAstra({ node });
  const client = node.client({ credentials: SUPERUSER });
  await client.connect();
  let made = 0;
  return {
    contactPoint: node.contactPoint,
    login: SUPERUSER,
    client,
    async make() {
      made += 1;
      const database = await astra.createDatabase({ name: `test-${made}`, keyspace: `tests_${made}` });
      const [keyspace = ''] = database.keyspaces();
      return {
        keyspace,
        flags: ['--store', 'astra', '--astra-api-url', astra.apiUrl, '--astra-keyspace', keyspace],
        env: {
          ASTRA_DB_APPLICATION_TOKEN: astra.createToken({ databases: [database.id] }),
          ASTRA_DB_ID: database.id,
        },
      };
    },
  };
}
