/** Puts retrieval together: the part of the composition root that knows its adapters. */

import { ApiError } from './errors.ts';
import type { DocumentSource } from './ingest/document-reader.ts';
import { createIngestEngine, type IngestEngine } from './ingest/ingest-engine.ts';
import { createDocumentReader } from './ingest/reader-process.ts';
import type { Meters } from './metrics/meters.ts';
import { meterSearch } from './metrics/search-metrics.ts';
import type { Ports } from './ports.ts';
import { createEmbedders, type Embedders } from './providers/embeddings/embeddings.ts';
import { createHeaderSealer, type HeaderSealer } from './retrieval/header-sealer.ts';
import { createRewrite, type RewriteQueries } from './retrieval/rewrite.ts';
import type { Search } from './retrieval/search.ts';
import { createSearch } from './retrieval/search-stores.ts';
import type { Sealer } from './sealing.ts';
import { createSerial, type Serial } from './serial.ts';
import { getFile, openFile } from './services/file-records.ts';
import { createAnalyser } from './vector/analyser.ts';

export interface RetrievalSettings {
  /** Of vector stores that no request chose a model for; null: OpenAI's where OpenAI answers, else none. */
  readonly embeddingModel: string | null;
  /** Null: the model's own. */
  readonly embeddingDimensions: number | null;
  readonly rewriteModel: string | null;
  readonly ingestProcesses: number;
  readonly ingestMemoryBytes: number;
  readonly ingestTimeoutMs: number;
}

export interface RetrievalDeps extends Ports {
  /** The name of this process in leases. */
  readonly owner: string;
  /** Null where the server has no secret. */
  readonly seals: Sealer | null;
  /** Who counts; absent: nobody. */
  readonly meters?: Pick<Meters, 'metrics' | 'beginCall' | 'noteIngest'>;
}

export interface Retrieval {
  readonly embedders: Embedders;
  readonly serial: Serial;
  readonly sealer: HeaderSealer;
  readonly search: Search;
  readonly rewrite: RewriteQueries;
  readonly ingests: IngestEngine;
  /** Stops reading files; what is left is taken up by the next process. */
  close(): Promise<void>;
}

/** A process that reads documents is kept for as long as others are likely to come. */
const READER_IDLE_MS = 30_000;

export function composeRetrieval(deps: RetrievalDeps, settings: RetrievalSettings): Retrieval {
  const { router, log, meters } = deps;
  const counting = meters === undefined ? {} : { beginCall: meters.beginCall };
  const { embeddingModel: model, embeddingDimensions: dimensions } = settings;
  const embedders = createEmbedders({
    router,
    configured: model === null ? null : { model, dimensions },
    ...counting,
  });
  const serial = createSerial();
  const reader = createDocumentReader({
    processesMax: settings.ingestProcesses,
    memoryBytesMax: settings.ingestMemoryBytes,
    timeoutMs: settings.ingestTimeoutMs,
    idleMs: READER_IDLE_MS,
    log,
  });
  const ingests = createIngestEngine({
    ...deps,
    embedders,
    serial,
    reader,
    ...(meters === undefined ? {} : { onEnd: meters.noteIngest }),
    openFile: (tenant, fileId) => openDocument(deps, tenant, fileId),
  });
  const search = createSearch({ ...deps, embedders, analyser: createAnalyser() });
  return {
    embedders,
    serial,
    sealer: createHeaderSealer(deps.seals),
    search: meters === undefined ? search : meterSearch(search, meters.metrics),
    rewrite: createRewrite({ router, log, ...counting }, settings.rewriteModel),
    ingests,
    async close() {
      await ingests.close();
      await reader.close();
    },
  };
}

async function openDocument(
  deps: Pick<RetrievalDeps, 'store' | 'blobs' | 'clock'>,
  tenant: string,
  fileId: string,
): Promise<DocumentSource | null> {
  try {
    const record = await getFile(deps, { tenant }, fileId);
    return { name: record.filename, size: record.bytes, bytes: openFile(deps, { tenant }, record) };
  } catch (error) {
    if (error instanceof ApiError) return null;
    throw error;
  }
}
