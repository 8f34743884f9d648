/** The file: what is opened, what is refused and left alone, how it moves forward. */

import { Database } from 'bun:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { COLLECTIONS, type CollectionSpec } from '../../src/store/collections.ts';
import { APPLICATION_ID, MIGRATIONS, type Migration, openDatabase } from '../../src/store/sqlite/schema.ts';
import { DATABASE_FILE } from '../../src/store/sqlite/sqlite-store.ts';
import { StoreError } from '../../src/store/store.ts';
import { makeSqliteDirectory, type SqliteDirectory } from './sqlite-directory.ts';

describe('the SQLite file', () => {
  let directory: SqliteDirectory;
  let file: string;
  beforeEach(async () => {
    directory = await makeSqliteDirectory();
    file = join(directory.path, DATABASE_FILE);
  });
  afterEach(() => directory.remove());

  const openWith = (
    migrations: readonly Migration[],
    collections: Readonly<Record<string, CollectionSpec>> = COLLECTIONS,
  ) => openDatabase({ directory: directory.path, file, lockWaitMs: 5000, migrations, collections });
  const readVersion = (database: Database): unknown => database.query('PRAGMA user_version').values()[0]?.[0];

  test('a data directory that is missing is made for its owner only, and so are the files', async () => {
    const path = join(directory.path, 'a', 'b');
    const store = await directory.open({ directory: path });
    await store.insert('assistants', { tenant: 't' }, { id: 'a' });
    expect(statSync(path).mode & 0o777).toBe(0o700);
    for (const name of [DATABASE_FILE, `${DATABASE_FILE}-wal`, `${DATABASE_FILE}-shm`]) {
      expect(statSync(join(path, name)).mode & 0o777).toBe(0o600);
    }
  });

  test('a new file carries our mark and the number of the last migration, syncs fully and keeps a write-ahead log', () => {
    const database = openWith(MIGRATIONS);
    expect(database.query('PRAGMA application_id').values()).toEqual([[APPLICATION_ID]]);
    expect(readVersion(database)).toBe(MIGRATIONS.length);
    expect(database.query('PRAGMA journal_mode').values()).toEqual([['wal']]);
    expect(database.query('PRAGMA synchronous').values()).toEqual([[2]]);
    database.close();
  });

  test('a file of version 1 goes through every later migration once, in order, and keeps its records', async () => {
    const store = await directory.open();
    await store.insert('assistants', { tenant: 't' }, { id: 'kept' });
    await store.close();
    const applied: string[] = [];
    const toMigration = (name: string, sql: string): Migration => ({
      name,
      apply(database) {
        applied.push(name);
        database.run(sql);
      },
    });
    const later: Migration[] = [
      toMigration('add', 'CREATE TABLE added (n INTEGER)'),
      toMigration('fill', 'INSERT INTO added VALUES (7)'),
    ];
    const database = openWith([...MIGRATIONS, ...later]);
    expect(applied).toEqual(['add', 'fill']);
    expect(readVersion(database)).toBe(MIGRATIONS.length + 2);
    expect(database.query('SELECT n FROM added').values()).toEqual([[7]]);
    expect(database.query('SELECT id FROM assistants').values()).toEqual([['kept']]);
    database.close();
    openWith([...MIGRATIONS, ...later]).close();
    expect(applied).toEqual(['add', 'fill']);
  });

  test('a migration that fails leaves the file at the version before it, as it was', () => {
    openWith(MIGRATIONS).close();
    const failing: Migration = {
      name: 'half',
      apply(database) {
        database.run('CREATE TABLE half (n INTEGER)');
        throw new Error('the migration broke');
      },
    };
    expect(() => openWith([...MIGRATIONS, failing])).toThrow('the migration broke');
    const database = openWith(MIGRATIONS);
    expect(readVersion(database)).toBe(MIGRATIONS.length);
    expect(database.query("SELECT name FROM sqlite_schema WHERE name = 'half'").values()).toEqual([]);
    database.close();
  });

  test('a file of a newer version is refused, and nothing in it is changed', async () => {
    openWith([...MIGRATIONS, { name: 'later', apply: () => {} }]).close();
    const before = readFileSync(file);
    const error = await directory.open().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(StoreError);
    expect(String(error)).toContain('newer version');
    expect(readFileSync(file)).toEqual(before);
  });

  test('a database of another program is refused, and nothing in it is changed', async () => {
    const foreign = new Database(file);
    foreign.run('CREATE TABLE theirs (a)');
    foreign.close();
    const before = readFileSync(file);
    const error = await directory.open().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(StoreError);
    expect(String(error)).toContain('another program');
    expect(readFileSync(file)).toEqual(before);
  });

  test('a file that is no database is refused, and nothing in it is changed', async () => {
    writeFileSync(file, 'Dear diary, '.repeat(1000));
    const error = await directory.open().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(StoreError);
    expect(String(error)).toContain('not a database');
    expect(readFileSync(file, 'utf8')).toStartWith('Dear diary');
  });

  test('an empty file is a new database', async () => {
    writeFileSync(file, '');
    const store = await directory.open();
    await store.insert('assistants', { tenant: 't' }, { id: 'a' });
    expect((await store.get('assistants', { tenant: 't' }, 'a'))?.version).toBe(1);
  });

  test('a directory that cannot be made or written says so, with its path', async () => {
    writeFileSync(join(directory.path, 'file'), '');
    const path = join(directory.path, 'file', 'data');
    const error = await directory.open({ directory: path }).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(StoreError);
    expect(error).toMatchObject({ code: 'unavailable', message: expect.stringContaining(path) });
  });

  test('a collection that is declared later has its tables at the next start, without a migration', () => {
    openWith(MIGRATIONS).close();
    const notes: CollectionSpec = { parented: false, filters: [], metadataFilter: false };
    const database = openWith(MIGRATIONS, { ...COLLECTIONS, notes });
    expect(database.query('SELECT count(*) FROM notes').values()).toEqual([[0]]);
    expect(readVersion(database)).toBe(MIGRATIONS.length);
    database.close();
  });

  test('a filter that is declared later finds the records that were there before', async () => {
    const store = await directory.open();
    for (let number = 0; number < 1200; number += 1) {
      const record = {
        id: `run-${number}`,
        status: number % 400 === 0 ? 'rare' : 'common',
        metadata: { k: 'v' },
      };
      void store.insert('runs', { tenant: 't', parent: 'p' }, record);
    }
    await store.close();
    const runs: CollectionSpec = { parented: true, filters: ['status'], metadataFilter: true };
    const database = openWith(MIGRATIONS, { ...COLLECTIONS, runs });
    const find = database.query('SELECT id FROM runs_filters WHERE field = ? AND value = ? ORDER BY id');
    expect(find.values('status', 'rare')).toEqual([['run-0'], ['run-400'], ['run-800']]);
    expect(find.values('metadata.k', 'v')).toHaveLength(1200);
    database.close();
    // And forgets it when the declaration is gone again.
    const plain = openWith(MIGRATIONS);
    expect(plain.query('SELECT count(*) FROM runs_filters').values()).toEqual([[0]]);
    plain.close();
  });
});
