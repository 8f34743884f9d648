/** The part of the primary that counts for all workers. */

import { Value } from '@sinclair/typebox/value';
import type { FleetPart } from '../../cluster/fleet.ts';
import { createLedger } from './ledger.ts';
import { LIMITS_TOPIC, LimitsQuestion } from './limits-protocol.ts';

export function createLimitsPart(): FleetPart {
  // A clock that is set must not give or take anything.
  const ledger = createLedger({ clock: { nowMs: () => performance.now() } });
  return {
    answers: {
      [LIMITS_TOPIC](body, worker) {
        if (!Value.Check(LimitsQuestion, body)) throw new Error('The question about limits is none.');
        return ledger.answer(body, worker.serial);
      },
    },
    onEnded: (worker) => ledger.forgetWorker(worker.serial),
  };
}
