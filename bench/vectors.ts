/**
 * Searching the vector index, through its port.
 *
 *     bun bench/vectors.ts           # some minutes the first time: the data is made, and kept in the temporary directory
 *     bun bench/vectors.ts --quick   # smaller stores, a minute
 *     bun bench/vectors.ts --peers   # beside other vector databases too, which are installed for it (Python; minutes)
 *
 * 1. 100,000 × 1,536 and 400,000 × 384 vectors in one store: p50 of a search by vector, aim ≤ 20 ms; how many times as
 *    fast as sqlite-vec's plain scan over floats, aim ≥ 10; recall@10 against that scan, which is exact, aim ≥ 0.95.
 *    sqlite-vec over bits stands beside them. The vectors are those of `support/clustered-vectors.ts`.
 * 2. On the first of these stores, whose texts follow Zipf's law: questions of ten common words, by words alone and by
 *    both sides, p50, aim ≤ 50 ms; both sides over vectors alone, aim ≤ 1.3. And the first search, which loads the store.
 * 3. 100,000 × 384 in 20 topics only, of 5,000 chunks each: recall@10 where neighbours are hard to tell apart.
 * 4. 10,000 × 384: p50, aim ≤ 9 ms.
 * 5. 50 stores of 2,000 chunks in one file: a search over the same in a store alone, aim ≤ 1.5.
 */

import type { SearchQuery } from '../src/vector/vector-index.ts';
import { atLeast, atMost, isQuick, openResults, sum, toMedian, toPercentiles } from './harness.ts';
import { createRandom, createVectorSource } from './support/clustered-vectors.ts';
import { type DataPlan, openVectorData, toNumber, toScope, type VectorData } from './support/vector-data.ts';
import { askVectorPeers } from './support/vector-peers.ts';
import { makeQuestionTerms } from './support/zipf-words.ts';

const WANTED = 10;
const WORDS = 10;
const SIZE = isQuick ? 10 : 1;
const QUESTIONS = isQuick ? 40 : 100;
/** Answers of the slow scans. */
const BASELINE_QUESTIONS = isQuick ? 20 : 40;
const WARM_UP = 10;
const SIDES = { vector: 0.4, keyword: 0.6 };

const LARGE: DataPlan = {
  ...{ seed: 1, dimensions: 1536, files: 5000 / SIZE, chunksPerFile: 20, topics: 1000 / SIZE },
  ...{ stores: 1, words: 150, hasBaseline: true },
};
const MANY: DataPlan = {
  ...{ seed: 2, dimensions: 384, files: 4000 / SIZE, chunksPerFile: 100, topics: 4000 / SIZE },
  ...{ stores: 1, words: 1, hasBaseline: true },
};
const BROAD: DataPlan = {
  ...{ seed: 3, dimensions: 384, files: 1000 / SIZE, chunksPerFile: 100, topics: 20 },
  ...{ stores: 1, words: 1, hasBaseline: true },
};
const SMALL: DataPlan = {
  ...{ seed: 4, dimensions: 384, files: 100, chunksPerFile: 100, topics: 100 },
  ...{ stores: 1, words: 1, hasBaseline: false },
};
const ALONE: DataPlan = {
  ...{ seed: 5, dimensions: 1536, files: 20, chunksPerFile: 100, topics: 20 },
  ...{ stores: 1, words: 1, hasBaseline: false },
};
const STORES: DataPlan = { ...ALONE, files: (20 * 50) / SIZE, stores: 50 / SIZE };

/** What stands beside. */
const FLOATS = 'sqlite-vec, floats';
const BITS = 'sqlite-vec, bits';

const results = openResults('vectors');

/** A search by vector alone, by words alone or by both. */
function toQuery(vector: Float32Array | null, terms: SearchQuery['terms']): SearchQuery {
  return { vector, terms, wanted: WANTED, weights: SIDES, filter: null };
}

function toTerms(number: number): SearchQuery['terms'] {
  return makeQuestionTerms(createRandom(7_000_000 + number), WORDS);
}

async function measure(work: () => unknown): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

