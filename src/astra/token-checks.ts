/** Asks Astra again and again whether the tokens of open sessions are still good: one that was revoked must stop working. */

import type { Clock } from '../clock.ts';
import { ApiError } from '../errors.ts';
import { toUnreachable } from './devops-answers.ts';
import type { TenantOpener } from './tenant-engines.ts';
import type { TenantEntries, TenantEntry } from './tenant-entries.ts';

export interface TokenChecks {
  /**
   * Resolves where the entry may serve a request now. A token that was found good half of `revalidateMs` ago is asked about in the
   * background, so that those who ask all the time never wait.
   * Errors: `ApiError`, after which the entry is retired; `service_unavailable` where nobody could be asked for too long.
   */
  demand(entry: TenantEntry): Promise<void>;
  /** Asks in the background about sessions that were used since they were last found good. */
  refresh(): void;
  /** Asks in the background, unless that was done a moment ago: the database refuses the token, or does not answer. */
  suspect(entry: TenantEntry): void;
}

export interface TokenCheckSettings {
  readonly revalidateMs: number;
  /** How much longer a session serves where Astra's API does not answer: it is not the way to the database. */
  readonly graceMs: number;
}

/** While Astra's API does not answer it is asked no more often than this. */
const RETRY_MS = 5_000;
/** Answers after which a token opens its database no more. */
const FINAL: ReadonlySet<string> = new Set([
  'invalid_api_key',
  'permission_denied',
  'not_found',
  'invalid_request',
]);

interface Check {
  readonly beganMs: number;
  /** Never rejects. */
  readonly ended: Promise<unknown>;
  isOver: boolean;
}

export function createTokenChecks(
  deps: {
    readonly entries: TenantEntries;
    readonly opener: TenantOpener;
    readonly clock: Clock;
    /** The token was refused: whoever asks next need not ask Astra. */
    readonly onRefused: (entry: TenantEntry, error: unknown) => void;
  },
  settings: TokenCheckSettings,
): TokenChecks {
  const { entries, opener, clock } = deps;
  const checks = new WeakMap<TenantEntry, Check>();

  const ask = async (entry: TenantEntry): Promise<unknown> => {
    const beganMs = clock.nowMs();
    try {
      if (await opener.check(entry.credentials, entry.tenant)) entry.validMs = beganMs;
      else entries.retire(entry, 'asleep');
      return null;
    } catch (error) {
      if (error instanceof ApiError && FINAL.has(error.code)) {
        entries.retire(entry, 'refused');
        deps.onRefused(entry, error);
      }
      return error;
    }
  };

  const begin = (entry: TenantEntry): Check => {
    const ended = ask(entry);
    const check: Check = { beganMs: clock.nowMs(), ended, isOver: false };
    checks.set(entry, check);
    void ended.then(() => {
      check.isOver = true;
    });
    return check;
  };

  /** The check under way, or a new one, or the last one where that was a moment ago. */
  const look = (entry: TenantEntry): Check => {
    const last = checks.get(entry);
    const isRecent = last !== undefined && clock.nowMs() - last.beganMs < RETRY_MS;
    return last !== undefined && (!last.isOver || isRecent) ? last : begin(entry);
  };

  return {
    async demand(entry) {
      const ageMs = clock.nowMs() - entry.validMs;
      if (ageMs < settings.revalidateMs / 2) return;
      const check = look(entry);
      if (ageMs < settings.revalidateMs) return;
      const error = await check.ended;
      if (entry.isRetired && error !== null) throw error;
      if (entry.isRetired || clock.nowMs() - entry.validMs < settings.revalidateMs + settings.graceMs) return;
      throw toUnreachable('Astra could not be asked for too long whether the token is still good.', error);
    },
    refresh() {
      const nowMs = clock.nowMs();
      for (const entry of entries.list()) {
        const isUsed = entry.lastUsedMs > entry.validMs;
        if (isUsed && nowMs - entry.validMs >= settings.revalidateMs / 2) look(entry);
      }
    },
    suspect(entry) {
      look(entry);
    },
  };
}
