/**
 * Searching the vector index on Cassandra, through its port, on a node of its own.
 *
 *     bun bench/cassandra-vectors.ts                   # loads 100,000 × 384 the first time: some ten minutes
 *     bun bench/cassandra-vectors.ts --chunks 20000    # or as many as are named
 *     bun bench/cassandra-vectors.ts --quick           # 5,000
 *
 * What was loaded is kept in the directory for temporary files. Figures:
 * 1. A search by vector: recall@10 against a plain scan, aim ≥ 0.95; its p50 over that of the bare queries of the cluster's index,
 *    one for each shard side by side, for 50 rows each, aim ≤ 1.5.
 * 2. Questions of ten common words, by words alone and by both sides, p50, aim ≤ 50 ms; and the first of them, whose postings are
 *    not in memory.
 * 3. A filter that passes a tenth of the files: recall@10, aim ≥ 0.95.
 */

import { existsSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openSession } from '../src/cassandra/connect.ts';
import { migrate } from '../src/cassandra/schema.ts';
import type { CqlSession } from '../src/cassandra/session.ts';
import { systemClock } from '../src/clock.ts';
import { StoreError } from '../src/store/store.ts';
import {
  createCassandraVectorIndex,
  SHARD_CHUNKS_DEFAULT,
  VECTOR_MIGRATIONS,
} from '../src/vector/cassandra/cassandra-vector-index.ts';
import type { NewChunk, SearchQuery, VectorIndex } from '../src/vector/vector-index.ts';
import { startCassandra } from '../test/support/cassandra/node.ts';
import { findMissing, readVersion } from '../test/support/cassandra/requirements.ts';
import { atLeast, atMost, isQuick, openResults, repeat, toMedian, toPercentiles } from './harness.ts';
import { createRandom, createVectorSource, type VectorPlan } from './support/clustered-vectors.ts';
import { makeQuestionTerms, makeText } from './support/zipf-words.ts';

const CHUNKS_DEFAULT = isQuick ? 5000 : 100_000;
const CHUNKS_PER_FILE = 100;
const WORDS_PER_CHUNK = 150;
const QUESTION_WORDS = 10;
const FILES_AT_ONCE = 4;
const TRIES_MAX = 20;
const PATIENCE_MS = 3000;
const WANTED = 10;
const QUESTIONS = 100;
const WARM_UP = 10;
/** What a program of its own would ask the index for, to have ten good hits. */
const BARE_LIMIT = 50;
const HEAP_MIB = 1280;
const SIDES = { vector: 0.4, keyword: 0.6 };
const SCOPE = Object.freeze({ tenant: 'bench', store: 'store' });
/** One file in ten. */
const PASSING = Object.freeze({ type: 'eq', key: 'tenth', value: 0 } as const);
/** To be raised when the data or the tables change. */
const DATA_VERSION = 3;

function readChunkCount(): number {
  const at = process.argv.indexOf('--chunks');
  const count = at === -1 ? CHUNKS_DEFAULT : Number(process.argv[at + 1]);
  if (!Number.isInteger(count) || count < CHUNKS_PER_FILE)
    throw new Error('--chunks takes a number from 100 on.');
  return count;
}

const files = Math.floor(readChunkCount() / CHUNKS_PER_FILE);
const plan: VectorPlan = {
  seed: 6,
  dimensions: 384,
  files,
  chunksPerFile: CHUNKS_PER_FILE,
  topics: Math.ceil(files / 4),
};
const source = createVectorSource(plan);
const count = files * CHUNKS_PER_FILE;
/** In the names of figures. */
const key = `vectors-${count}`;
const name = `${count.toLocaleString('en')} × ${plan.dimensions} on Cassandra`;

async function addFile(index: VectorIndex, file: number): Promise<void> {
  const random = createRandom(plan.seed * 1_000_003 + file);
  const chunks = source.makeFile(file).map((vector, position): NewChunk => {
    const words = makeText(random, WORDS_PER_CHUNK);
    const place = { position, start: 0, end: words.text.length, page: null, context: '' };
    return { ...words, ...place, tokens: WORDS_PER_CHUNK, vector };
  });
  await index.stageChunks(SCOPE, String(file), 'bench', chunks);
  const entry = { file: String(file), attributes: { tenth: file % 10 }, languages: ['en'] };
  await index.publishFile(SCOPE, entry, 'bench');
}

