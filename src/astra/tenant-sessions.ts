/**
 * One session for each token and database, opened by the first request that brings the token, shared by all that follow, and
 * closed when nobody has used it for a while, when there are too many, or when Astra takes the token no more.
 *
 * Different tokens of one database are one tenant with a session each; a token is checked by its own session alone.
 */

import { createHmac, randomBytes } from 'node:crypto';
import type { Clock } from '../clock.ts';
import type { ApiError } from '../errors.ts';
import { createGate, type Gate } from '../gate.ts';
import { type Log, toLogFields } from '../log.ts';
import { StoreError } from '../store/store.ts';
import type { AstraCredentials } from './credentials.ts';
import { toUnreachable } from './devops-answers.ts';
import { createRecentFailures, type RecentFailures } from './recent-failures.ts';
import type { ConnectedTenant, TenantEngines, TenantOpener } from './tenant-engines.ts';
import { createTenantEntries, type TenantEntries, type TenantEntry } from './tenant-entries.ts';
import {
  TENANT_SESSION_SETTINGS,
  type TenantSessionSettings,
  type TenantStatistics,
} from './tenant-settings.ts';
import { createTokenChecks } from './token-checks.ts';

export interface TenantSessions {
  /**
   * Opens the database of the credentials, or finds it open, and answers its id: the tenant.
   * Errors: `ApiError`, in `answerMs` at the latest; `service_unavailable` has `retryAfterMs`.
   */
  open(credentials: AstraCredentials): Promise<string>;
  /**
   * A call of an open tenant's engines. A quiet one does not count as use: what looks for work would keep every session open.
   * Errors: `StoreError` (`unavailable`) where no session of the tenant is open.
   */
  use<T>(
    tenant: string,
    call: (engines: TenantEngines) => Promise<T>,
    options?: { isQuiet?: boolean },
  ): Promise<T>;
  /** Tenants with an open session. */
  tenants(): readonly string[];
  /** Closes what is idle, and has tokens checked. Called by itself every few seconds. */
  sweep(): void;
  getStatistics(): TenantStatistics;
  /** Ends behind the calls under way. Idempotent. */
  close(): Promise<void>;
}

export interface TenantSessionDeps {
  readonly opener: TenantOpener;
  readonly clock: Clock;
  readonly log: Log;
}

const SWEEP_MS = 5_000;
/** Beyond these, nobody is let into the queue: each would wait too long. */
const WAITING_MAX = 200;
/** Databases that are looked for, or waited for while they wake, at once. */
const LOOKS_MAX = 64;
/** Databases whose tables are being made at once: that takes longer than a connect, and keeps no other from connecting. */
const PREPARES_MAX = 32;
const SALT_BYTES = 32;

export function createTenantSessions(
  deps: TenantSessionDeps,
  given: Partial<TenantSessionSettings> = {},
): TenantSessions {
  return new SessionCache(deps, { ...TENANT_SESSION_SETTINGS, ...given });
}

class SessionCache implements TenantSessions {
  /** Keys are of no use outside of this process, nor to whoever reads its memory for tokens. */
  private readonly salt = randomBytes(SALT_BYTES);
  private readonly entries: TenantEntries;
  private readonly openings = new Map<string, Promise<TenantEntry>>();
  private readonly failures: RecentFailures;
  private readonly looks = createGate(LOOKS_MAX);
  private readonly connects: Gate;
  private readonly prepares = createGate(PREPARES_MAX);
  private readonly checks: ReturnType<typeof createTokenChecks>;
  private readonly timer: Timer;
  private opened = 0;
  private failed = 0;
  private closing: Promise<void> | null = null;

  constructor(
    private readonly deps: TenantSessionDeps,
    private readonly settings: TenantSessionSettings,
  ) {
    this.entries = createTenantEntries(settings, (error) =>
      deps.log.warn('astra session not closed', toLogFields(error)),
    );
    this.connects = createGate(settings.connectsMax);
    this.failures = createRecentFailures(deps.clock, settings.failureMs);
    this.checks = createTokenChecks(
      {
        ...deps,
        entries: this.entries,
        onRefused: (entry, error) => this.failures.remember(entry.key, error),
      },
      settings,
    );
    this.timer = setInterval(() => this.sweep(), SWEEP_MS);
    this.timer.unref();
  }

  async open(credentials: AstraCredentials): Promise<string> {
    const key = this.toKey(credentials);
    const entry = await this.find(key, credentials);
    await this.checks.demand(entry);
    // Its database has gone to sleep meanwhile: it is woken by opening it anew.
    const usable = entry.isRetired ? await this.find(key, credentials) : entry;
    usable.lastUsedMs = this.deps.clock.nowMs();
    return usable.tenant;
  }

  async use<T>(
    tenant: string,
    call: (engines: TenantEngines) => Promise<T>,
    { isQuiet = false }: { isQuiet?: boolean } = {},
  ): Promise<T> {
    const entry = this.entries.find(tenant);
    if (entry === undefined) {
      throw new StoreError(
        'unavailable',
        'No session to the Astra database is open: its token is needed again.',
      );
    }
    if (!isQuiet) entry.lastUsedMs = this.deps.clock.nowMs();
    try {
      const value = await this.entries.use(entry, call);
      entry.failingSinceMs = null;
      return value;
    } catch (error) {
      if (this.deps.opener.isRefusal(error)) {
        this.checks.suspect(entry);
        throw new StoreError('unavailable', 'The Astra database refuses the token.', { cause: error });
      }
      if (error instanceof StoreError && error.code === 'unavailable') this.noteFailure(entry);
      throw error;
    }
  }

