/** That hybrid search finds what it should: the collection of `bench/collections`, with the vectors that come with it. */

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type Collection,
  type CollectionVectors,
  readCollection,
  readVectors,
  toUnit,
} from '../../bench/collections/collection.ts';
import { fillIndex, measureQuality, type Quality, toNdcg } from '../../bench/collections/quality.ts';
import { createSqliteVectorIndex } from '../../src/vector/sqlite/sqlite-vector-index.ts';
import type { VectorIndex } from '../../src/vector/vector-index.ts';
import { createExactVectorIndex } from '../support/exact-vector-index.ts';

const scope = { tenant: 'test', store: 'quality' };

describe('the labelled collection', () => {
  let collection: Collection;
  let qualities: ReadonlyMap<string, Quality>;
  let exact: ReadonlyMap<string, Quality>;
  let directory: string;

  beforeAll(async () => {
    collection = await readCollection();
    const vectors = await readVectors(collection);
    const measure = async (index: VectorIndex) => {
      await fillIndex(index, scope, collection, vectors);
      const measured = await measureQuality(index, scope, collection, vectors);
      await index.close();
      return measured;
    };
    directory = await mkdtemp(join(tmpdir(), 'understudy-quality-'));
    qualities = await measure(await createSqliteVectorIndex({ directory }));
    exact = await measure(createExactVectorIndex());
  });

  afterAll(async () => {
    await rm(directory, { recursive: true, force: true });
  });

  function qualityOf(group: string): Quality {
    const quality = qualities.get(group);
    if (quality === undefined) throw new Error(`There is no group ${group}.`);
    return quality;
  }

  test('is large enough to tell, and labels only what is there', () => {
    const ids = new Set(collection.documents.map(({ id }) => id));
    expect(ids.size).toBe(collection.documents.length);
    expect(ids.size).toBeGreaterThanOrEqual(150);
    expect(collection.questions.length).toBeGreaterThanOrEqual(60);
    expect(collection.questions.filter(({ group }) => group === 'needle').length).toBeGreaterThanOrEqual(25);
    for (const { relevant } of collection.questions) {
      expect(Object.keys(relevant).length).toBeGreaterThan(0);
      for (const id of Object.keys(relevant)) expect(ids.has(id)).toBe(true);
    }
  });

  test('is searched as well as by an index that compares everything', () => {
    expect([...qualities.keys()]).toEqual([...exact.keys()]);
    for (const [group, { keyword, vector, hybrid }] of exact) {
      const found = qualityOf(group);
      expect(Math.abs(found.keyword - keyword)).toBeLessThan(0.001);
      expect(Math.abs(found.vector - vector)).toBeLessThan(0.005);
      expect(Math.abs(found.hybrid - hybrid)).toBeLessThan(0.005);
    }
  });

  test('hybrid search is no worse than the better of keywords and vectors', () => {
    const { keyword, vector, hybrid } = qualityOf('all');
    expect(hybrid).toBeGreaterThanOrEqual(Math.max(keyword, vector) - 0.001);
    // What was reached; a change that loses more than this has to be meant.
    expect(hybrid).toBeGreaterThan(0.94);
  });

  test('hybrid search tells near-identical texts apart by a code, a name or a number, where vectors do not', () => {
    const { vector, hybrid } = qualityOf('needle');
    expect(hybrid).toBeGreaterThanOrEqual(0.98);
    expect(hybrid).toBeGreaterThan(vector);
  });

  test('keywords find words of every language', () => {
    for (const group of ['de', 'fr', 'ja', 'zh']) expect(qualityOf(group).keyword).toBeGreaterThan(0.95);
  });

  test('hybrid search holds in other languages with an embedder that does not know them', () => {
    for (const group of ['de', 'fr', 'ja', 'zh']) {
      const { vector, hybrid } = qualityOf(group);
      expect(hybrid).toBeGreaterThanOrEqual(vector);
      expect(hybrid).toBeGreaterThan(0.95);
    }
  });
});

test('an embedder for which all texts are alike, as some are, takes little from hybrid search', async () => {
  const collection = await readCollection();
  const vectors = await readVectors(collection);
  // What all vectors have in common brings every cosine to between 0.75 and 0.95.
  const flatten = (vector: Float32Array) => toUnit([...vector, 1.9]);
  const flat = {
    documents: vectors.documents.map(flatten),
    questions: vectors.questions.map(flatten),
  };
  const measure = async (used: CollectionVectors) => {
    const directory = await mkdtemp(join(tmpdir(), 'understudy-quality-'));
    const index = await createSqliteVectorIndex({ directory });
    try {
      await fillIndex(index, scope, collection, used);
      return (await measureQuality(index, scope, collection, used)).get('all')?.hybrid ?? Number.NaN;
    } finally {
      await index.close();
      await rm(directory, { recursive: true, force: true });
    }
  };
  expect(await measure(flat)).toBeGreaterThan((await measure(vectors)) - 0.01);
}, 30_000);

describe('nDCG', () => {
  const question = { group: 'en', text: '', relevant: { a: 2, b: 1 } };

  test('is 1 for the best order, less for others, 0 where nothing is found', () => {
    expect(toNdcg(['a', 'b', 'c'], question)).toBe(1);
    expect(toNdcg(['b', 'a'], question)).toBeCloseTo((1 + 2 / Math.log2(3)) / (2 + 1 / Math.log2(3)), 12);
    expect(toNdcg(['c', 'a'], question)).toBeLessThan(toNdcg(['a'], question));
    expect(toNdcg(['c', 'd'], question)).toBe(0);
  });

  test('does not look beyond ten', () => {
    expect(toNdcg([...'cdefghijkl', 'a'], question)).toBe(0);
  });
});
