/** The headers of a request that its files need when they are read after a restart: which they are, and how they are kept. */

import type { RequestHeaders } from '../providers/provider.ts';
import type { Sealer } from '../sealing.ts';

export interface HeaderSealer {
  /** What is kept of the headers, unreadable on the disk; null where the server has no secret. */
  seal(headers: RequestHeaders): string | null;
  /** Null where it cannot be read: there is no secret now, or another one. */
  unseal(sealed: string): RequestHeaders | null;
}

const PURPOSE = 'headers of an ingest';
/** Those that choose and authorise a provider; nothing else of a request is kept. */
const KEPT = new Set(['authorization', 'api-key', 'api-version', 'base-url', 'custom-llm-provider']);
const KEPT_PREFIXES = ['embedding-', 'llm-param-', 'vertexai-'];

export function createHeaderSealer(sealer: Sealer | null): HeaderSealer {
  return {
    seal(headers) {
      if (sealer === null) return null;
      const kept = Object.entries(headers).filter(([name]) => isKept(name));
      return sealer.seal(JSON.stringify(Object.fromEntries(kept)), PURPOSE);
    },
    unseal(sealed) {
      const text = sealer?.unseal(sealed, PURPOSE) ?? null;
      return text === null ? null : (JSON.parse(text) as RequestHeaders);
    },
  };
}

function isKept(name: string): boolean {
  return KEPT.has(name) || KEPT_PREFIXES.some((prefix) => name.startsWith(prefix));
}
