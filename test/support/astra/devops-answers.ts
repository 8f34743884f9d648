/** How Astra's DevOps API shapes what it says, after its published description and what its users report. */

import { DATA_CENTRE } from '../cassandra/node.ts';
import type { AstraDatabase, DatabaseStatus } from './database.ts';

/** What the real one gives with an unknown token; the other numbers are the emulation's own. */
const ERROR_ID = 340018;

export const UNKNOWN_TOKEN =
  'Resource not found: token with identifier: auth-manager returned 404 for call %s/v2/admin/tokens?%s';
export const NO_TOKEN = 'JWT not valid';
export const NOT_PERMITTED = 'The user is unauthorized to perform the operation';
export const NOT_FOUND = 'database not found';
export const WRONG_STATE = 'database is not in a valid state to perform requested action';

export function toErrors(status: number, message: string): Response {
  return Response.json({ errors: [{ ID: ERROR_ID, message }] }, { status });
}

/** Amazon's storage, where the bundles lie. */
export function toStorageError(): Response {
  const body =
    '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>';
  return new Response(body, { status: 403, headers: { 'content-type': 'application/xml' } });
}

export function toDatabaseAnswer(database: AstraDatabase, organizationId: string): object {
  const { id, name, region, cloudProvider, createdAt } = database;
  const [keyspace, ...additionalKeyspaces] = database.keyspaces();
  const status = database.status();
  const tier = { tier: 'serverless', cloudProvider, region, capacityUnits: 1 };
  const host = `https://${id}-${region}.apps.astra.datastax.com`;
  return {
    id,
    orgId: organizationId,
    ownerId: organizationId,
    info: {
      name,
      keyspace,
      keyspaces: database.keyspaces(),
      ...(additionalKeyspaces.length === 0 ? {} : { additionalKeyspaces }),
      ...tier,
      dbType: 'vector',
      datacenters: [
        {
          id: `${id}-1`,
          name: DATA_CENTRE,
          status,
          regionZone: 'na',
          regionClassification: 'standard',
          isPrimary: true,
          ...tier,
        },
      ],
    },
    creationTime: createdAt.toISOString(),
    terminationTime: '0001-01-01T00:00:00Z',
    lastUsageTime: createdAt.toISOString(),
    status,
    observedStatus: status,
    storage: { nodeCount: 0, replicationFactor: 1, totalStorage: 0, usedStorage: 0 },
    availableActions: toActions(status),
    dataEndpointUrl: `${host}/api/rest`,
    graphqlUrl: `${host}/api/graphql`,
    metrics: {},
    cost: {},
  };
}

function toActions(status: DatabaseStatus): string[] {
  if (status !== 'ACTIVE') return status === 'HIBERNATED' ? ['terminate', 'resume'] : ['terminate'];
  return ['getCreds', 'terminate', 'addKeyspace', 'removeKeyspace', 'addDatacenters', 'launchMigrationProxy'];
}
