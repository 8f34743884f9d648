/** Searches of stores that are too large to be compared chunk by chunk, with the bounds brought down: the same as elsewhere. */

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { createRandom, createVectorSource } from '../../bench/support/clustered-vectors.ts';
import { makeQuestionTerms, makeText } from '../../bench/support/zipf-words.ts';
import { systemClock } from '../../src/clock.ts';
import type { AttributeFilter } from '../../src/vector/attribute-filter.ts';
import { createCassandraVectorIndex } from '../../src/vector/cassandra/cassandra-vector-index.ts';
import type {
  IndexScope,
  NewChunk,
  SearchHit,
  SearchQuery,
  VectorIndex,
} from '../../src/vector/vector-index.ts';
import { toQuery } from '../contract/vector-index-fixture.ts';
import { type ReferenceFile, searchSlowly } from '../contract/vector-index-reference.ts';
import { CASSANDRA_START_MS } from '../support/cassandra/node.ts';
import { cassandraOrSkip } from '../support/cassandra/shared-node.ts';
import { openCassandraIndex, openIndexSession } from './cassandra-index.ts';
import { openSqliteIndex } from './index-directory.ts';

const SUITE = 'large stores on Cassandra';
const PLAN = { seed: 11, dimensions: 64, files: 84, chunksPerFile: 26, topics: 20 };
const QUESTIONS = 50;
const WANTED = 10;
/** Scores that are so close may change places. */
const NEAR_TIE = 1e-4;
const LOAD_MS = 180_000;

function makeFiles(): readonly ReferenceFile[] {
  const source = createVectorSource(PLAN);
  return Array.from({ length: PLAN.files }, (_, file) => {
    const random = createRandom(file + 1);
    const chunks = source.makeFile(file).map((vector, position): NewChunk => {
      const words = makeText(random, 30);
      const place = { position, start: 0, end: words.text.length, page: null, context: '', tokens: 30 };
      // Some have no vector.
      return { ...words, ...place, vector: (file + position) % 29 === 0 ? null : vector };
    });
    const attributes = { file, tenth: file % 10, half: file % 2 === 0 };
    return { entry: { file: `file-${file}`, attributes, languages: ['en'] }, chunks };
  });
}

async function load(index: VectorIndex, scope: IndexScope, files: readonly ReferenceFile[]): Promise<void> {
  for (const { entry, chunks } of files) {
    await index.stageChunks(scope, entry.file, 'first', chunks);
    await index.publishFile(scope, entry, 'first');
  }
}

/** Of every kind: by both sides, by either, with filters that pass much, little and one file. */
function makeQuestions(): readonly SearchQuery[] {
  const source = createVectorSource(PLAN);
  const filters: readonly (AttributeFilter | null)[] = [
    null,
    { type: 'eq', key: 'half', value: true },
    null,
    { type: 'eq', key: 'tenth', value: 3 },
    { type: 'eq', key: 'file', value: 7 },
  ];
  return Array.from({ length: QUESTIONS }, (_, number) => {
    const terms = number % 4 === 3 ? [] : makeQuestionTerms(createRandom(1000 + number), 4);
    const vector = number % 4 === 2 ? null : source.makeQuestion(number);
    return toQuery('', vector, { terms, wanted: WANTED, filter: filters[number % filters.length] ?? null });
  });
}

function toPlace({ file, position }: { readonly file: string; readonly position: number }): string {
  return `${file}:${position}`;
}

/** The same hits in the same order, but for those whose scores are nearly equal. */
function expectSame(
  hits: readonly SearchHit[],
  expected: readonly { readonly file: string; readonly position: number; readonly score: number }[],
): void {
  expect(hits).toHaveLength(expected.length);
  for (const [at, { file, chunk, score }] of hits.entries()) {
    const wanted = expected[at];
    if (wanted === undefined) continue;
    expect(score).toBeCloseTo(wanted.score, 4);
    if (toPlace({ file, position: chunk.position }) === toPlace(wanted)) continue;
    const isNear = expected.some(
      (other) => other !== wanted && Math.abs(other.score - score) < NEAR_TIE && other.file === file,
    );
    expect(isNear || Math.abs(score - (expected.at(-1)?.score ?? 0)) < NEAR_TIE).toBe(true);
  }
}