/** `aims`: whether speed counts, too. */
async function benchVectors(
  { id, name }: Named,
  plan: DataPlan,
  data: VectorData,
  aims: 'all' | 'recall' = 'all',
): Promise<void> {
  const source = createVectorSource(plan);
  const search = (question: Float32Array) => data.index.search(toScope(0), toQuery(question, []));
  for (let i = 0; i < WARM_UP; i += 1) await search(source.makeQuestion(1000 + i));
  const ours: number[] = [];
  const floats: number[] = [];
  const bits: number[] = [];
  const recalls: number[] = [];
  const bitRecalls: number[] = [];
  for (let i = 0; i < QUESTIONS; i += 1) {
    const question = source.makeQuestion(i);
    ours.push(await measure(() => search(question)));
    if (i >= BASELINE_QUESTIONS) continue;
    const hits = await search(question);
    let exact: readonly number[] = [];
    floats.push(await measure(() => (exact = data.baseline.findByFloats(question, WANTED))));
    let near: readonly number[] = [];
    bits.push(await measure(() => (near = data.baseline.findByBits(question, WANTED))));
    const found = new Set(hits.map(({ file, chunk }) => toNumber(plan, file, chunk.position)));
    recalls.push(exact.filter((number) => found.has(number)).length / exact.length);
    bitRecalls.push(exact.filter((number) => near.includes(number)).length / exact.length);
  }
  results.report({
    id: `${id}-recall`,
    what: `${name}: recall@10 against an exact scan`,
    value: sum(recalls) / recalls.length,
    unit: '',
    aim: atLeast(0.95),
    beside: [{ name: BITS, value: sum(bitRecalls) / bitRecalls.length }],
  });
  if (aims === 'recall') return;
  results.report({
    id: `${id}-by-vector`,
    what: `${name}: search by vector, p50`,
    value: toMedian(ours),
    unit: 'ms',
    aim: atMost(20),
    beside: [
      { name: FLOATS, value: toMedian(floats) },
      { name: BITS, value: toMedian(bits) },
    ],
    distribution: toPercentiles(ours),
  });
  // A scan of a tenth of the vectors is over before what each search costs at least.
  if (isQuick) return;
  results.report({
    id: `${id}-over-scan`,
    what: `${name}: times as fast as sqlite-vec’s exact scan of floats`,
    value: toMedian(floats) / toMedian(ours),
    unit: '×',
    aim: atLeast(10),
  });
}

/** What others do with the same vectors and questions; `--peers`. */
async function benchPeers({ id, name }: Named, plan: DataPlan, data: VectorData): Promise<void> {
  const source = createVectorSource(plan);
  const questions = Array.from({ length: WARM_UP + BASELINE_QUESTIONS }, (_, at) =>
    source.makeQuestion(at < WARM_UP ? 1000 + at : at - WARM_UP),
  );
  const peers = await askVectorPeers({
    dimensions: plan.dimensions,
    vectors: makeFiles(plan),
    questions,
    warmUp: WARM_UP,
    wanted: WANTED,
  });
  if (peers === null) return console.log('Other vector databases are left out: there is no Python here.');
  const exact = questions.slice(WARM_UP).map((question) => data.baseline.findByFloats(question, WANTED));
  for (const peer of peers) {
    const recalls = exact.map((numbers, at) => {
      const found = new Set(peer.numbers[at]);
      return numbers.filter((number) => found.has(number)).length / numbers.length;
    });
    results.addVersion(peer.package, peer.version);
    results.report({
      id: `${id}-${peer.id}`,
      what: `${name}: search by vector, ${peer.name}, p50`,
      value: toMedian(peer.times),
      unit: 'ms',
      beside: [
        { name: 'recall@10', value: sum(recalls) / recalls.length, unit: '' },
        { name: 'taking the vectors in', value: peer.seconds, unit: 's' },
      ],
      distribution: toPercentiles(peer.times),
    });
  }
}

function* makeFiles(plan: DataPlan): Generator<readonly Float32Array[]> {
  const source = createVectorSource(plan);
  for (let file = 0; file < plan.files; file += 1) yield source.makeFile(file);
}

