/**
 * The reading of one file: chunks come from the reader, get their vectors, and are kept in the index until all are
 * there; then the file can be found, all at once. What an attempt before a crash has kept is not embedded again.
 */

import { createGate, type Gate } from '../gate.ts';
import type { Embedder } from '../providers/embedder.ts';
import type { VectorStoreFileRecord } from '../retrieval/vector-store-records.ts';
import type { Attributes } from '../vector/attribute-filter.ts';
import type { IndexScope, NewChunk, VectorIndex } from '../vector/vector-index.ts';
import {
  type DocumentChunk,
  DocumentError,
  type DocumentReader,
  type DocumentSource,
  type DocumentSummary,
} from './document-reader.ts';
import { type EmbedOptions, embedWithPatience } from './embed-with-patience.ts';

/** Calls of the embedding model that one file may have under way. */
const CALLS_PER_FILE_MAX = 4;
/** Chunks that wait for the model while the reading goes on: a process that reads is not held by a slow model. */
const WAITING_CHUNKS_MAX = 256;
/** Chunks that one call brings in a store without a model. */
const PLAIN_BATCH = 64;
/** How often a file is read anew because what was kept of it has gone. */
const READINGS_MAX = 3;

export interface IngestFileDeps {
  readonly index: VectorIndex;
  readonly reader: DocumentReader;
  /** Shared by the files of the lane. */
  readonly calls: Gate;
  /** Null where the file is gone. */
  readonly openFile: (tenant: string, fileId: string) => Promise<DocumentSource | null>;
}

export interface IngestFileWork {
  readonly scope: IndexScope;
  readonly member: VectorStoreFileRecord;
  /** Null: the store is searched by words alone. */
  readonly embedder: Embedder | null;
  readonly options: EmbedOptions;
  /** The file's entry as it is now. Throws where the file is not to be read any more. */
  readonly checkWanted: () => Promise<VectorStoreFileRecord>;
}

/** A file that can be found. */
export interface IngestedFile {
  /** What it takes. */
  readonly bytes: number;
  /** What it is filtered by. */
  readonly attributes: Attributes;
}

/**
 * Answers once the file can be found. Errors: `DocumentError`, `ProviderError`, `StoreError`; what
 * `checkWanted` throws; the signal's reason.
 */
export async function ingestFile(deps: IngestFileDeps, work: IngestFileWork): Promise<IngestedFile> {
  const { scope, member } = work;
  const { ingest } = member.internal;
  const file = member.id;
  for (let reading = 0; reading < READINGS_MAX; reading += 1) {
    const kept = await deps.index.countStaged(scope, file, ingest);
    const summary = await keepChunks(deps, work, kept);
    const { attributes } = await work.checkWanted();
    const entry = { file, attributes, languages: summary.languages };
    const published = await deps.index.publishFile(scope, entry, ingest);
    if (published.chunks === summary.chunks) return { bytes: published.bytes, attributes };
  }
  throw new Error('What was kept of the file has gone again and again.');
}

/** Keeps all chunks behind the first `kept`. */
async function keepChunks(
  deps: IngestFileDeps,
  work: IngestFileWork,
  kept: number,
): Promise<DocumentSummary> {
  const { member, embedder, options } = work;
  const source = await deps.openFile(work.scope.tenant, member.id);
  if (source === null) throw new DocumentError('invalid_file', 'The file was deleted before it was read.');
  // Whatever ends the reading ends the calls that are under way, too.
  const abort = new AbortController();
  const signal = AbortSignal.any([options.signal, abort.signal]);
  const batchMax = embedder?.batchTextsMax ?? PLAIN_BATCH;
  const calls = createGate(CALLS_PER_FILE_MAX);
  const flights = new Set<Promise<void>>();
  let flying = 0;
  let failure: { readonly error: unknown } | null = null;
  let waiting: DocumentChunk[] = [];

  const launch = async (): Promise<void> => {
    const batch = waiting;
    waiting = [];
    flying += batch.length;
    const flight = fly(batch)
      .catch((error: unknown) => {
        failure ??= { error };
        abort.abort(error);
      })
      .finally(() => {
        flying -= batch.length;
        flights.delete(flight);
      });
    flights.add(flight);
    while (flying >= WAITING_CHUNKS_MAX && flights.size > 1) await Promise.race(flights);
  };

  const fly = async (batch: readonly DocumentChunk[]): Promise<void> => {
    const leave = await calls.enter(signal);
    try {
      await work.checkWanted();
      await keepBatch(deps, work, batch, signal);
    } finally {
      leave();
    }
  };

  const reading = deps.reader.read(source, member.internal.chunking, signal);
  try {
    for (;;) {
      const next = await reading.next();
      if (next.done === true) {
        if (waiting.length > 0) await launch();
        await Promise.all(flights);
        if (failure === null) return next.value;
        break;
      }
      for (const chunk of next.value) {
        if (chunk.position < kept) continue;
        waiting.push(chunk);
        if (waiting.length >= batchMax) await launch();
      }
      if (failure !== null) break;
    }
  } catch (error) {
    failure ??= { error };
    abort.abort(error);
  } finally {
    abort.abort(failure?.error);
    await reading.return(NOTHING_READ).catch(() => undefined);
    await Promise.all(flights);
  }
  throw failure?.error;
}

const NOTHING_READ: DocumentSummary = Object.freeze({ chunks: 0, languages: [] });

async function keepBatch(
  deps: IngestFileDeps,
  work: IngestFileWork,
  batch: readonly DocumentChunk[],
  signal: AbortSignal,
): Promise<void> {
  const vectors = await embedBatch(deps, work, batch, signal);
  const chunks = batch.map((chunk, index): NewChunk => ({ ...chunk, vector: vectors?.[index] ?? null }));
  await deps.index.stageChunks(work.scope, work.member.id, work.member.internal.ingest, chunks);
}

async function embedBatch(
  deps: IngestFileDeps,
  { embedder, options }: IngestFileWork,
  batch: readonly DocumentChunk[],
  signal: AbortSignal,
): Promise<readonly Float32Array[] | null> {
  if (embedder === null) return null;
  const leave = await deps.calls.enter(signal);
  try {
    return await embedWithPatience(embedder, batch.map(toEmbeddedText), { ...options, signal });
  } finally {
    leave();
  }
}

/** Title and headings are searched with the text: without them a passage often does not say what it is about. */
function toEmbeddedText({ context, text }: DocumentChunk): string {
  return context === '' ? text : `${context}\n\n${text}`;
}
