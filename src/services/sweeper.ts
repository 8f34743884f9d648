/** Work that is looked for again and again in the background. */

import { type Log, toLogFields } from '../log.ts';

export interface Sweeper {
  /** There is reason to look before the time has come: after the sweep that is under way, too. */
  sweepNow(): void;
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
  let isWantedAgain = false;
  let isStopped = false;
  const sweepOnce = (): void => {
    if (isSweeping) return;
    isSweeping = true;
    isWantedAgain = false;
    current = sweep()
      .catch((error: unknown) => log.warn(failed, toLogFields(error)))
      .finally(() => {
        isSweeping = false;
        if (isWantedAgain && !isStopped) sweepOnce();
      });
  };
  const timer = setInterval(sweepOnce, intervalMs);
  timer.unref();
  sweepOnce();
  return {
    sweepNow() {
      if (isStopped) return;
      isWantedAgain = isSweeping;
      sweepOnce();
    },
    async stop() {
      isStopped = true;
      clearInterval(timer);
      await current;
    },
  };
}
