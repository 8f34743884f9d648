/** `understudy keys`, put together: the store of the settings, for the time of one command. */

import { runKeys } from './access/keys-command.ts';
import type { KeysRequest } from './access/keys-request.ts';
import { systemClock } from './clock.ts';
import { openEngines, type StoreSettings } from './compose-store.ts';
import { createIds } from './ids.ts';
import type { Log } from './log.ts';

/** Answers the exit code. Errors: `StoreError`. */
export async function useKeys(
  settings: StoreSettings,
  request: KeysRequest,
  deps: { readonly log: Log; readonly version: string },
): Promise<number> {
  const clock = systemClock;
  const engines = await openEngines(settings, {
    ...deps,
    clock,
    onLost: (reason) => deps.log.error('the store is lost', { reason }),
  });
  try {
    return await runKeys({ store: engines.store, clock, ids: createIds(clock) }, request, {
      writeResult: (text) => void process.stdout.write(`${text}\n`),
      writeNote: (text) => void process.stderr.write(`${text}\n`),
    });
  } finally {
    await engines.close();
  }
}
