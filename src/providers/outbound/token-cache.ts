/** Access tokens that were given for other credentials, kept for as long as they hold, under a hash of those. Nothing is written. */

import { createHash } from 'node:crypto';
import type { Clock } from '../../clock.ts';

export interface AccessToken {
  readonly text: string;
  readonly expiresMs: number;
}

export interface TokenCache {
  /** The token for these credentials; `fetchToken` is called where there is none, once for all who ask meanwhile. Throws what it throws. */
  get(credentials: string, fetchToken: () => Promise<AccessToken>): Promise<string>;
}

const TOKENS_MAX = 256;
/** A token is not used any more so long before it runs out. */
const MARGIN_MS = 60_000;

export function createTokenCache(clock: Clock): TokenCache {
  const tokens = new Map<string, AccessToken>();
  const pending = new Map<string, Promise<AccessToken>>();

  const fetchOnce = async (key: string, fetchToken: () => Promise<AccessToken>): Promise<AccessToken> => {
    const begun = fetchToken();
    pending.set(key, begun);
    try {
      const token = await begun;
      if (tokens.size >= TOKENS_MAX) tokens.delete(tokens.keys().next().value ?? '');
      tokens.set(key, token);
      return token;
    } finally {
      if (pending.get(key) === begun) pending.delete(key);
    }
  };

  return {
    async get(credentials, fetchToken) {
      const key = createHash('sha256').update(credentials).digest('hex');
      const kept = tokens.get(key);
      if (kept !== undefined && kept.expiresMs - MARGIN_MS > clock.nowMs()) return kept.text;
      const begun = pending.get(key);
      if (begun === undefined) return (await fetchOnce(key, fetchToken)).text;
      // Whoever asked first may have left, and his call with him: then each asks for himself.
      const shared = await begun.catch(() => null);
      return (shared ?? (await fetchOnce(key, fetchToken))).text;
    },
  };
}
