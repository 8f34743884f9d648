/** The headers of a request that its files need when they are read after a restart: which they are, and how they are kept. */

import type { RequestHeaders } from '../providers/provider.ts';
import { toKeptHeaders } from '../providers/routing/kept-headers.ts';
import type { Sealer } from '../sealing.ts';

export interface HeaderSealer {
  /** What is kept of the headers, unreadable on the disk; null where the server has no secret. */
  seal(headers: RequestHeaders): string | null;
  /** Null where it cannot be read: there is no secret now, or another one. */
  unseal(sealed: string): RequestHeaders | null;
}

const PURPOSE = 'headers of an ingest';

export function createHeaderSealer(sealer: Sealer | null): HeaderSealer {
  return {
    seal(headers) {
      if (sealer === null) return null;
      return sealer.seal(JSON.stringify(toKeptHeaders(headers)), PURPOSE);
    },
    unseal(sealed) {
      const text = sealer?.unseal(sealed, PURPOSE) ?? null;
      return text === null ? null : (JSON.parse(text) as RequestHeaders);
    },
  };
}
