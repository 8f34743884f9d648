/** What the settings say of a Cassandra cluster, with the files and the secret that they name. */

import type { CassandraSettings, CassandraTls } from '../cassandra/settings.ts';
import { Secret } from '../secret.ts';
import { type Environment, type ReadFile, readVariable } from './config-sources.ts';
import { CASSANDRA_PASSWORD_VARIABLE, type Settings } from './settings.ts';

export interface CassandraConfig extends Omit<CassandraSettings, 'password'> {
  readonly password: Secret | null;
}

/** Null where another store is chosen. What is wrong is added to `problems`. */
export function readCassandraConfig(
  settings: Settings,
  env: Environment,
  readFile: ReadFile,
  problems: string[],
): CassandraConfig | null {
  if (settings.store !== 'cassandra') return null;
  const { cassandraContactPoints: contactPoints, cassandraUsername: username } = settings;
  if (contactPoints.length === 0) {
    problems.push('--store cassandra needs a node to begin with: --cassandra-contact-points HOST.');
  }
  const password = readVariable(env, CASSANDRA_PASSWORD_VARIABLE);
  if (username !== '' && password === null) {
    problems.push(`--cassandra-username needs its password in ${CASSANDRA_PASSWORD_VARIABLE}.`);
  }
  if (username === '' && password !== null) {
    problems.push(`${CASSANDRA_PASSWORD_VARIABLE} is set, but no --cassandra-username.`);
  }
  return {
    contactPoints,
    localDataCenter: toGiven(settings.cassandraLocalDatacenter),
    keyspace: settings.cassandraKeyspace,
    username: toGiven(username),
    password: password === null ? null : new Secret(password),
    tls: readTls(settings, readFile, problems),
    consistency: settings.cassandraConsistency,
    replication: toReplication(settings.cassandraReplication),
  };
}

function readTls(settings: Settings, readFile: ReadFile, problems: string[]): CassandraTls | null {
  const { cassandraTls, cassandraCaFile, cassandraCertFile, cassandraKeyFile } = settings;
  const read = (flag: string, path: string): string | null => {
    if (path === '') return null;
    try {
      const text = readFile(path);
      if (text.includes('-----BEGIN ')) return text;
      problems.push(`--${flag} ${path} is not PEM.`);
    } catch (error) {
      problems.push(
        `--${flag} ${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
    return null;
  };
  if ((cassandraCertFile === '') !== (cassandraKeyFile === '')) {
    problems.push('--cassandra-cert-file and --cassandra-key-file go together.');
  }
  if (!cassandraTls && [cassandraCaFile, cassandraCertFile, cassandraKeyFile].every((path) => path === '')) {
    return null;
  }
  return {
    ca: read('cassandra-ca-file', cassandraCaFile),
    certificate: read('cassandra-cert-file', cassandraCertFile),
    key: read('cassandra-key-file', cassandraKeyFile),
  };
}

function toReplication(entries: readonly string[]): Record<string, number> | null {
  if (entries.length === 0) return null;
  return Object.fromEntries(
    entries.map((entry) => {
      const at = entry.lastIndexOf(':');
      return [entry.slice(0, at), Number(entry.slice(at + 1))];
    }),
  );
}

function toGiven(text: string): string | null {
  return text === '' ? null : text;
}