/** A node with little memory holds up writes while it brings vectors to disk: what came to nothing is done again. */
async function addPatiently(index: VectorIndex, file: number): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      await addFile(index, file);
      return;
    } catch (error) {
      if (!(error instanceof StoreError) || error.code !== 'unavailable' || tries === TRIES_MAX) throw error;
      await Bun.sleep(PATIENCE_MS);
    }
  }
}

async function fill(index: VectorIndex): Promise<void> {
  const start = performance.now();
  const toSeconds = () => (performance.now() - start) / 1000;
  let done = 0;
  await repeat(files, FILES_AT_ONCE, async (file) => {
    await addPatiently(index, file);
    done += 1;
    if (done % Math.ceil(files / 10) === 0) {
      console.log(`loaded ${done * CHUNKS_PER_FILE} chunks in ${toSeconds().toFixed(0)} s`);
    }
  });
  const rate = (count / toSeconds()).toFixed(0);
  console.log(`${name}: loaded in ${toSeconds().toFixed(0)} s, ${rate} chunks a second`);
}

/** Numbers of the nearest chunks, by a plain scan. */
function findExactly(
  vectors: readonly Float32Array[],
  question: Float32Array,
  passes: (file: number) => boolean,
) {
  const scored: { number: number; cosine: number }[] = [];
  for (const [number, vector] of vectors.entries()) {
    if (!passes(Math.floor(number / CHUNKS_PER_FILE))) continue;
    let cosine = 0;
    for (let i = 0; i < vector.length; i += 1) cosine += (vector[i] ?? 0) * (question[i] ?? 0);
    scored.push({ number, cosine });
  }
  return scored
    .sort((a, b) => b.cosine - a.cosine)
    .slice(0, WANTED)
    .map(({ number }) => number);
}

function toQuery(
  vector: Float32Array | null,
  terms: SearchQuery['terms'],
  filter: SearchQuery['filter'] = null,
) {
  return { vector, terms, wanted: WANTED, weights: SIDES, filter };
}

