/** Who counts runs, as the engine sees it. None of it throws. */

import type { RunEvent } from './events.ts';

export interface RunMeter {
  /** This process begins to work on a run. */
  begin(work: {
    /** `continued`: its client has answered. */
    readonly origin: 'new' | 'continued' | 'taken_over';
    /** When the run was made, and now, in milliseconds since the epoch. */
    readonly createdMs: number;
    readonly nowMs: number;
  }): WorkMeter;
}

export interface WorkMeter {
  event(name: RunEvent['event']): void;
  /** The work is over, whether or not the run is. Called once. */
  end(): void;
}