  tenants(): readonly string[] {
    return this.entries.tenants();
  }

  sweep(): void {
    const nowMs = this.deps.clock.nowMs();
    for (const entry of this.entries.list()) {
      if (entry.uses === 0 && nowMs - entry.lastUsedMs >= this.settings.idleMs) {
        this.entries.retire(entry, 'idle');
      }
    }
    this.checks.refresh();
  }

  getStatistics(): TenantStatistics {
    return {
      open: this.entries.size,
      closing: this.entries.closingCount,
      opening: this.openings.size,
      opened: this.opened,
      failed: this.failed,
      retired: { ...this.entries.retired },
    };
  }

  close(): Promise<void> {
    this.closing ??= this.end();
    return this.closing;
  }

  private async end(): Promise<void> {
    clearInterval(this.timer);
    await Promise.allSettled([...this.openings.values()]);
    for (const entry of this.entries.list()) this.entries.retire(entry, 'closed');
    await this.entries.settle();
  }

  /** The entry of the credentials, which is opened where there is none: once for all who ask at the same time. */
  private async find(key: string, credentials: AstraCredentials): Promise<TenantEntry> {
    const known = this.entries.get(key);
    if (known !== undefined) return known;
    if (this.closing !== null) throw toUnreachable('The server is shutting down.');
    this.failures.rethrow(key);
    return await this.answerInTime(this.openings.get(key) ?? this.begin(key, credentials));
  }

  private begin(key: string, credentials: AstraCredentials): Promise<TenantEntry> {
    const opening = this.openOnce(key, credentials)
      .catch((error: unknown) => {
        this.failures.remember(key, error);
        throw error;
      })
      .finally(() => this.openings.delete(key));
    // Whoever waits for it may have gone.
    opening.catch(() => undefined);
    this.openings.set(key, opening);
    return opening;
  }

  private async openOnce(key: string, credentials: AstraCredentials): Promise<TenantEntry> {
    const { databaseId } = credentials;
    if (databaseId !== null) return await this.connect(key, credentials, databaseId);
    const tenant = await this.pass(this.looks, () => this.deps.opener.choose(credentials));
    // Others may have named the database that these credentials lead to.
    const full = { ...credentials, databaseId: tenant };
    const fullKey = this.toKey(full);
    const entry =
      this.entries.get(fullKey) ?? (await (this.openings.get(fullKey) ?? this.begin(fullKey, full)));
    if (!entry.isRetired) this.entries.alias(key, entry);
    return entry;
  }

  private async connect(key: string, credentials: AstraCredentials, tenant: string): Promise<TenantEntry> {
    const { opener, clock } = this.deps;
    const validMs = clock.nowMs();
    await this.pass(this.looks, () => opener.awaitReady(credentials, tenant));
    const leavePlace = this.entries.takePlace(clock.nowMs());
    let connected: ConnectedTenant | null = null;
    try {
      const found = await this.pass(this.connects, () => opener.open(credentials, tenant));
      connected = found;
      const opened = await this.pass(this.prepares, () => found.prepare());
      this.opened += 1;
      return this.entries.add({ key, tenant, credentials, opened, lastUsedMs: clock.nowMs(), validMs });
    } catch (error) {
      await connected?.close();
      throw error;
    } finally {
      leavePlace();
    }
  }

  private async pass<T>(gate: Gate, work: () => Promise<T>): Promise<T> {
    if (gate.waitingCount >= WAITING_MAX) throw toCrowded();
    const leave = await gate.enter(AbortSignal.timeout(this.settings.answerMs)).catch(() => {
      throw toCrowded();
    });
    try {
      return await work();
    } catch (error) {
      this.failed += 1;
      throw error;
    } finally {
      leave();
    }
  }

  /** The opening itself goes on: whoever comes back finds it done. */
  private async answerInTime(opening: Promise<TenantEntry>): Promise<TenantEntry> {
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(
      () => late.reject(toUnreachable('The Astra database is still being opened.')),
      this.settings.answerMs,
    );
    try {
      return await Promise.race([opening, late.promise]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** The database may have gone to sleep, or have been given other certificates. */
  private noteFailure(entry: TenantEntry): void {
    const nowMs = this.deps.clock.nowMs();
    entry.failingSinceMs ??= nowMs;
    this.checks.suspect(entry);
    if (nowMs - entry.failingSinceMs >= this.settings.brokenMs) this.entries.retire(entry, 'broken');
  }

  private toKey({ token, databaseId }: AstraCredentials): string {
    const hash = createHmac('sha256', this.salt).update(`${token.reveal()}\0${databaseId ?? ''}`);
    return hash.digest('base64url');
  }
}

function toCrowded(): ApiError {
  return toUnreachable('The server is opening as many Astra databases as it may at once.');
}
