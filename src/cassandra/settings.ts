/** What is needed to reach a cluster: the operator's words, checked by `config/`. */

export const CONSISTENCIES = Object.freeze([
  'ONE',
  'LOCAL_ONE',
  'TWO',
  'QUORUM',
  'LOCAL_QUORUM',
  'EACH_QUORUM',
  'ALL',
] as const);

export type Consistency = (typeof CONSISTENCIES)[number];

export interface CassandraTls {
  /** PEM; null: the authorities that the system trusts. */
  readonly ca: string | null;
  /** PEM, of the client; both or neither. */
  readonly certificate: string | null;
  readonly key: string | null;
}

export interface CassandraSettings {
  /** `host`, or `host:port`; the port is 9042 where none is named. */
  readonly contactPoints: readonly string[];
  /** Null: that of the first contact point. */
  readonly localDataCenter: string | null;
  readonly keyspace: string;
  readonly username: string | null;
  readonly password: string | null;
  /** Null: no TLS. */
  readonly tls: CassandraTls | null;
  /** Of reads and writes alike. */
  readonly consistency: Consistency;
  /**
   * Of a keyspace that is made: data centres and their copies. Null: `min(3, nodes)` copies in the local one.
   */
  readonly replication: Readonly<Record<string, number>> | null;
}

/** Lower case without quotes, so that the name needs none. */
export const KEYSPACE_PATTERN = '^[a-z][a-z0-9_]{0,47}$';
