import { describe, expect, test } from 'bun:test';
import { inspect } from 'node:util';
import { ConfigError, parseConfig } from '../../src/config/config.ts';
import type { Environment } from '../../src/config/config-sources.ts';

const PEM = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';

function parse(
  flags: readonly string[],
  env: Environment = {},
  files: Readonly<Record<string, string>> = {},
) {
  return parseConfig(['--store', 'cassandra', ...flags], env, (path) => {
    const text = files[path];
    if (text === undefined) throw new Error(`ENOENT: no such file, open '${path}'`);
    return text;
  });
}

function problemsOf(...args: Parameters<typeof parse>): readonly string[] {
  try {
    parse(...args);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

const POINT = ['--cassandra-contact-points', 'node.lan'];

describe('the settings of a Cassandra cluster', () => {
  test('a contact point is enough', () => {
    expect(parse(POINT).cassandra).toEqual({
      contactPoints: ['node.lan'],
      localDataCenter: null,
      keyspace: 'understudy',
      username: null,
      password: null,
      tls: null,
      consistency: 'LOCAL_QUORUM',
      replication: null,
    });
    expect(parseConfig([], {}, () => '').cassandra).toBeNull();
  });

  test('the password comes from its variable alone, and is not shown', () => {
    const config = parse([...POINT, '--cassandra-username', 'me'], {
      UNDERSTUDY_CASSANDRA_PASSWORD: 'opensesame',
    });
    expect(config.cassandra?.password?.reveal()).toBe('opensesame');
    expect(inspect(config, { depth: 9 })).not.toContain('opensesame');
    expect(config.warnings).toEqual([]);
  });

  test('files are read as PEM, and make the connection one of TLS', () => {
    const flags = [...POINT, '--cassandra-ca-file', 'ca.pem'];
    expect(parse(flags, {}, { 'ca.pem': PEM }).cassandra?.tls).toEqual({
      ca: PEM,
      certificate: null,
      key: null,
    });
    expect(parse([...POINT, '--cassandra-tls']).cassandra?.tls).toEqual({
      ca: null,
      certificate: null,
      key: null,
    });
  });

  test('copies are given for each data centre', () => {
    const flags = ['--cassandra-replication', 'dc1:3', '--cassandra-replication', 'dc2:2'];
    expect(parse([...POINT, ...flags]).cassandra?.replication).toEqual({ dc1: 3, dc2: 2 });
  });

  test.each([
    [
      [...POINT, '--cassandra-username', 'me'],
      {},
      '--cassandra-username needs its password in UNDERSTUDY_CASSANDRA_PASSWORD.',
    ],
    [
      POINT,
      { UNDERSTUDY_CASSANDRA_PASSWORD: 'x' },
      'UNDERSTUDY_CASSANDRA_PASSWORD is set, but no --cassandra-username.',
    ],
    [
      [...POINT, '--cassandra-cert-file', 'ca.pem'],
      {},
      '--cassandra-cert-file and --cassandra-key-file go together.',
    ],
    [
      [...POINT, '--cassandra-ca-file', 'gone.pem'],
      {},
      "--cassandra-ca-file gone.pem cannot be read: ENOENT: no such file, open 'gone.pem'",
    ],
    [[...POINT, '--cassandra-ca-file', 'text'], {}, '--cassandra-ca-file text is not PEM.'],
  ] as const)('%j is refused', (flags, env, text) => {
    expect(problemsOf(flags, env, { 'ca.pem': PEM, text: 'nothing' })).toEqual([text]);
  });
});
