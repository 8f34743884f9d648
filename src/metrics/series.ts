/**
 * Every series that is exposed, in one table. The cells of a worker, the merged page and `docs/metrics.md` are made from it,
 * and nothing is exposed that does not stand here.
 *
 * No label carries an id, a host, a key or a name out of a request. Each has a bound: where it is reached, further values
 * are counted under `other`.
 */

import { ERROR_RENDERINGS } from '../errors.ts';
import { COLLECTIONS } from '../store/collections.ts';

/** A label's values: these, or at most so many. Any other is counted under `other`. */
export type LabelBound = readonly string[] | number;

export interface SeriesSpec {
  /** A `summary` has a sum and a count, and no quantiles: quantiles of several workers cannot be merged. */
  readonly type: 'counter' | 'gauge' | 'histogram' | 'summary';
  readonly help: string;
  readonly labels: Readonly<Record<string, LabelBound>>;
  /** Upper bounds, ascending, without +Inf. Histograms only. */
  readonly buckets?: readonly number[];
  /**
   * How gauges of several workers make one: their sum, unless said otherwise. `by_worker`: each under the number of its
   * worker, in a label `worker`. Counters and histograms are always added up.
   */
  readonly merge?: 'sum' | 'max' | 'by_worker';
  /** Counted by the primary alone; else by the workers (and by the primary, where it is about processes). */
  readonly isPrimaryOnly?: true;
}

export const OTHER = 'other';
/** Handler of requests that no route matched. */
export const NO_HANDLER = 'none';

const HANDLERS_MAX = 256;
const PROVIDERS_MAX = 256;
const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS'];
const STATUS_CLASSES = ['1xx', '2xx', '3xx', '4xx', '5xx'];
const STREAM_KINDS = ['run', 'relay'];
const PROVIDER_USES = ['chat', 'embeddings', 'other'];
const COLLECTION_NAMES = [...Object.keys(COLLECTIONS), 'several', 'none'];
const STORE_OPERATIONS = ['insert', 'get', 'list', 'update', 'delete', 'delete_all', 'write', 'ping'];
const STORE_PARTS = ['records', 'blobs', 'index'];

/** Seconds. */
const REQUEST_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
const STORE_BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const CALL_BUCKETS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600];
const LAG_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

