/** Reads the configuration anew where it is asked for, or where a file has changed, and tells the workers. */

import { type Log, toLogFields } from '../log.ts';

/** What the primary is given to reload by. */
export interface Reload {
  /** Whether a file that the configuration was read from holds something else now. */
  hasChanged(): boolean;
  /** Reads everything anew. Answers what the workers are told. Errors: what is wrong; all stays as it is then. */
  read(): unknown;
}

export interface Reloads {
  /** Reads anew whether or not a file has changed. */
  now(): void;
  stop(): void;
}

/** How often the files are looked at. Links that are switched, as Kubernetes does, escape what systems tell of changed files. */
export const LOOK_MS = 2_000;

export function startReloads(reload: Reload | undefined, log: Log, tell: (body: unknown) => void): Reloads {
  const read = (reason: string): void => {
    if (reload === undefined) return;
    try {
      tell(reload.read());
      log.info('configuration read anew', { reason });
    } catch (error) {
      const { error: problem } = toLogFields(error);
      log.error('configuration not taken: the one before stays', { reason, error: problem });
    }
  };
  const look = (): void => {
    if (reload?.hasChanged() === true) read('a file has changed');
  };
  const timer = setInterval(look, LOOK_MS);
  timer.unref();
  return {
    now: () => read('asked by signal'),
    stop: () => clearInterval(timer),
  };
}
