/** What is particular to the index in a file: rows, segments, memory, other processes, the threads. */

import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { cpSync, existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createRandom } from '../../bench/support/clustered-vectors.ts';
import { StoreError } from '../../src/store/store.ts';
import { INDEX_FILE, type SqliteVectorIndex } from '../../src/vector/sqlite/sqlite-vector-index.ts';
import type { IndexScope, NewChunk } from '../../src/vector/vector-index.ts';
import {
  expectRefusal,
  publish,
  toChunk,
  toChunks,
  toPlaces,
  toQuery,
  toVector,
} from '../contract/vector-index-fixture.ts';
import { searchSlowly } from '../contract/vector-index-reference.ts';
import { SHARED_SCOPE } from './index-child.ts';
import { type IndexDirectory, makeIndexDirectory, waitUntil } from './index-directory.ts';
import { startIndexChild } from './index-process.ts';

const SOURCE = join(import.meta.dir, '../../src');
const SCOPE: IndexScope = { tenant: 't', store: 's' };

function toFile(count: number, seed = 1): NewChunk[] {
  const random = createRandom(seed);
  return Array.from({ length: count }, (_, position) => {
    const vector = toVector(...Array.from({ length: 32 }, () => random() - 0.5));
    return toChunk(position, `all s${seed} w${Math.floor(50 * random() ** 2)} p${position}`, vector);
  });
}

