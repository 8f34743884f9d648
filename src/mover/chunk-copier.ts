/** What a file has in the index: its chunks with their words and vectors, published under the same attempt. */

import { decodeTerms } from '../vector/terms.ts';
import type { IndexScope, NewChunk, VectorIndex } from '../vector/vector-index.ts';

/** Chunks that are on their way at once: some MiB, where vectors are long. */
const CHUNKS_AT_ONCE = 128;

export interface ChunkCopyRequest {
  readonly source: VectorIndex;
  readonly destination: VectorIndex;
  readonly scope: IndexScope;
  readonly file: string;
  readonly signal: AbortSignal;
  readonly onChunks: (chunks: number) => void;
}

/** Nothing, where the file cannot be found at the source. Idempotent, and goes on with what is staged. Errors: `StoreError`. */
export async function copyChunks(request: ChunkCopyRequest): Promise<void> {
  const { source, destination, scope, file, signal, onChunks } = request;
  const entry = await source.describeFile(scope, file);
  if (entry === null) return;
  const { ingest, chunks: total, attributes, languages } = entry;
  const there = await destination.describeFile(scope, file);
  if (there?.ingest === ingest) return;
  let next = await destination.countStaged(scope, file, ingest);
  while (next < total) {
    signal.throwIfAborted();
    const chunks = await source.exportChunks(scope, file, next, CHUNKS_AT_ONCE);
    if (chunks.length === 0) break;
    await destination.stageChunks(scope, file, ingest, chunks);
    next += chunks.length;
    onChunks(chunks.length);
  }
  const published = await destination.publishFile(scope, { file, attributes, languages }, ingest);
  if (published.chunks === total) return;
  throw new Error(`The chunks of ${file} in ${scope.store} change: is a server writing to the source?`);
}

/** The chunks of a file in order, each as a digest of all that it holds. */
export async function* walkChunkDigests(
  index: VectorIndex,
  scope: IndexScope,
  file: string,
  signal: AbortSignal,
): AsyncGenerator<string, undefined> {
  for (let next = 0; ; ) {
    signal.throwIfAborted();
    const chunks = await index.exportChunks(scope, file, next, CHUNKS_AT_ONCE);
    if (chunks.length === 0) return;
    for (const chunk of chunks) yield toChunkDigest(chunk);
    next += chunks.length;
  }
}

function toChunkDigest({ terms, vector, ...chunk }: NewChunk): string {
  const { position, start, end, page, tokens, context, text } = chunk;
  const { length, counts } = decodeTerms(terms);
  const words = [...counts].sort(([a], [b]) => (a < b ? -1 : 1));
  const hasher = new Bun.CryptoHasher('sha256');
  hasher.update(JSON.stringify([position, start, end, page, tokens, context, text, length, words]));
  if (vector !== null) hasher.update(vector);
  return hasher.digest('hex');
}
