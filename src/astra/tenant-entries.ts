/** The sessions that are open: who has which, which was used last, and that none is closed under a call. */

import { ApiError } from '../errors.ts';
import type { AstraCredentials } from './credentials.ts';
import type { OpenedTenant, TenantEngines } from './tenant-engines.ts';
import type { TenantSessionSettings } from './tenant-settings.ts';

/** Why a session was given up. */
export const RETIREMENTS = Object.freeze(['idle', 'full', 'refused', 'asleep', 'broken', 'closed'] as const);
export type Retirement = (typeof RETIREMENTS)[number];

export interface TenantEntry {
  readonly key: string;
  /** The id of the database. */
  readonly tenant: string;
  /** The token is kept as long as the session, which needs it for new connections. */
  readonly credentials: AstraCredentials;
  readonly opened: OpenedTenant;
  uses: number;
  lastUsedMs: number;
  /** When Astra last said that the token is good. */
  validMs: number;
  /** Since when no call has gone well; null where the last one did. */
  failingSinceMs: number | null;
  isRetired: boolean;
}

export interface TenantEntries {
  readonly size: number;
  /** Retired ones that calls still use, or that are being closed. */
  readonly closingCount: number;
  readonly retired: Readonly<Record<Retirement, number>>;
  /**
   * Room for one more, for which the session that was used longest ago is closed where there are as many as there may be. The
   * answer gives the place back, once the session is added or was not to be had.
   * Errors: `ApiError` (`service_unavailable`) where all of them are at work.
   */
  takePlace(nowMs: number): () => void;
  /** By its own key, or by that of credentials which led to it. */
  get(key: string): TenantEntry | undefined;
  add(entry: Omit<TenantEntry, 'uses' | 'failingSinceMs' | 'isRetired'>): TenantEntry;
  /** From now on, credentials of this key lead to the entry. */
  alias(key: string, entry: TenantEntry): void;
  /** Least recently used first. */
  list(): readonly TenantEntry[];
  tenants(): readonly string[];
  /** The one of a tenant that was used last. */
  find(tenant: string): TenantEntry | undefined;
  /** Keeps the session open for the call. */
  use<T>(entry: TenantEntry, call: (engines: TenantEngines) => Promise<T>): Promise<T>;
  /** Nobody new gets it; it is closed behind the last call. Idempotent. */
  retire(entry: TenantEntry, why: Retirement): void;
  /** Resolves when all that were retired are closed. */
  settle(): Promise<void>;
}

/** Credentials that led to one entry: those with its id, and those without. */
const ALIASES_MAX = 1_000;

export function createTenantEntries(
  settings: Pick<TenantSessionSettings, 'sessionsMax' | 'protectMs'>,
  onCloseFailed: (error: unknown) => void,
): TenantEntries {
  const { sessionsMax, protectMs } = settings;
  const entries = new Map<string, TenantEntry>();
  const aliases = new Map<string, string>();
  const closings = new Map<TenantEntry, PromiseWithResolvers<void>>();
  const retired: Record<Retirement, number> = {
    idle: 0,
    full: 0,
    refused: 0,
    asleep: 0,
    broken: 0,
    closed: 0,
  };

  /** Places of those that are being opened. */
  let taken = 0;

  const closeIfUnused = async (entry: TenantEntry): Promise<void> => {
    const closing = closings.get(entry);
    if (!entry.isRetired || entry.uses > 0 || closing === undefined) return;
    await entry.opened.close().catch(onCloseFailed);
    closings.delete(entry);
    closing.resolve();
  };

  const listByUse = (): readonly TenantEntry[] =>
    [...entries.values()].sort((a, b) => a.lastUsedMs - b.lastUsedMs);

  const retire = (entry: TenantEntry, why: Retirement): void => {
    if (entry.isRetired) return;
    entry.isRetired = true;
    retired[why] += 1;
    entries.delete(entry.key);
    for (const [key, target] of aliases) if (target === entry.key) aliases.delete(key);
    closings.set(entry, Promise.withResolvers<void>());
    void closeIfUnused(entry);
  };

  return {
    get size() {
      return entries.size;
    },
    get closingCount() {
      return closings.size;
    },
    retired,
    takePlace(nowMs) {
      if (entries.size + taken >= sessionsMax) {
        const oldest = listByUse().find(
          ({ uses, lastUsedMs }) => uses === 0 && nowMs - lastUsedMs >= protectMs,
        );
        if (oldest === undefined) throw toFull(settings);
        retire(oldest, 'full');
      }
      taken += 1;
      return () => {
        taken -= 1;
      };
    },
    get: (key) => entries.get(aliases.get(key) ?? key),
    add(given) {
      const entry = { ...given, uses: 0, failingSinceMs: null, isRetired: false };
      entries.set(entry.key, entry);
      return entry;
    },
    alias(key, entry) {
      const [oldest] = aliases.keys();
      if (aliases.size >= ALIASES_MAX && oldest !== undefined) aliases.delete(oldest);
      if (key !== entry.key) aliases.set(key, entry.key);
    },
    list: listByUse,
    tenants: () => [...new Set([...entries.values()].map(({ tenant }) => tenant))],
    find(tenant) {
      let found: TenantEntry | undefined;
      // With every call of a store: cheaper than keeping order.
      for (const entry of entries.values()) {
        if (entry.tenant === tenant && entry.lastUsedMs >= (found?.lastUsedMs ?? 0)) found = entry;
      }
      return found;
    },
    async use(entry, call) {
      entry.uses += 1;
      try {
        return await call(entry.opened.engines);
      } finally {
        entry.uses -= 1;
        void closeIfUnused(entry);
      }
    },
    retire,
    async settle() {
      await Promise.all([...closings.values()].map(({ promise }) => promise));
    },
  };
}

function toFull({
  sessionsMax,
  protectMs,
}: Pick<TenantSessionSettings, 'sessionsMax' | 'protectMs'>): ApiError {
  return new ApiError(
    'service_unavailable',
    `The server works with ${sessionsMax} Astra databases at this moment, which is as many as it may. Try again later.`,
    { retryAfterMs: protectMs },
  );
}