describe('the SQLite index', () => {
  let directory: IndexDirectory;
  let index: SqliteVectorIndex;
  beforeEach(async () => {
    directory = await makeIndexDirectory();
    index = await directory.open();
  });
  afterEach(() => directory.remove());

  describe('rows', () => {
    test('the files are readable for their owner only', async () => {
      await publish(index, SCOPE, 'file', toChunks('apple'));
      for (const name of [INDEX_FILE, `${INDEX_FILE}-wal`, `${INDEX_FILE}-shm`]) {
        expect(statSync(join(directory.path, name)).mode & 0o777).toBe(0o600);
      }
    });

    test('a removed store leaves no row in any table, whatever state its files were in', async () => {
      await publish(index, SCOPE, 'large', toFile(1500));
      await publish(index, SCOPE, 'small', toFile(3));
      await publish(index, SCOPE, 'small', toFile(4), { ingest: 'second' });
      await index.stageChunks(SCOPE, 'staged', 'first', toFile(200));
      await index.stageChunks(SCOPE, 'large', 'second', toFile(200));
      await index.removeStore(SCOPE);
      expect(directory.countRows()).toEqual({});
    });

    test('removed files leave nothing but the store itself; replaced and dropped ones neither', async () => {
      await publish(index, SCOPE, 'file', toFile(700));
      await publish(index, SCOPE, 'file', toFile(600), { ingest: 'second' });
      await index.stageChunks(SCOPE, 'file', 'third', toFile(256));
      await index.stageChunks(SCOPE, 'file', 'fourth', toFile(256));
      await index.removeFile(SCOPE, 'file');
      await waitUntil(() =>
        Object.keys(directory.countRows()).every((table) => ['stores', 'centres'].includes(table)),
      );
      expect(directory.countRows().stores).toBe(1);
    });

    test('what a published file was staged with goes, and the file stays', async () => {
      await publish(index, SCOPE, 'file', toFile(700));
      await waitUntil(() => directory.countRows().staged_terms === undefined);
      expect(directory.countRows()).toMatchObject({ chunks: 700, vectors: 700, versions: 1 });
      expect(await index.search(SCOPE, toQuery('p699', null))).toHaveLength(1);
    });
  });

  describe('segments', () => {
    test('a store of many small files has few segments, and every search by words answers as an exhaustive one does', async () => {
      const FILES = 200;
      const files = Array.from({ length: FILES }, (_, number) => ({
        entry: { file: `file-${number}`, attributes: { n: number % 3 }, languages: ['en'] },
        chunks: toFile(1 + (number % 5), number),
      }));
      for (const { entry, chunks } of files) await publish(index, SCOPE, entry.file, chunks, entry);
      await waitUntil(() => (directory.countRows().segments ?? 0) < 20);
      expect((await index.getStatistics()).merges).toBeGreaterThan(100);
      const random = createRandom(5);
      for (let question = 0; question < 30; question += 1) {
        const words = `all w${Math.floor(50 * random())} w${Math.floor(50 * random())} p1 s${Math.floor(FILES * random())}`;
        const query = toQuery([...new Set(words.split(' '))].join(' '), null, { wanted: 30 });
        const expected = searchSlowly(files, query).map(({ file, position }) => `${file}:${position}`);
        expect(toPlaces(await index.search(SCOPE, query))).toEqual(expected);
      }
    });

    test('after most files are removed, their words go too, and those of the others are found', async () => {
      const FILES = 120;
      for (let number = 0; number < FILES; number += 1)
        await publish(index, SCOPE, `file-${number}`, toFile(10, number));
      await waitUntil(() => (directory.countRows().segments ?? 0) < 20);
      for (let number = 0; number < FILES; number += 1) {
        if (number % 10 !== 0) await index.removeFile(SCOPE, `file-${number}`);
      }
      await waitUntil(() => (directory.countRows().members ?? 0) === FILES / 10);
      for (let number = 0; number < FILES; number += 1) {
        const hits = await index.search(SCOPE, toQuery(`s${number}`, null, { wanted: 20 }));
        expect(hits).toHaveLength(number % 10 === 0 ? 10 : 0);
      }
    });
  });

  describe('long work', () => {
    test('a large file that is published holds up neither searches nor small files', async () => {
      const CHUNKS = 6000;
      await publish(index, SCOPE, 'before', toFile(5));
      const order: string[] = [];
      for (let from = 0; from < CHUNKS; from += 250) {
        const part = toFile(250, 3).map((chunk, i) => ({ ...chunk, position: from + i }));
        void index.stageChunks(SCOPE, 'large', 'first', part);
      }
      const entry = { file: 'large', attributes: {}, languages: ['en'] };
      const large = index
        .publishFile(SCOPE, entry, 'first')
        .then(({ chunks }) => order.push(`large ${chunks}`));
      const small = publish(index, SCOPE, 'small', toFile(5)).then(() => order.push('small'));
      const search = index
        .search(SCOPE, toQuery('all', null))
        .then((hits) => order.push(`search ${hits.length}`));
      await Promise.all([large, small, search]);
      expect(order).toEqual(['search 5', 'small', `large ${CHUNKS}`]);
      expect((await index.describe(SCOPE)).chunks).toBe(CHUNKS + 10);
    }, 60_000);
  });

  describe('memory', () => {
    test('stores beyond the bound give way to those that are searched, and answer the same when they come back', async () => {
      const cacheBytesMax = 1024 * 1024;
      const bounded = await directory.open({ cacheBytesMax });
      const scopes = Array.from({ length: 8 }, (_, number) => ({ tenant: 't', store: `s${number}` }));
      for (const [number, scope] of scopes.entries())
        await publish(bounded, scope, 'file', toFile(900, number));
      const ask = (scope: IndexScope) =>
        bounded.search(scope, toQuery('all w1', toFile(1, 99)[0]?.vector ?? null));
      const first = [];
      for (const scope of scopes) first.push(await ask(scope));
      for (let round = 0; round < 2; round += 1) {
        for (const [number, scope] of scopes.entries()) {
          const hits = await ask(scope);
          expect(hits).toEqual(first[number] ?? []);
          expect((await bounded.getStatistics()).cachedBytes).toBeLessThanOrEqual(cacheBytesMax);
        }
      }
      // Side by side, too.
      expect(await Promise.all(scopes.map(ask))).toEqual(first);
      const { evictions, cachedStores } = await bounded.getStatistics();
      expect(evictions).toBeGreaterThan(8);
      expect(cachedStores).toBeLessThan(scopes.length);
    });

    test('a store that is larger than the bound alone is searched all the same', async () => {
      const bounded = await directory.open({ cacheBytesMax: 1000 });
      const chunks = toFile(900);
      await publish(bounded, SCOPE, 'file', chunks);
      for (const position of [0, 450, 899]) {
        const hits = await bounded.search(
          SCOPE,
          toQuery('', chunks[position]?.vector ?? null, { wanted: 1 }),
        );
        expect(toPlaces(hits)).toEqual([`file:${position}`]);
      }
    });

    test('a file that is replaced again and again leaves no trail in memory', async () => {
      const ROUNDS = 40;
      const chunks = toFile(600);
      const sizes: number[] = [];
      for (let round = 0; round < ROUNDS; round += 1) {
        await publish(index, SCOPE, 'file', chunks, { ingest: `attempt-${round}` });
        expect(
          await index.search(SCOPE, toQuery('p5', chunks[5]?.vector ?? null, { wanted: 1 })),
        ).toHaveLength(1);
        sizes.push((await index.getStatistics()).cachedBytes);
      }
      const half = sizes.slice(0, ROUNDS / 2);
      expect(Math.max(...sizes)).toBeLessThanOrEqual(1.2 * Math.max(...half));
    });
  });

  describe('several processes', () => {
    test('files of two processes that publish side by side are all found by a third, each in its next search', async () => {
      const FILES = 60;
      await index.describe(SHARED_SCOPE);
      const children = [0, 1].map(() => startIndexChild('small', directory.path, String(FILES)));
      const published = new Set<string>();
      await Promise.all(
        children.map(async ({ lines }) => {
          for await (const file of lines) {
            published.add(file);
            const wanted = published.size;
            const hits = await index.search(
              SHARED_SCOPE,
              toQuery('all', toVector(1, 2, 2, 3), { wanted: 200 }),
            );
            expect(hits.length).toBeGreaterThanOrEqual(wanted);
            expect(new Set(toPlaces(hits)).size).toBe(hits.length);
          }
        }),
      );
      for (const child of children) expect(await child.wait()).toEqual({ exitCode: 0, errors: '' });
      expect(published.size).toBe(2 * FILES);
      const hits = await index.search(SHARED_SCOPE, toQuery('all', null, { wanted: 200 }));
      expect(new Set(hits.map(({ file }) => file))).toEqual(published);
    }, 60_000);

    test('while another process holds the lock, searches are answered, and writes wait for it', async () => {
      await publish(index, SCOPE, 'file', toChunks('apple'));
      const holder = startIndexChild('hold', directory.path);
      expect(await holder.readLine()).toBe('held');
      let isStaged = false;
      const staged = index.stageChunks(SCOPE, 'other', 'first', toChunks('pear')).then(() => {
        isStaged = true;
      });
      await waitUntil(async () => (await index.getStatistics()).lockWaits > 3);
      expect(toPlaces(await index.search(SCOPE, toQuery('apple', null)))).toEqual(['file:0']);
      expect(isStaged).toBe(false);
      holder.endInput();
      await staged;
      expect(await index.countStaged(SCOPE, 'other', 'first')).toBe(1);
      await holder.wait();
    });

    test('a lock that is held for too long refuses writes as unavailable, and nothing is half written', async () => {
      const impatient = await directory.open({ lockWaitMs: 50 });
      const holder = startIndexChild('hold', directory.path);
      expect(await holder.readLine()).toBe('held');
      await expectRefusal(impatient.stageChunks(SCOPE, 'file', 'first', toChunks('apple')), 'unavailable');
      await expectRefusal(impatient.removeStore(SCOPE), 'unavailable');
      holder.endInput();
      await holder.wait();
      await publish(impatient, SCOPE, 'file', toChunks('apple'));
      expect(toPlaces(await impatient.search(SCOPE, toQuery('apple', null)))).toEqual(['file:0']);
    });
  });

  describe('threads', () => {
    test('when one dies, calls of it are refused as unavailable, it is told once, and close ends', async () => {
      for (const victim of ['writing', 'reading'] as const) {
        const lost: string[] = [];
        const threads = {
          writing: new Worker(join(SOURCE, 'vector/sqlite/write-thread.ts')),
          reading: new Worker(join(SOURCE, 'vector/sqlite/read-thread.ts')),
        };
        const opened = await directory.open({
          startThreads: () => threads,
          onLost: (reason) => lost.push(reason),
        });
        await publish(opened, SCOPE, 'file', toChunks('apple'));
        threads[victim].terminate();
        const call =
          victim === 'writing'
            ? opened.removeFile(SCOPE, 'file')
            : opened.search(SCOPE, toQuery('apple', null));
        await expectRefusal(call, 'unavailable');
        await opened.close();
        expect(lost).toHaveLength(1);
      }
    });

    test('a directory that cannot be made, and a file of another program, are refused with their names', async () => {
      writeFileSync(join(directory.path, 'file'), '');
      const path = join(directory.path, 'file', 'data');
      const error = await directory.open({ directory: path }).catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(StoreError);
      expect(error).toMatchObject({ code: 'unavailable', message: expect.stringContaining(path) });
      const other = join(directory.path, 'other');
      mkdirSync(other);
      writeFileSync(join(other, INDEX_FILE), 'Dear diary, '.repeat(1000));
      await expectRefusal(directory.open({ directory: other }), 'unavailable');
      expect(existsSync(join(other, `${INDEX_FILE}-wal`))).toBe(false);
    });

    test('a compiled executable finds its threads, away from the source', async () => {
      const copy = join(directory.path, 'project');
      mkdirSync(copy);
      cpSync(SOURCE, join(copy, 'src'), { recursive: true });
      writeFileSync(
        join(copy, 'src/entry.ts'),
        `import { createSqliteVectorIndex } from './vector/sqlite/sqlite-vector-index.ts';
        const index = await createSqliteVectorIndex({ directory: process.argv[2] ?? '' });
        const scope = { tenant: 't', store: 's' };
        const vectors = Array.from({ length: 300 }, (_, i) => Float32Array.of(Math.cos(i), Math.sin(i)));
        const toChunk = (vector, i) => ({ position: i, text: 'text ' + i, start: 0, end: 1, page: null, context: '', terms: '1', tokens: 1, vector });
        await index.stageChunks(scope, 'f', 'i', vectors.slice(0, 256).map(toChunk));
        await index.stageChunks(scope, 'f', 'i', vectors.slice(256).map((vector, i) => toChunk(vector, 256 + i)));
        await index.publishFile(scope, { file: 'f', attributes: {}, languages: [] }, 'i');
        const query = { vector: vectors[299], terms: [], wanted: 1, weights: { vector: 1, keyword: 0 }, filter: null };
        console.log((await index.search(scope, query))[0]?.chunk.text);
        await index.close();`,
      );
      const executable = join(directory.path, 'executable');
      const threads = ['src/vector/sqlite/write-thread.ts', 'src/vector/sqlite/read-thread.ts'];
      const build = ['build', '--compile', '--root=src', 'src/entry.ts', ...threads, '--outfile', executable];
      const built = Bun.spawn([process.execPath, ...build], { cwd: copy, stdout: 'ignore', stderr: 'pipe' });
      expect([await built.exited, await new Response(built.stderr).text()]).toEqual([0, '']);
      await Bun.spawn(['rm', '-r', copy]).exited;
      const run = Bun.spawn([executable, join(directory.path, 'data')], { stdout: 'pipe', stderr: 'pipe' });
      expect(await new Response(run.stdout).text()).toBe('text 299\n');
      expect([await run.exited, await new Response(run.stderr).text()]).toEqual([0, '']);
    }, 60_000);
  });
});
