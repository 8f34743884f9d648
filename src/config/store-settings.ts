/** The settings of stores on other machines: part of the table in `settings.ts`. */

import { Type } from '@sinclair/typebox';
import { KEYSPACE_PATTERN } from '../cassandra/settings.ts';
import { LIST_MAX, Name, setting, TEXT_MAX } from './setting.ts';

/** `node.example`, `10.0.0.5:9042`, `[fd00::1]:9042`, `fd00::1` */
const CONTACT_POINT_PATTERN =
  '^(\\[[0-9A-Fa-f:.]+\\](:\\d{1,5})?|[A-Za-z0-9._-]+(:\\d{1,5})?|[0-9A-Fa-f:]+)$';
/** `dc1:3` */
const REPLICATION_PATTERN = '^[A-Za-z0-9._-]+:\\d{1,2}$';

export const STORE_SETTINGS = {
  cassandraContactPoints: setting({
    flag: 'cassandra-contact-points',
    argument: 'HOST',
    schema: Type.Array(Type.String({ pattern: CONTACT_POINT_PATTERN, maxLength: 300 }), {
      maxItems: LIST_MAX,
    }),
    fallback: [] as string[],
    about: 'A node, as host or host:port, by which the cluster is found. May be repeated.',
  }),
  cassandraLocalDatacenter: setting({
    flag: 'cassandra-local-datacenter',
    argument: 'NAME',
    schema: Type.String({ maxLength: 256 }),
    fallback: '',
    about: "The data centre whose nodes are asked. Without it: the first contact point's.",
  }),
  cassandraKeyspace: setting({
    flag: 'cassandra-keyspace',
    argument: 'NAME',
    schema: Type.String({ pattern: KEYSPACE_PATTERN, maxLength: 48 }),
    fallback: 'understudy',
    about: 'The keyspace; made when it is missing and the role may.',
  }),
  cassandraReplication: setting({
    flag: 'cassandra-replication',
    argument: 'DC:COPIES',
    schema: Type.Array(Type.String({ pattern: REPLICATION_PATTERN, maxLength: 300 }), { maxItems: LIST_MAX }),
    fallback: [] as string[],
    about:
      'Copies in a data centre of a keyspace that is made (dc1:3). May be repeated. Without it: 3, or as many as nodes.',
  }),
  cassandraConsistency: setting({
    flag: 'cassandra-consistency',
    argument: 'LEVEL',
    schema: Type.Union([
      Type.Literal('LOCAL_QUORUM'),
      Type.Literal('QUORUM'),
      Type.Literal('EACH_QUORUM'),
      Type.Literal('ALL'),
      Type.Literal('LOCAL_ONE'),
      Type.Literal('ONE'),
      Type.Literal('TWO'),
    ]),
    fallback: 'LOCAL_QUORUM' as const,
    about:
      'How many copies answer before a read or write counts. Below a quorum, a read may miss what was just written.',
  }),
  cassandraUsername: setting({
    flag: 'cassandra-username',
    argument: 'NAME',
    schema: Type.String({ maxLength: 256 }),
    fallback: '',
    about: 'The role to log in as; its password is in UNDERSTUDY_CASSANDRA_PASSWORD.',
  }),
  cassandraTls: setting({
    flag: 'cassandra-tls',
    argument: null,
    schema: Type.Boolean(),
    fallback: false,
    about: 'Speak TLS with the cluster; implied by any of the following files.',
  }),
  cassandraCaFile: setting({
    flag: 'cassandra-ca-file',
    argument: 'FILE',
    schema: Type.String({ maxLength: TEXT_MAX }),
    fallback: '',
    about: "The authority of the nodes' certificates, as PEM. Without it: those that the system trusts.",
  }),
  cassandraCertFile: setting({
    flag: 'cassandra-cert-file',
    argument: 'FILE',
    schema: Type.String({ maxLength: TEXT_MAX }),
    fallback: '',
    about: 'The certificate that the server shows to the nodes, as PEM.',
  }),
  cassandraKeyFile: setting({
    flag: 'cassandra-key-file',
    argument: 'FILE',
    schema: Type.String({ maxLength: TEXT_MAX }),
    fallback: '',
    about: 'The key of that certificate, as PEM.',
  }),
  astraDatabase: setting({
    flag: 'astra-database',
    argument: 'NAME',
    schema: Name,
    fallback: 'understudy',
    about: 'The name of the Astra database, where neither a request nor ASTRA_DB_ID names one by its id.',
  }),
  astraKeyspace: setting({
    flag: 'astra-keyspace',
    argument: 'NAME',
    schema: Type.String({ pattern: KEYSPACE_PATTERN, maxLength: 48 }),
    fallback: 'understudy',
    about: 'The keyspace in it; made when it is missing.',
  }),
  astraCreate: setting({
    flag: 'astra-create',
    argument: 'CLOUD:REGION',
    schema: Type.String({ pattern: '^$|^[A-Za-z]+:[a-z0-9-]+$', maxLength: 100 }),
    fallback: '',
    about: 'Where to make a database for a token that has none (aws:us-east-2). Without it none is made.',
  }),
  astraSessions: setting({
    flag: 'astra-sessions',
    argument: 'NUMBER',
    schema: Type.Integer({ minimum: 1, maximum: 1000 }),
    fallback: 100,
    about: 'Databases of Astra that a worker keeps open at once.',
  }),
  astraApiUrl: setting({
    flag: 'astra-api-url',
    argument: 'URL',
    schema: Type.String({ pattern: '^https?://[^/\\s]+$', maxLength: 300 }),
    fallback: 'https://api.astra.datastax.com',
    about: "Astra's DevOps API.",
  }),
};