async function measure(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

async function askBare(session: CqlSession, question: Float32Array): Promise<void> {
  const bytes = Buffer.from(Float32Array.from(question).buffer).swap32();
  const shards = Math.ceil(count / SHARD_CHUNKS_DEFAULT);
  const ask = (shard: number) =>
    session.read({
      cql: `SELECT id FROM index_vectors_${plan.dimensions} WHERE tenant = ? AND store = ? AND shard = ?
        ORDER BY v ANN OF ? LIMIT ?`,
      values: [SCOPE.tenant, SCOPE.store, shard, bytes, BARE_LIMIT],
    });
  await Promise.all(Array.from({ length: shards }, (_, shard) => ask(shard)));
}

async function benchVectors(index: VectorIndex, session: CqlSession): Promise<void> {
  const vectors = Array.from({ length: files }, (_, file) => source.makeFile(file)).flat();
  const times = { ours: [] as number[], bare: [] as number[] };
  const recalls = { all: [] as number[], filtered: [] as number[] };
  const recall = async (question: Float32Array, filter: SearchQuery['filter']): Promise<number> => {
    const passes = (file: number) => filter === null || file % 10 === 0;
    const exact = findExactly(vectors, question, passes);
    const hits = await index.search(SCOPE, toQuery(question, [], filter));
    const found = new Set(hits.map(({ file, chunk }) => Number(file) * CHUNKS_PER_FILE + chunk.position));
    return exact.filter((number) => found.has(number)).length / exact.length;
  };
  for (let i = -WARM_UP; i < QUESTIONS; i += 1) {
    const question = source.makeQuestion(i + WARM_UP);
    const bare = await measure(() => askBare(session, question));
    const ours = await measure(() => index.search(SCOPE, toQuery(question, [])));
    if (i < 0) continue;
    times.bare.push(bare);
    times.ours.push(ours);
    recalls.all.push(await recall(question, null));
    // Near what passes: of what is far from everything, all is equally good.
    const near = source.makeQuestion(i, 10 * (i % Math.ceil(files / 10)));
    if (i % 5 === 0) recalls.filtered.push(await recall(near, PASSING));
  }
  const [ours, bare] = [toMedian(times.ours), toMedian(times.bare)];
  results.report({
    id: `${key}-by-vector`,
    what: `${name}: by vector, p50`,
    value: ours,
    unit: 'ms',
    beside: [{ name: 'the bare ANN queries', value: bare }],
    distribution: toPercentiles(times.ours),
  });
  results.report({
    id: `${key}-over-bare`,
    what: `${name}: by vector, over the bare ANN queries`,
    value: ours / bare,
    unit: '',
    aim: atMost(1.5),
  });
  for (const [id, what, values] of [
    ['recall', 'recall@10', recalls.all],
    ['recall-filtered', 'recall@10 among a tenth of the files', recalls.filtered],
  ] as const) {
    results.report({
      id: `${key}-${id}`,
      what: `${name}: ${what}`,
      value: toMean(values),
      unit: '',
      aim: atLeast(0.95),
    });
  }
}

function toMean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

async function benchWords(index: VectorIndex): Promise<void> {
  const times = { first: [] as number[], keyword: [] as number[], both: [] as number[] };
  for (let i = 0; i < QUESTIONS; i += 1) {
    const terms = makeQuestionTerms(createRandom(7_000_000 + i), QUESTION_WORDS);
    const question = source.makeQuestion(i);
    times.first.push(await measure(() => index.search(SCOPE, toQuery(null, terms))));
    times.keyword.push(await measure(() => index.search(SCOPE, toQuery(null, terms))));
    times.both.push(await measure(() => index.search(SCOPE, toQuery(question, terms))));
  }
  const [first, keyword, both] = [times.first[0] ?? 0, toMedian(times.keyword), toMedian(times.both)];
  const asked = `${first.toFixed(0)} ms, p50 of questions with some new words ${toMedian(times.first).toFixed(0)} ms`;
  console.log(`${name}: ten common words for the first time ${asked}`);
  for (const [id, what, value] of [
    ['by-words', 'by words', keyword],
    ['by-both', 'by both', both],
  ] as const) {
    results.report({
      id: `${key}-${id}`,
      what: `${name}: ${what}, p50`,
      value,
      unit: 'ms',
      aim: atMost(50),
    });
  }
}

const results = openResults('cassandra-vectors');
results.addVersion('Apache Cassandra', readVersion());
const missing = findMissing();
if (missing !== null) {
  console.log(`${name}: skipped, since ${missing}`);
  process.exit(0);
}
const directory = join(tmpdir(), 'understudy-bench-cassandra-vectors', `${DATA_VERSION}-${count}`);
const marker = join(directory, 'complete');
if (!existsSync(marker)) await rm(directory, { recursive: true, force: true });
await mkdir(directory, { recursive: true });
const node = await startCassandra({ dataDirectory: directory, heapMiB: HEAP_MIB, commitLogSync: 'periodic' });
try {
  const session = await openSession({
    ...{ contactPoints: [node.contactPoint], localDataCenter: null, keyspace: 'bench', replication: null },
    ...{ username: null, password: null, tls: null, consistency: 'LOCAL_QUORUM' },
  });
  await migrate({ session, migrations: VECTOR_MIGRATIONS, owner: 'bench', clock: systemClock });
  const index = createCassandraVectorIndex({ session, clock: systemClock });
  if (!existsSync(marker)) {
    await fill(index);
    await writeFile(marker, '');
  }
  const first = await measure(() => index.describe(SCOPE));
  console.log(`${name}: the store's files are read in ${first.toFixed(0)} ms`);
  await benchVectors(index, session);
  await benchWords(index);
  await index.close();
  await session.close();
} finally {
  await node.stop();
}
