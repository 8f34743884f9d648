/** What the tests of Astra's parts share: a clock that is moved by hand, credentials, and databases that are counted. */

import { type AstraCredentials, toCredentials } from '../../src/astra/credentials.ts';
import type { ConnectedTenant, TenantEngines, TenantOpener } from '../../src/astra/tenant-engines.ts';
import { ApiError } from '../../src/errors.ts';
import { createLog, type Log } from '../../src/log.ts';

export interface TestClock {
  nowMs(): number;
  advance(ms: number): void;
}

export function createTestClock(): TestClock {
  let now = 1_800_000_000_000;
  return {
    nowMs: () => now,
    advance(ms) {
      now += ms;
    },
  };
}

export const SILENT_LOG: Log = createLog('silent', () => undefined);

/** The id of the n-th database. */
export function toId(n: number): string {
  return `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
}

export function toToken(name: string, databaseId: string | null = null): AstraCredentials {
  return toCredentials(`AstraCS:${name}`, databaseId);
}

export async function catchError(promise: Promise<unknown>): Promise<ApiError> {
  const error = await promise.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  if (error instanceof ApiError) return error;
  throw new Error(`Not an ApiError: ${String(error)}`);
}

/** Databases that only count: `engines` is what they have. */
export interface CountedOpener extends TenantOpener {
  readonly counts: { chooses: number; opens: number; closes: number; checks: number; openMax: number };
  /** Sessions that are open now. */
  readonly openNow: number;
  /** Tokens that are refused from now on. */
  readonly revoked: Set<string>;
  readonly asleep: Set<string>;
  /** Awaited by every open, and every check. */
  opening: Promise<unknown>;
  checking: Promise<unknown>;
  /** Thrown by the next opens, checks. */
  openFailure: Error | null;
  checkFailure: Error | null;
  /** Which database a token without an id means. */
  chosen: string;
}

export function createCountedOpener(toEngines: (tenant: string) => TenantEngines): CountedOpener {
  const opener: CountedOpener = {
    counts: { chooses: 0, opens: 0, closes: 0, checks: 0, openMax: 0 },
    get openNow() {
      return opener.counts.opens - opener.counts.closes;
    },
    revoked: new Set(),
    asleep: new Set(),
    opening: Promise.resolve(),
    checking: Promise.resolve(),
    openFailure: null,
    checkFailure: null,
    chosen: toId(1),
    async choose({ databaseId }) {
      opener.counts.chooses += 1;
      await opener.opening;
      return databaseId ?? opener.chosen;
    },
    async awaitReady(credentials, id) {
      refuse(credentials);
      if (opener.asleep.has(id)) {
        throw new ApiError('service_unavailable', 'The Astra database is waking up.', {
          retryAfterMs: 10_000,
        });
      }
    },
    async open(_credentials, id): Promise<ConnectedTenant> {
      await opener.opening;
      if (opener.openFailure !== null) throw opener.openFailure;
      opener.counts.opens += 1;
      opener.counts.openMax = Math.max(opener.counts.openMax, opener.openNow);
      const close = async (): Promise<void> => {
        opener.counts.closes += 1;
      };
      return { prepare: async () => ({ engines: toEngines(id), close }), close };
    },
    async check(credentials, id) {
      opener.counts.checks += 1;
      await opener.checking;
      if (opener.checkFailure !== null) throw opener.checkFailure;
      refuse(credentials);
      return !opener.asleep.has(id);
    },
    isRefusal: (error) => error instanceof Error && error.message === 'refused by the database',
  };
  const refuse = ({ token }: AstraCredentials): void => {
    if (opener.revoked.has(token.reveal())) throw new ApiError('invalid_api_key', 'Incorrect Astra token.');
  };
  return opener;
}
