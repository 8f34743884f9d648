/**
 * What a run needs of its request's headers when another process goes on with it: kept with its lease, and so for as
 * long as the run is active and no longer.
 *
 * Keys, addresses and whatever else is not known to be harmless are sealed, for this run of this tenant only; without
 * a secret they are not kept. What is no secret (a temperature) is kept as it is.
 */

import type { RequestHeaders } from '../providers/provider.ts';
import { isOpenHeader, toKeptHeaders } from '../providers/routing/kept-headers.ts';
import type { Sealer } from '../sealing.ts';
import type { KeptHeaders } from './run-records.ts';

/** Whose run the headers are for: they open for no other. */
export interface HeaderPlace {
  readonly tenant: string;
  readonly runId: string;
}

export interface OpenedHeaders {
  /** All that could be opened. */
  readonly headers: RequestHeaders;
  /** Why the secret ones are not among them: none were kept, or they were sealed under another secret. Null: they are. */
  readonly missing: 'not_kept' | 'not_opened' | null;
}

export interface HeaderKeeper {
  /** Null where the headers say nothing of models. */
  keep(headers: RequestHeaders, place: HeaderPlace): KeptHeaders | null;
  open(kept: KeptHeaders | null, place: HeaderPlace): OpenedHeaders;
}

/** `sealer` is null where the server has no secret. */
export function createHeaderKeeper(sealer: Sealer | null): HeaderKeeper {
  return {
    keep(headers, place) {
      const entries = Object.entries(toKeptHeaders(headers));
      if (entries.length === 0) return null;
      const secret = entries.filter(([name]) => !isOpenHeader(name));
      const text = JSON.stringify(Object.fromEntries(secret));
      return {
        open: Object.fromEntries(entries.filter(([name]) => isOpenHeader(name))),
        sealed: secret.length === 0 || sealer === null ? null : sealer.seal(text, toPurpose(place)),
      };
    },
    open(kept, place) {
      const open = kept?.open ?? {};
      if (kept === null || kept.sealed === null) return { headers: open, missing: 'not_kept' };
      const text = sealer?.unseal(kept.sealed, toPurpose(place)) ?? null;
      if (text === null) return { headers: open, missing: 'not_opened' };
      return { headers: { ...open, ...(JSON.parse(text) as RequestHeaders) }, missing: null };
    },
  };
}

/** Written so that no two places have the same: a sealed text that is moved to another run or tenant does not open. */
function toPurpose({ tenant, runId }: HeaderPlace): string {
  return `headers of a run ${JSON.stringify([tenant, runId])}`;
}
