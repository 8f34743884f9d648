/**
 * The life of a run, as a table: which status may follow which. Everything that changes a run's status
 * asks here first.
 */

import type { RunObject } from '../schemas/generated/runs.ts';

export type RunStatus = RunObject['status'];

const TRANSITIONS: Readonly<Record<RunStatus, readonly RunStatus[]>> = Object.freeze({
  queued: ['in_progress', 'cancelling', 'cancelled', 'failed', 'expired'],
  in_progress: ['requires_action', 'cancelling', 'completed', 'failed', 'incomplete', 'expired'],
  requires_action: ['queued', 'cancelling', 'cancelled', 'failed', 'expired'],
  /** A run that ends by itself while it is being cancelled is cancelled all the same. */
  cancelling: ['cancelled', 'failed', 'expired'],
  cancelled: [],
  failed: [],
  completed: [],
  incomplete: [],
  expired: [],
});

export const RUN_STATUSES = Object.freeze(Object.keys(TRANSITIONS) as RunStatus[]);

export function isTerminal(status: RunStatus): boolean {
  return TRANSITIONS[status].length === 0;
}

export function isLegal(from: RunStatus, to: RunStatus): boolean {
  return TRANSITIONS[from].includes(to);
}

/** A change of status that the table does not allow: somebody else moved the run first. */
export class IllegalTransition extends Error {
  override readonly name = 'IllegalTransition';

  constructor(
    readonly from: RunStatus,
    readonly to: RunStatus,
  ) {
    super(`a run cannot go from ${from} to ${to}`);
  }
}