cassandraOrSkip(SUITE)(SUITE, () => {
  const files = makeFiles();
  const questions = makeQuestions();
  const scope = { tenant: 'tenant', store: 'store' };

  for (const [name, options] of [
    ['one shard', { exactChunksMax: 100 }],
    ['three shards', { exactChunksMax: 100, shardChunksMax: 730 }],
  ] as const) {
    describe(name, () => {
      let opened: Awaited<ReturnType<typeof openCassandraIndex>>;
      beforeAll(async () => {
        opened = await openCassandraIndex(options);
        await load(opened.index, scope, files);
      }, CASSANDRA_START_MS + LOAD_MS);
      afterAll(async () => {
        await opened.index.removeStore(scope);
        await opened.close();
      });

      test('chunks are spread over as many shards', async () => {
        const session = await openIndexSession();
        const rows = await session.read({
          cql: 'SELECT shard FROM index_versions WHERE tenant = ? AND store = ?',
          values: [opened.toTenant(scope.tenant), scope.store],
        });
        await session.close();
        const shards = new Set(rows.flatMap(({ shard }) => (typeof shard === 'number' ? [shard] : [])));
        expect(shards.size).toBe(name === 'one shard' ? 1 : 3);
      });

      test('every question has the hits of a plain scan, with and without filters', async () => {
        let found = 0;
        let wanted = 0;
        for (const query of questions) {
          const hits = await opened.index.search(scope, query);
          const expected = searchSlowly(files, query);
          const places = new Set(hits.map(({ file, chunk }) => toPlace({ file, position: chunk.position })));
          found += expected.filter((hit) => places.has(toPlace(hit))).length;
          wanted += expected.length;
          if (query.filter !== null || query.vector === null) expectSame(hits, expected);
        }
        expect(found / wanted).toBeGreaterThanOrEqual(0.99);
      }, 60_000);

      test('files that are staged, replaced or removed beside do not keep hits away', async () => {
        const { index } = opened;
        const [first] = files;
        if (first === undefined) throw new Error('No file.');
        // As many again, and nearer to all questions of one file, but never published.
        const near = first.chunks.flatMap(({ vector }) => vector ?? [])[0] ?? null;
        const staged = Array.from({ length: 250 }, (_, position): NewChunk => {
          const [chunk] = first.chunks;
          if (chunk === undefined) throw new Error('No chunk.');
          return { ...chunk, position, vector: near };
        });
        await index.stageChunks(scope, 'staged', 'first', staged);
        const query = toQuery('', near, { wanted: WANTED });
        expectSame(await index.search(scope, query), searchSlowly(files, query));
        await index.removeFile(scope, 'staged');
        expectSame(await index.search(scope, query), searchSlowly(files, query));
      }, 60_000);

      test('so it is where all chunks are compared, in memory or by the cluster', async () => {
        const session = await openIndexSession();
        const own = { tenant: opened.toTenant(scope.tenant), store: scope.store };
        for (const vectorsBytesMax of [2 ** 26, 0]) {
          const bounds = { exactChunksMax: 10_000, vectorsBytesMax };
          const index = createCassandraVectorIndex({ session, clock: systemClock, ...bounds });
          for (const query of questions) {
            expectSame(await index.search(own, query), searchSlowly(files, query));
          }
          await index.close();
        }
        await session.close();
      }, 120_000);

      test('the embedded engine finds the same', async () => {
        const embedded = await openSqliteIndex();
        await load(embedded.index, scope, files);
        for (const query of questions) {
          const hits = await embedded.index.search(scope, query);
          const expected = hits.map(({ file, chunk, score }) => ({ file, position: chunk.position, score }));
          expectSame(await opened.index.search(scope, query), expected);
        }
        await embedded.close();
      }, 60_000);
    });
  }
});
