/** Why the work on a run stops although the model has not finished: the reason of the session's abort signal. */

export type InterruptionKind =
  /** The client asked for it; the run is `cancelling`. */
  | 'cancelled'
  /** The turn took longer than it may. */
  | 'expired'
  /** The run, its thread or the lease on it is not ours any more: nothing may be written. */
  | 'gone'
  /** This process ends: the run stays active and is taken up by the next. */
  | 'shutdown';

export class RunInterruption extends Error {
  override readonly name = 'RunInterruption';

  constructor(readonly kind: InterruptionKind) {
    super(`the run was interrupted: ${kind}`);
  }
}