export const SERIES = Object.freeze({
  // ——— HTTP: names and labels of the reference service ———
  http_requests_total: {
    type: 'counter',
    help: 'Requests, by route template, method and class of status.',
    labels: { handler: HANDLERS_MAX, method: METHODS, status: STATUS_CLASSES },
  },
  http_request_size_bytes: {
    type: 'summary',
    help: 'Bodies of requests, by route template: what content-length said; 0 without one.',
    labels: { handler: HANDLERS_MAX },
  },
  http_response_size_bytes: {
    type: 'summary',
    help: 'Bodies of replies, by route template; 0 for streams, whose bytes are in understudy_stream_bytes_total.',
    labels: { handler: HANDLERS_MAX },
  },
  http_request_duration_highr_seconds: {
    type: 'histogram',
    help: 'Time to a reply, or to the beginning of a streamed one; fine buckets, all routes together.',
    labels: {},
    buckets: [
      0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5, 7.5, 10, 30, 60,
    ],
  },
  http_request_duration_seconds: {
    type: 'histogram',
    help: 'Time to a reply, or to the beginning of a streamed one, by route template and method.',
    labels: { handler: HANDLERS_MAX, method: METHODS },
    buckets: REQUEST_BUCKETS,
  },
  understudy_requests_in_flight: {
    type: 'gauge',
    help: 'Requests that have no reply yet.',
    labels: {},
  },
  understudy_streams_open: {
    type: 'gauge',
    help: 'Streamed replies under way: of runs, and of requests relayed to a model.',
    labels: { kind: STREAM_KINDS },
  },
  understudy_stream_duration_seconds: {
    type: 'histogram',
    help: 'How long streamed replies lasted, from their beginning to their end.',
    labels: { kind: STREAM_KINDS },
    buckets: CALL_BUCKETS,
  },
  understudy_stream_bytes_total: {
    type: 'counter',
    help: 'Bytes of streamed replies.',
    labels: { kind: STREAM_KINDS },
  },
  understudy_errors_total: {
    type: 'counter',
    help: 'Requests that were answered with an error, by its kind.',
    labels: { code: Object.keys(ERROR_RENDERINGS) },
  },

  // ——— Runs ———
  understudy_runs_started_total: {
    type: 'counter',
    help: 'Runs that were made.',
    labels: {},
  },
  understudy_runs_ended_total: {
    type: 'counter',
    help: 'Runs that ended, by their last status.',
    labels: { status: ['completed', 'incomplete', 'failed', 'cancelled', 'expired'] },
  },
  understudy_runs_active: {
    type: 'gauge',
    help: 'Runs that are worked on now.',
    labels: {},
  },
  understudy_run_takeovers_total: {
    type: 'counter',
    help: 'Runs that were taken up from a process that is gone.',
    labels: {},
  },
  understudy_run_duration_seconds: {
    type: 'histogram',
    help: "From a run's creation to its end, its waiting for the client included.",
    labels: { status: ['completed', 'incomplete', 'failed', 'cancelled', 'expired'] },
    buckets: CALL_BUCKETS,
  },
  understudy_time_to_first_token_seconds: {
    type: 'histogram',
    help: 'From the start of a run, or of a relayed request, to the first piece of an answer.',
    labels: { kind: STREAM_KINDS },
    buckets: CALL_BUCKETS,
  },

  // ——— Models ———
  understudy_tokens_total: {
    type: 'counter',
    help: 'Tokens, as the providers counted them. Cached ones are among those of the prompt.',
    labels: { provider: PROVIDERS_MAX, kind: ['prompt', 'cached', 'completion', 'embedding'] },
  },
  understudy_provider_calls_total: {
    type: 'counter',
    help: 'Calls to providers, each attempt by itself. `refused`: not sent, for the provider had failed too often.',
    labels: {
      provider: PROVIDERS_MAX,
      use: PROVIDER_USES,
      outcome: [
        'success',
        'invalid_request',
        'rate_limit',
        'authentication',
        'server',
        'connection',
        'timeout',
        'cancelled',
        'refused',
        'other',
      ],
    },
  },
  understudy_provider_call_duration_seconds: {
    type: 'histogram',
    help: "From a call to the headers of the provider's answer.",
    labels: { provider: PROVIDERS_MAX, use: PROVIDER_USES },
    buckets: CALL_BUCKETS,
  },
  understudy_provider_retries_total: {
    type: 'counter',
    help: 'Calls that were made again because the one before had failed.',
    labels: { provider: PROVIDERS_MAX },
  },
  understudy_provider_circuits_open: {
    type: 'gauge',
    help: 'Circuits of a provider that are open or half open, in the worker that has the most.',
    labels: { provider: PROVIDERS_MAX },
    merge: 'max',
  },
  understudy_provider_circuit_changes_total: {
    type: 'counter',
    help: 'Changes of circuits, by the state that they came to.',
    labels: { provider: PROVIDERS_MAX, state: ['open', 'closed'] },
  },

  // ——— Store, search, files ———
  understudy_store_operation_duration_seconds: {
    type: 'histogram',
    help: 'Operations on records, failed ones too. `several`: writes to more than one collection; `none`: pings.',
    labels: { operation: STORE_OPERATIONS, collection: COLLECTION_NAMES },
    buckets: STORE_BUCKETS,
  },
  understudy_blob_operation_duration_seconds: {
    type: 'histogram',
    help: 'Operations on the bytes of files, a piece each.',
    labels: { operation: ['put_piece', 'get_piece', 'delete_blob'] },
    buckets: STORE_BUCKETS,
  },
  understudy_index_operation_duration_seconds: {
    type: 'histogram',
    help: 'Operations on the vector index.',
    labels: {
      operation: [
        'stage_chunks',
        'count_staged',
        'publish_file',
        'set_attributes',
        'remove_file',
        'remove_store',
        'describe',
        'search',
        'read_chunks',
      ],
    },
    buckets: STORE_BUCKETS,
  },
  understudy_store_errors_total: {
    type: 'counter',
    help: 'Operations of the store that failed. `conflict` and `not_found` are part of normal work.',
    labels: {
      part: STORE_PARTS,
      code: ['not_found', 'conflict', 'unknown_cursor', 'unavailable', 'misuse', 'internal'],
    },
  },
  understudy_search_duration_seconds: {
    type: 'histogram',
    help: 'Searches of vector stores, by what they searched by; `failed` where there was no answer.',
    labels: { mode: ['hybrid', 'vector', 'keyword', 'failed'] },
    buckets: STORE_BUCKETS,
  },
  understudy_ingest_queue_files: {
    type: 'gauge',
    help: 'Files that wait to be read into a vector store.',
    labels: {},
  },
  understudy_ingest_active_files: {
    type: 'gauge',
    help: 'Files that are being read into a vector store.',
    labels: {},
  },
  understudy_ingest_files_total: {
    type: 'counter',
    help: 'Files whose reading came to an end.',
    labels: { outcome: ['completed', 'failed', 'cancelled'] },
  },
  understudy_ingest_duration_seconds: {
    type: 'histogram',
    help: 'How long files were read, without the time that they waited.',
    labels: { outcome: ['completed', 'failed', 'cancelled'] },
    buckets: CALL_BUCKETS,
  },
  understudy_astra_sessions: {
    type: 'gauge',
    help: 'Databases of Astra that are open, over all workers.',
    labels: {},
  },

  // ——— Processes ———
  understudy_event_loop_lag_seconds: {
    type: 'histogram',
    help: 'How late a timer fired that each worker sets again and again.',
    labels: {},
    buckets: LAG_BUCKETS,
  },
  understudy_resident_memory_bytes: {
    type: 'gauge',
    help: 'Memory of each process.',
    labels: {},
    merge: 'by_worker',
  },
  understudy_heap_bytes: {
    type: 'gauge',
    help: "JavaScript's heap in each process.",
    labels: {},
    merge: 'by_worker',
  },
  process_cpu_seconds_total: {
    type: 'counter',
    help: 'Processor time of all processes, user and system.',
    labels: {},
  },
  process_open_fds: {
    type: 'gauge',
    help: 'Open file descriptors of all processes; only on Linux.',
    labels: {},
  },
  process_start_time_seconds: {
    type: 'gauge',
    help: 'When the primary started, in seconds since the epoch.',
    labels: {},
    isPrimaryOnly: true,
  },
  understudy_workers: {
    type: 'gauge',
    help: 'Workers that live.',
    labels: {},
    isPrimaryOnly: true,
  },
  understudy_worker_restarts_total: {
    type: 'counter',
    help: 'Workers that were started in the place of one that had ended.',
    labels: {},
    isPrimaryOnly: true,
  },
  understudy_build_info: {
    type: 'gauge',
    help: 'Always 1; the version is in the label.',
    labels: { version: 4 },
    isPrimaryOnly: true,
  },
  understudy_metrics_dropped_total: {
    type: 'counter',
    help: "Events that were not counted because a worker's memory for counters was full.",
    labels: {},
  },
} as const satisfies Record<string, SeriesSpec>);

