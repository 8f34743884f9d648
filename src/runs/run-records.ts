/** Runs, steps and leases as they are stored, and as they go onto the wire. */

import type { CreateRunRequest, RunObject } from '../schemas/generated/runs.ts';
import type { RunStepObject } from '../schemas/generated/steps.ts';
import type { Scope, StoredRecord } from '../store/store.ts';

/** Tokens in the API document's words. */
export interface RunUsage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
}

export const NO_USAGE: RunUsage = Object.freeze({ prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 });

/** What a run carries besides what the client sees. */
export interface RunInternals {
  readonly reasoning_effort: CreateRunRequest['reasoning_effort'] | null;
  /** How often a process has begun to work on this run after the first; bounded by `ATTEMPTS_MAX`. */
  readonly attempts: number;
  /** Whether keys or addresses of models came with the request: nobody can go on with the run without them. */
  readonly credentials_from_request: boolean;
  /** Tokens of the turns so far; the client sees them when the run has ended. */
  readonly usage: RunUsage;
  /** The server's key that it was asked for with, for whose limits it counts; absent where there was none. */
  readonly key_id?: string;
  /** The `traceparent` of the request that made it; absent where nobody traces. */
  readonly trace?: string;
}

/**
 * `temperature` and `top_p` are null where neither the run nor its assistant set them: then they are not sent
 * to the model either (many models refuse them), and only the wire shows the API's defaults.
 */
export type RunRecord = Omit<RunObject, 'incomplete_details'> & {
  /** `content_filter` is missing in the API document; Azure's server says it. */
  readonly incomplete_details: { reason: IncompleteReason } | null;
  readonly internal: RunInternals;
};

export type IncompleteReason = 'max_completion_tokens' | 'max_prompt_tokens' | 'content_filter';

export type LastError = NonNullable<RunObject['last_error']>;

/** A call as the model made it. `arguments` is JSON text and may be anything: models get it wrong. */
export interface ModelCall {
  readonly id: string;
  readonly name: string;
  readonly arguments: string;
}

/** A passage that a search of the server's found, as the model is shown it and may cite it. */
export interface FoundPassage {
  /** `【4:0†report.pdf】`; no two passages of a run have the same. */
  readonly marker: string;
  readonly file_id: string;
  /** The page that it begins on, from 1; null where the format has no pages. */
  readonly page: number | null;
  readonly text: string;
  /** Which of its file's chunks it is, from 0; absent in steps from before this was kept. */
  readonly position?: number;
  /** Of the whole file; absent where `position` is. */
  readonly file_bytes?: number;
}

/** A call with what came of it. */
export interface AnsweredCall extends ModelCall {
  /** For a search: what there is to say besides what it found; may be empty. */
  readonly output: string;
  /** What a search found, in the order of the step's `results`; absent for other calls. */
  readonly found?: readonly FoundPassage[];
}

/** What a step carries besides what the client sees. */
export interface StepInternals {
  /** What the provider wants back with the next turn. */
  readonly provider_metadata?: unknown;
  /** Which turn of the model this step is of, from 0: text and calls of one turn go back as one message. */
  readonly turn: number;
  /** Tokens of the turn, until the step ends and shows them. */
  readonly usage: RunUsage | null;
  /** Calls that the server answered itself, as the model made them and with what it was told. */
  readonly server_calls?: readonly AnsweredCall[];
}

export type StepRecord = RunStepObject & { readonly internal: StepInternals };

export type ToolStepDetails = Extract<RunStepObject['step_details'], { type: 'tool_calls' }>;
export type ToolCallRecord = ToolStepDetails['tool_calls'][number];
export type FileSearchRecord = Extract<ToolCallRecord, { type: 'file_search' }>;
export type FunctionCallRecord = Extract<ToolCallRecord, { type: 'function' }>;

/** What is kept of a request's headers while its run is active (`run-headers.ts`). */
export interface KeptHeaders {
  /** Those that are no secret. */
  readonly open: Readonly<Record<string, string>>;
  /** All others, sealed; null where there are none, or the server has no secret. */
  readonly sealed: string | null;
}

/** Who works on a run that is not at an end, and until when. Kept under the run's id in the system's scope. */
export interface LeaseRecord extends StoredRecord {
  readonly tenant: string;
  readonly thread_id: string;
  /** The process that works on the run; null while the run waits for the client. */
  readonly owner: string | null;
  /**
   * The end of the wait in `requires_action`, in milliseconds since the epoch; `RELEASED_MS` where the owner has let go.
   * Of a lease that is held it tells how old it is by the owner's own clock, and others do not rely on it.
   */
  readonly until_ms: number;
  /** Null or absent where nothing of the headers matters. */
  readonly kept_headers?: KeptHeaders | null;
}

const SAMPLING_DEFAULT = 1;

/** The wire's view. `content_filter` goes out although the API document has no word for it. */
export function toRun(record: RunRecord): RunObject {
  const { internal: _, incomplete_details, ...run } = record;
  return {
    ...run,
    incomplete_details: incomplete_details as RunObject['incomplete_details'],
    temperature: run.temperature ?? SAMPLING_DEFAULT,
    top_p: run.top_p ?? SAMPLING_DEFAULT,
  };
}

export function isFunctionCall(call: ToolCallRecord): call is FunctionCallRecord {
  return call.type === 'function';
}

export function addUsage(a: RunUsage, b: RunUsage): RunUsage {
  return {
    prompt_tokens: a.prompt_tokens + b.prompt_tokens,
    completion_tokens: a.completion_tokens + b.completion_tokens,
    total_tokens: a.total_tokens + b.total_tokens,
  };
}

/** Where the runs and messages of a thread are. */
export function toThreadScope(tenant: string, threadId: string): Scope {
  return { tenant, parent: threadId };
}

/** Where the steps of a run are. */
export function toRunScope(tenant: string, runId: string): Scope {
  return { tenant, parent: runId };
}
