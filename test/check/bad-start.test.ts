/** What a wrong start says: one clear line, exit code 2, no stack trace, whatever was wrong. */

import { Database } from 'bun:sqlite';
import { afterAll, describe, expect, test } from 'bun:test';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { APPLICATION_ID } from '../../src/store/sqlite/schema.ts';
import { runProgram } from './program.ts';

const folder = mkdtempSync(join(tmpdir(), 'understudy-bad-start-'));
const taken = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data() {} } });
const data = join(folder, 'data');
const SERVE = ['serve', '--port', '0', '--data', data];
const isRoot = process.getuid?.() === 0;
/** Any user but root, who may do everything. */
const AS_STRANGER = ['setpriv', '--reuid=65532', '--regid=65532', '--clear-groups'];

function writeText(name: string, text: string): string {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
}

function makeDatabase(name: string, statements: readonly string[]): string {
  const directory = join(folder, name);
  mkdirSync(directory);
  const database = new Database(join(directory, 'understudy.db'));
  for (const statement of statements) database.run(statement);
  database.close();
  return directory;
}

const CASES: Readonly<Record<string, { readonly args: readonly string[]; readonly says: RegExp }>> = {
  'a flag that there is not': {
    args: ['serve', '--prot', '1'],
    says: /no flag --prot\. Did you mean --port/,
  },
  'a command that there is not': { args: ['sreve'], says: /no command 'sreve'/ },
  'a value that does not fit': { args: ['serve', '--workers', 'many'], says: /--workers must be a whole/ },
  'a flag without its value': { args: ['serve', '--port'], says: /--port needs a value/ },
  'a configuration file that is not there': {
    args: ['serve', '--config', join(folder, 'nowhere.yaml')],
    says: /nowhere\.yaml cannot be used: ENOENT/,
  },
  'a configuration file that is a folder': { args: ['serve', '--config', folder], says: /cannot be used/ },
  'a configuration file that is no YAML': {
    args: ['serve', '--config', writeText('broken.yaml', 'port: [1,')],
    says: /broken\.yaml cannot be used/,
  },
  'a configuration file that is no JSON': {
    args: ['serve', '--config', writeText('broken.json', '{"port": ')],
    says: /broken\.json cannot be used/,
  },
  'a setting that there is not': {
    args: ['serve', '--config', writeText('slip.yaml', 'prot: 8700')],
    says: /no setting 'prot'.*Did you mean 'port'/,
  },
  'an open door that nobody meant': { args: ['serve', '--host', '0.0.0.0'], says: /--allow-open/ },
  'a certificate file that is not there': {
    args: [
      ...SERVE,
      '--store',
      'cassandra',
      '--cassandra-contact-points',
      'x',
      '--cassandra-ca-file',
      '/no/ca.pem',
    ],
    says: /\/no\/ca\.pem cannot be read/,
  },
  'a port in use': {
    args: ['serve', '--data', data, '--port', String(taken.port)],
    says: /another program has that port/,
  },
  'a port in use, with several workers': {
    args: ['serve', '--data', data, '--port', String(taken.port), '--workers', '2'],
    says: /another program has that port/,
  },
  'a port in use, with connections that the primary hands on': {
    args: ['serve', '--data', data, '--port', String(taken.port), '--workers', '2', '--balance', 'primary'],
    says: /another program has that port/,
  },
  'an address of another machine': {
    args: ['serve', '--data', data, '--port', '0', '--host', '192.0.2.1', '--allow-open'],
    says: /not of this machine/,
  },
  'a data directory that cannot be made': {
    args: ['serve', '--port', '0', '--data', '/dev/null/data'],
    says: /'\/dev\/null\/data' cannot be made/,
  },
  'a database of a newer version': {
    args: [
      'serve',
      '--port',
      '0',
      '--data',
      makeDatabase('newer', [`PRAGMA application_id = ${APPLICATION_ID}`, 'PRAGMA user_version = 99']),
    ],
    says: /newer/,
  },
  'a database of another program': {
    args: ['serve', '--port', '0', '--data', makeDatabase('foreign', ['CREATE TABLE theirs (a)'])],
    says: /another program/,
  },
  'tables that cannot be made beforehand': {
    args: ['migrate', '--data', '/dev/null/data'],
    says: /'\/dev\/null\/data' cannot be made/,
  },
};

describe('a start with', () => {
  for (const [name, { args, says }] of Object.entries(CASES)) {
    test(`${name} ends with 2 and one line`, async () => {
      const ended = await runProgram([...args, ...(args[0] === 'serve' ? ['--log-level', 'error'] : [])]);
      expect(ended.stderr).toMatch(says);
      expect(ended.stderr.trimEnd().split('\n')).toHaveLength(1);
      expect(ended.stderr).toStartWith('understudy: ');
      expect(ended.stderr).not.toMatch(/\n\s+at /);
      expect(ended.stdout).toBe('');
      expect(ended.code).toBe(2);
    });
  }

  test.skipIf(!isRoot || process.platform !== 'linux')(
    'a data directory that this user may not write ends with 2 and one line',
    async () => {
      const directory = join(folder, 'not-mine');
      mkdirSync(directory, { mode: 0o755 });
      chmodSync(folder, 0o755);
      const args = ['serve', '--port', '0', '--log-level', 'error', '--data', directory];
      const ended = await runProgram(args, { within: AS_STRANGER, env: { HOME: '/tmp' } });
      expect(ended.stderr).toMatch(/not-mine\/understudy\.db' cannot be made: EACCES/);
      expect(ended.stderr.trimEnd().split('\n')).toHaveLength(1);
      expect(ended.code).toBe(2);
    },
  );
});

afterAll(() => {
  taken.stop(true);
  rmSync(folder, { recursive: true, force: true });
});
