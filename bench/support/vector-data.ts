/** Stores full of vectors, and sqlite-vec with the same, made once and kept in the directory for temporary files. */

import { existsSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  createSqliteVectorIndex,
  type SqliteVectorIndex,
} from '../../src/vector/sqlite/sqlite-vector-index.ts';
import type { IndexScope, NewChunk } from '../../src/vector/vector-index.ts';
import { createRandom, createVectorSource, type VectorPlan } from './clustered-vectors.ts';
import { openVecBaseline, type VecBaseline } from './sqlite-vec.ts';
import { makeText } from './zipf-words.ts';

/** To be raised when the data or the index's format change. */
const DATA_VERSION = 2;
/** Files that are on their way at once. */
const FLIGHTS = 8;
const BATCH_CHUNKS = 250;
const BASELINE_BATCH = 2000;

export interface DataPlan extends VectorPlan {
  readonly stores: number;
  /** Words of a chunk's text. */
  readonly words: number;
  /** Whether sqlite-vec gets the same vectors. */
  readonly hasBaseline: boolean;
}

export interface VectorData {
  readonly index: SqliteVectorIndex;
  readonly baseline: VecBaseline;
  close(): Promise<void>;
}

export function toScope(store: number): IndexScope {
  return { tenant: 'bench', store: `store-${store}` };
}

/** The number of a chunk in the baseline, which knows no files. */
export function toNumber(plan: DataPlan, file: string, position: number): number {
  return Number(file) * plan.chunksPerFile + position;
}

/** Opens what is there; makes it, in some minutes for the large ones, where it is not. */
export async function openVectorData(plan: DataPlan): Promise<VectorData> {
  const { seed, dimensions, files, chunksPerFile, topics, stores, words } = plan;
  const name = [DATA_VERSION, seed, dimensions, files, chunksPerFile, topics, stores, words].join('-');
  const directory = join(tmpdir(), 'understudy-bench-vectors', name);
  const marker = join(directory, 'complete');
  if (!existsSync(marker)) {
    await rm(directory, { recursive: true, force: true });
    await mkdir(directory, { recursive: true });
    const start = performance.now();
    const data = await open(directory, dimensions);
    await fill(data, plan);
    await data.close();
    await writeFile(marker, '');
    const seconds = ((performance.now() - start) / 1000).toFixed(0);
    console.log(`made ${files * chunksPerFile} × ${dimensions} in ${seconds} s`);
  }
  return await open(directory, dimensions);
}

async function open(directory: string, dimensions: number): Promise<VectorData> {
  const index = await createSqliteVectorIndex({ directory, cacheBytesMax: 1024 * 1024 * 1024 });
  const baseline = openVecBaseline(join(directory, 'sqlite-vec.db'), dimensions);
  return {
    index,
    baseline,
    async close() {
      await index.close();
      baseline.close();
    },
  };
}

async function fill({ index, baseline }: VectorData, plan: DataPlan): Promise<void> {
  const source = createVectorSource(plan);
  let next = 0;
  let waiting: Float32Array[] = [];
  let inserted = 0;
  /** sqlite-vec takes many at once far more willingly. Numbers follow the order of the files. */
  const insert = (vectors: readonly Float32Array[]): void => {
    if (!plan.hasBaseline) return;
    waiting.push(...vectors);
    if (waiting.length < BASELINE_BATCH && vectors.length > 0) return;
    baseline.insert(inserted, waiting);
    inserted += waiting.length;
    waiting = [];
  };
  const work = async (): Promise<void> => {
    while (next < plan.files) {
      const file = next;
      next += 1;
      const vectors = source.makeFile(file);
      insert(vectors);
      await addFile(index, plan, file, vectors);
    }
  };
  await Promise.all(Array.from({ length: FLIGHTS }, work));
  insert([]);
  await waitForMerges(index);
}

async function addFile(
  index: SqliteVectorIndex,
  plan: DataPlan,
  file: number,
  vectors: readonly Float32Array[],
): Promise<void> {
  const random = createRandom(plan.seed * 1_000_003 + file);
  const scope = toScope(file % plan.stores);
  const chunks = vectors.map((vector, position): NewChunk => {
    const words = makeText(random, plan.words);
    const place = { position, start: 0, end: words.text.length, page: null, context: '' };
    return { ...words, ...place, tokens: plan.words, vector };
  });
  for (let i = 0; i < chunks.length; i += BATCH_CHUNKS) {
    await index.stageChunks(scope, String(file), 'bench', chunks.slice(i, i + BATCH_CHUNKS));
  }
  await index.publishFile(scope, { file: String(file), attributes: {}, languages: ['en'] }, 'bench');
}

/** Until nothing has been written for a while. */
async function waitForMerges(index: SqliteVectorIndex): Promise<void> {
  const QUIET_MS = 1000;
  for (let before = -1; ; ) {
    const { transactions } = await index.getStatistics();
    if (transactions === before) return;
    before = transactions;
    await Bun.sleep(QUIET_MS);
  }
}
