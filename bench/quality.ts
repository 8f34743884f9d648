/**
 * Retrieval quality on the labelled collection (`collections/README.md`): nDCG@10 by keywords, by vectors and by both,
 * how hybrid compares with the better of the two, and with an index that compares everything. The vectors come with the collection, so the figures are the
 * same everywhere; `--base-url=URL --model=NAME` asks an embedder instead, `--write-vectors` keeps its answers.
 */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createSqliteVectorIndex } from '../src/vector/sqlite/sqlite-vector-index.ts';
import type { VectorIndex } from '../src/vector/vector-index.ts';
import { createExactVectorIndex } from '../test/support/exact-vector-index.ts';
import {
  type Collection,
  type CollectionVectors,
  readCollection,
  readVectors,
  toEmbeddedText,
  toUnit,
  writeVectors,
} from './collections/collection.ts';
import { fillIndex, measureQuality, type Quality } from './collections/quality.ts';
import { atLeast, openResults } from './harness.ts';

const TEXTS_AT_ONCE = 64;
const EMBED_TIMEOUT_MS = 60_000;

const { values } = parseArgs({
  options: {
    'base-url': { type: 'string' },
    model: { type: 'string' },
    'write-vectors': { type: 'boolean', default: false },
  },
  // What other figures take says nothing to this one.
  strict: false,
});

async function embed(baseUrl: string, model: string, texts: readonly string[]): Promise<Float32Array[]> {
  const vectors: Float32Array[] = [];
  const key = process.env.OPENAI_API_KEY;
  for (let at = 0; at < texts.length; at += TEXTS_AT_ONCE) {
    const response = await fetch(`${baseUrl.replace(/\/$/, '')}/embeddings`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
      },
      body: JSON.stringify({ model, input: texts.slice(at, at + TEXTS_AT_ONCE) }),
      signal: AbortSignal.timeout(EMBED_TIMEOUT_MS),
    });
    if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
    const { data } = (await response.json()) as { data: { index: number; embedding: number[] }[] };
    vectors.push(...data.toSorted((a, b) => a.index - b.index).map(({ embedding }) => toUnit(embedding)));
  }
  return vectors;
}

async function findVectors(collection: Collection): Promise<CollectionVectors> {
  const { 'base-url': baseUrl, model } = values;
  if (typeof baseUrl !== 'string') return readVectors(collection);
  if (typeof model !== 'string') throw new Error('--base-url needs --model.');
  const vectors = {
    documents: await embed(baseUrl, model, collection.documents.map(toEmbeddedText)),
    questions: await embed(
      baseUrl,
      model,
      collection.questions.map(({ text }) => text),
    ),
  };
  if (values['write-vectors']) await writeVectors(vectors);
  return vectors;
}

const collection = await readCollection();
const vectors = await findVectors(collection);
const scope = { tenant: 'bench', store: 'quality' };

async function measure(index: VectorIndex): Promise<ReadonlyMap<string, Quality>> {
  try {
    await fillIndex(index, scope, collection, vectors);
    return await measureQuality(index, scope, collection, vectors);
  } finally {
    await index.close();
  }
}

const directory = await mkdtemp(join(tmpdir(), 'understudy-bench-'));
const qualities = await measure(await createSqliteVectorIndex({ directory }));
await rm(directory, { recursive: true, force: true });
const exact = await measure(createExactVectorIndex());

console.log(`nDCG@10, ${collection.documents.length} documents, ${collection.questions.length} questions`);
console.log('questions   keyword  vector  hybrid  hybrid / better of the two  hybrid / exact search');
for (const [group, { keyword, vector, hybrid }] of qualities) {
  const figures = [keyword, vector, hybrid].map((figure) => figure.toFixed(3).padStart(8)).join('');
  const overBetter = (hybrid / Math.max(keyword, vector)).toFixed(3).padStart(26);
  const overExact = (hybrid / (exact.get(group)?.hybrid ?? Number.NaN)).toFixed(3).padStart(21);
  console.log(`${group.padEnd(10)} ${figures}${overBetter}  ${overExact}`);
}
const results = openResults('quality');
for (const [group, quality] of qualities) {
  const { keyword, vector, hybrid } = quality;
  const beside = [
    { name: 'hybrid', value: hybrid },
    { name: 'words alone', value: keyword },
    { name: 'vectors alone', value: vector },
  ];
  results.report({
    id: `${group}-hybrid-over-better`,
    what: `nDCG@10 of hybrid search over the better of words and vectors, questions: ${group}`,
    value: hybrid / Math.max(keyword, vector),
    unit: '',
    ...(group === 'all' ? { aim: atLeast(1) } : {}),
    beside,
  });
}
const all = qualities.get('all');
if (all === undefined || all.hybrid < Math.max(all.keyword, all.vector) - 0.001) process.exitCode = 1;
