/** What the parts of the run loop hand to each other. */

import type { Ports } from '../ports.ts';
import type { BeginCall } from '../providers/call-meter.ts';
import type { RequestHeaders, ResolvedModel } from '../providers/provider.ts';
import type { StartSpan } from '../tracing/tracing.ts';
import type { ReadImage } from './images.ts';
import type { RunWriter } from './run-writer.ts';
import type { StepView } from './step-views.ts';
import type { ToollessModels } from './toolless-models.ts';
import type { ServerTool } from './tools/server-tool.ts';
import type { TurnRecorder } from './turn-recorder.ts';
import type { Turn } from './turns.ts';
import type { Window } from './window.ts';

export interface RunWork {
  readonly writer: RunWriter;
  /** Who answers. Errors: `ProviderError` where nobody can. */
  readonly resolveModel: () => ResolvedModel;
  /** Aborted with a `RunInterruption`. */
  readonly signal: AbortSignal;
  readonly requestId: string;
  /** The server's key that the run was started with; null where there is none, or nobody knows any more. */
  readonly keyId: string | null;
  /** For what is done as a part of the work. */
  readonly startSpan: StartSpan;
  /** Of the request that started the work: tools may find keys there. In memory only; empty after a restart. */
  readonly headers: RequestHeaders;
  /** What the client who listens is shown of steps. */
  readonly view: StepView;
  /** False for a run that has just been made: it has no steps to go on from. */
  readonly isContinued: boolean;
  /** How long a turn of the model, and each wait for the client, may take. */
  readonly expiresMs: number;
  /** Has the work aborted as `expired` at this time (milliseconds since the epoch). */
  readonly setDeadline: (atMs: number) => void;
}

export type RunLoopDeps = Pick<Ports, 'store' | 'clock' | 'ids' | 'log'> & {
  readonly serverTools: readonly ServerTool[];
  readonly readImage: ReadImage;
  readonly toolless: ToollessModels;
  /** Told of each call of a model; absent: nobody counts. */
  readonly beginCall?: BeginCall;
};

/** What the loop keeps between turns. */
export interface LoopState {
  recorder: TurnRecorder | null;
  /** Read once: the thread cannot change while the run is active. */
  window: Window | null;
  turns: readonly Turn[];
  /** What the passages that searches found may have together in the prompt, where the model refused more. */
  foundTokensMax: number | null;
  /** Pictures of the thread as data URLs, by the ids of their files; null for those that cannot be shown. */
  readonly images: Map<string, string | null>;
}