async function benchWords({ id, name }: Named, plan: DataPlan, data: VectorData): Promise<void> {
  const source = createVectorSource(plan);
  const times = { vector: [] as number[], keyword: [] as number[], both: [] as number[] };
  const search = (query: SearchQuery) => data.index.search(toScope(0), query);
  for (let i = -WARM_UP; i < QUESTIONS; i += 1) {
    const question = source.makeQuestion(i + 100);
    const terms = toTerms(i + 100);
    const vector = await measure(() => search(toQuery(question, [])));
    const keyword = await measure(() => search(toQuery(null, terms)));
    const both = await measure(() => search(toQuery(question, terms)));
    if (i < 0) continue;
    times.vector.push(vector);
    times.keyword.push(keyword);
    times.both.push(both);
  }
  const [vector, keyword, both] = [toMedian(times.vector), toMedian(times.keyword), toMedian(times.both)];
  for (const [kind, what, value, values] of [
    ['words', 'by words', keyword, times.keyword],
    ['both', 'by words and vector', both, times.both],
  ] as const) {
    results.report({
      id: `${id}-by-${kind}`,
      what: `${name}: questions of ten common words, ${what}, p50`,
      value,
      unit: 'ms',
      aim: atMost(50),
      distribution: toPercentiles(values),
    });
  }
  results.report({
    id: `${id}-both-over-vector`,
    what: `${name}: by words and vector over by vector alone`,
    value: both / vector,
    unit: '',
    aim: atMost(1.3),
  });
}

async function withData(plan: DataPlan, work: (data: VectorData) => Promise<void>): Promise<void> {
  const data = await openVectorData(plan);
  try {
    await work(data);
  } finally {
    await data.close();
  }
}

interface Named {
  readonly id: string;
  readonly name: string;
}

/** `id` is the same where `--quick` makes the store smaller. */
function toNamed(id: string, { files, chunksPerFile, dimensions }: DataPlan): Named {
  return { id, name: `${(files * chunksPerFile).toLocaleString('en')} × ${dimensions.toLocaleString('en')}` };
}

async function benchStores(): Promise<void> {
  const plans = [ALONE, STORES];
  const medians: number[] = [];
  for (const plan of plans) {
    await withData(plan, async ({ index }) => {
      const source = createVectorSource(plan);
      const times: number[] = [];
      for (let i = -2 * plan.stores - WARM_UP; i < QUESTIONS; i += 1) {
        const store = Math.abs(i) % plan.stores;
        // Each store is asked about what it has: file f is in store f modulo the number of stores.
        const file = store + plan.stores * (Math.abs(i) % (plan.files / plan.stores));
        const question = source.makeQuestion(i + 1000, file);
        const taken = await measure(() => index.search(toScope(store), toQuery(question, [])));
        if (i >= 0) times.push(taken);
      }
      medians.push(toMedian(times));
    });
  }
  const [alone = Number.NaN, among = Number.NaN] = medians;
  results.report({
    id: 'among-stores',
    what: `a store of 2,000 chunks among ${STORES.stores} in one file, over the same alone`,
    value: among / alone,
    unit: '',
    aim: atMost(1.5),
    beside: [
      { name: 'among others', value: among, unit: 'ms' },
      { name: 'alone', value: alone, unit: 'ms' },
    ],
  });
}

await withData(LARGE, async (data) => {
  results.addVersion('sqlite-vec', data.baseline.version);
  const question = createVectorSource(LARGE).makeQuestion(0);
  const first = await measure(() => data.index.search(toScope(0), toQuery(question, toTerms(0))));
  const named = toNamed('large', LARGE);
  results.report({
    id: 'large-first',
    what: `${named.name}: the first search, which loads the store`,
    value: first,
    unit: 'ms',
    aim: atMost(1000),
  });
  await benchVectors(named, LARGE, data);
  await benchWords(named, LARGE, data);
  if (process.argv.includes('--peers')) await benchPeers(named, LARGE, data);
});
await withData(MANY, (data) => benchVectors(toNamed('many', MANY), MANY, data));
await withData(BROAD, (data) => {
  const { id, name } = toNamed('broad', BROAD);
  return benchVectors({ id, name: `${name} in ${BROAD.topics} topics` }, BROAD, data, 'recall');
});
await withData(SMALL, async (data) => {
  const source = createVectorSource(SMALL);
  const times: number[] = [];
  for (let i = -WARM_UP; i < QUESTIONS; i += 1) {
    const question = source.makeQuestion(i + 100);
    const taken = await measure(() => data.index.search(toScope(0), toQuery(question, [])));
    if (i >= 0) times.push(taken);
  }
  results.report({
    id: 'small-by-vector',
    what: `${toNamed('small', SMALL).name}: search by vector, p50`,
    value: toMedian(times),
    unit: 'ms',
    aim: atMost(9),
    distribution: toPercentiles(times),
  });
});
await benchStores();
