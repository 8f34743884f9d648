import type { IngestEngine } from '../ingest/ingest-engine.ts';
import type { ExpositionFormat } from '../metrics/exposition.ts';
import type { HttpMeter } from '../metrics/http-metrics.ts';
import type { Ports } from '../ports.ts';
import type { BeginCall } from '../providers/call-meter.ts';
import type { Embedders } from '../providers/embeddings/embeddings.ts';
import type { CircuitView } from '../providers/outbound/circuit.ts';
import type { HeaderSealer } from '../retrieval/header-sealer.ts';
import type { RewriteQueries } from '../retrieval/rewrite.ts';
import type { Search } from '../retrieval/search.ts';
import type { RunEngine } from '../runs/run-engine.ts';
import type { HeaderKeeper } from '../runs/run-headers.ts';
import type { Serial } from '../serial.ts';
import type { BlobDrafts, DetachFile } from '../services/blob-drafts.ts';
import type { StoredBytes } from '../services/stored-bytes.ts';
import type { Tracing } from '../tracing/tracing.ts';
import type { HoldOpen } from './multipart.ts';
import type { RequestDeps } from './request.ts';

/**
 * What the routes are handed. Handlers are registered with `parse: 'none'`: they read the body themselves, with a
 * bound, and with OpenAI's errors.
 */
export type RouteDeps = Ports &
  RequestDeps & {
    readonly tracing: Tracing;
    readonly runs: RunEngine;
    readonly headerKeeper: HeaderKeeper;
    readonly ingests: IngestEngine;
    readonly embedders: Embedders;
    readonly sealer: HeaderSealer;
    readonly serial: Serial;
    readonly search: Search;
    readonly rewrite: RewriteQueries;
    readonly drafts: BlobDrafts;
    /** Absent: nobody counts. */
    readonly storedBytes?: StoredBytes;
    /** Takes a file out of every vector store that it is in. */
    readonly detachFile: DetachFile;
    /** The largest file that comes in one request. */
    readonly fileBytesMax: number;
    /**
     * Keeps a request's connection open although nothing seems to happen on it, until what it answers is called. Call
     * that before the answer ends.
     */
    readonly holdOpen: HoldOpen;
    /** Told of each call of a model that a request makes. */
    readonly beginCall: BeginCall;
    readonly http: HttpMeter;
    /** The numbers of all processes, as text. */
    readonly renderMetrics: (format: ExpositionFormat) => Promise<string>;
    /** Whether a request may read them. Errors: 401, 403. */
    readonly checkMetricsAccess: (request: Request) => void | Promise<void>;
    /** The providers that fail at the moment; names and hosts only. */
    readonly getCircuits: () => readonly CircuitView[];
  };
