/** What the parts of the run loop hand to each other. */

import type { Ports } from '../ports.ts';
import type { ResolvedModel } from '../providers/provider.ts';
import type { RunWriter } from './run-writer.ts';
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
  /** False for a run that has just been made: it has no steps to go on from. */
  readonly isContinued: boolean;
  /** How long a turn of the model, and each wait for the client, may take. */
  readonly expiresMs: number;
  /** Has the work aborted as `expired` at this time (milliseconds since the epoch). */
  readonly setDeadline: (atMs: number) => void;
}

export type RunLoopDeps = Pick<Ports, 'store' | 'clock' | 'ids' | 'log'> & {
  readonly serverTools: readonly ServerTool[];
};

/** What the loop keeps between turns. */
export interface LoopState {
  recorder: TurnRecorder | null;
  /** Read once: the thread cannot change while the run is active. */
  window: Window | null;
  turns: readonly Turn[];
}
