/** Work that is looked for again and again in the background. */

import { type Log, toLogFields } from '../log.ts';

export interface Sweeper {
  /** Waits for the sweep that is under way. Idempotent. */
  stop(): Promise<void>;
}

/** Sweeps now and until `stop` is called, one sweep at a time; one that fails is logged as `failed` and tried again. */
export function startSweeper(
  log: Log,
  failed: string,
  intervalMs: number,
  sweep: () => Promise<unknown>,
): Sweeper {
  let current: Promise<unknown> = Promise.resolve();
  let isSweeping = false;
  const sweepOnce = (): void => {
    if (isSweeping) return;
    isSweeping = true;
    current = sweep()
      .catch((error: unknown) => log.warn(failed, toLogFields(error)))
      .finally(() => {
        isSweeping = false;
      });
  };
  const timer = setInterval(sweepOnce, intervalMs);
  timer.unref();
  sweepOnce();
  return {
    async stop() {
      clearInterval(timer);
      await current;
    },
  };
}