export type SeriesName = keyof typeof SERIES;
export const SERIES_NAMES = Object.freeze(Object.keys(SERIES) as SeriesName[]);

type NameOf<Type extends SeriesSpec['type']> = {
  [N in SeriesName]: (typeof SERIES)[N]['type'] extends Type ? N : never;
}[SeriesName];
export type CounterName = NameOf<'counter'>;
export type GaugeName = NameOf<'gauge'>;
export type DistributionName = NameOf<'histogram' | 'summary'>;

/** A value for each label of a series. */
export type LabelsOf<N extends SeriesName> = { readonly [L in keyof (typeof SERIES)[N]['labels']]: string };

export function getSpec(name: SeriesName): SeriesSpec {
  return SERIES[name];
}

/** Numbers that a series has for each set of label values. */
export function countCells({ type, buckets = [] }: SeriesSpec): number {
  // Of a distribution: each bucket by itself, what is above them, and the sum.
  return type === 'counter' || type === 'gauge' ? 1 : buckets.length + 2;
}

/** The unit that OpenMetrics is told; it must be the end of the name. Null: none. */
export function toUnit(name: string): 'seconds' | 'bytes' | null {
  const family = name.replace(/_total$/, '');
  if (family.endsWith('_seconds')) return 'seconds';
  return family.endsWith('_bytes') ? 'bytes' : null;
}
