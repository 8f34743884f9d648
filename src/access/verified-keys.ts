/**
 * Tells whose a key is. What the store says of a key is believed for a moment, so that not every request asks it; never for so long
 * that a key which was revoked, by whatever process on whatever host, goes on for five seconds.
 *
 * While the store does not answer, a key that it knew goes on for a minute: nearly all that can be done with it needs the store
 * anyway, and what does not (a chat) is not cut off by a moment's trouble. Keys that have not been seen get a 503.
 */

import { timingSafeEqual } from 'node:crypto';
import type { Clock } from '../clock.ts';
import { ApiError } from '../errors.ts';
import { type Log, toLogFields } from '../log.ts';
import type { Store } from '../store/store.ts';
import { hashSecret, type KeyParts, parseKey } from './key-format.ts';
import {
  ACCESS_SCOPE,
  type KeyLimits,
  type KeyRecord,
  type ProjectLimits,
  type ProjectRecord,
} from './key-records.ts';
import type { KeyScope } from './key-scopes.ts';

/** Who holds a key that is good. */
export interface KeyIdentity {
  readonly keyId: string;
  readonly tenant: string;
  /** Its name. */
  readonly project: string;
  readonly scopes: ReadonlySet<KeyScope>;
  readonly limits: KeyLimits;
  readonly projectLimits: ProjectLimits;
}

export type KeyFault = 'malformed' | 'unknown' | 'revoked' | 'expired';

export type KeyVerdict =
  | { readonly fault: KeyFault; readonly identity: null }
  | { readonly fault: null; readonly identity: KeyIdentity };

export interface VerifiedKeys {
  /** Errors: 503 where the store does not answer, and the key is not known from a minute before. */
  check(key: string): Promise<KeyVerdict>;
}

export interface VerifiedKeysSettings {
  /** For so long what was read of a key holds. */
  readonly freshMs: number;
  /** For so long it holds while it is read anew. */
  readonly staleMs: number;
  /** For so long it holds while the store does not answer. */
  readonly graceMs: number;
  /** How long a request waits for the store. */
  readonly answerMs: number;
  /** Keys that are remembered, the good ones and the others each. */
  readonly keysMax: number;
}

export const VERIFIED_KEYS_SETTINGS: VerifiedKeysSettings = Object.freeze({
  freshMs: 2_000,
  staleMs: 3_500,
  graceMs: 60_000,
  answerMs: 3_000,
  keysMax: 10_000,
});

/** A store that has just not answered is asked again, but waited for by nobody whose key is known. */
const TROUBLED_MS = 1_000;
const RETRY_AFTER_MS = 1_000;

interface Entry {
  readonly verdict: KeyVerdict;
  /** Milliseconds since the epoch; null: never. */
  readonly expiresMs: number | null;
  /** When the look at the store began. */
  readonly lookedMs: number;
}

const MALFORMED: KeyVerdict = Object.freeze({ fault: 'malformed', identity: null });

export function createVerifiedKeys(
  deps: { readonly store: Pick<Store, 'get'>; readonly clock: Clock; readonly log: Log },
  settings: VerifiedKeysSettings = VERIFIED_KEYS_SETTINGS,
): VerifiedKeys {
  const { clock } = deps;
  /** By the hash of the key, which itself is kept nowhere. */
  const good = createBounded(settings.keysMax);
  const others = createBounded(settings.keysMax);
  /** One look at a time for each key: as many as there are requests that wait, at most. */
  const looks = new Map<string, Promise<Entry>>();
  let troubledMs = Number.NEGATIVE_INFINITY;

  const look = (name: string, parts: KeyParts): Promise<Entry> => {
    const underWay = looks.get(name);
    if (underWay !== undefined) return underWay;
    const lookedMs = clock.nowMs();
    const started = readKey(deps.store, parts, lookedMs).then(
      (entry) => {
        // What is good now was perhaps refused before, and the other way round.
        const isGood = entry.verdict.identity !== null;
        (isGood ? good : others).set(name, entry);
        (isGood ? others : good).delete(name);
        return entry;
      },
      (error: unknown) => {
        if (clock.nowMs() - troubledMs >= TROUBLED_MS) deps.log.warn('key not read', toLogFields(error));
        troubledMs = clock.nowMs();
        throw error;
      },
    );
    const ended = started.finally(() => looks.delete(name));
    // Nobody may be waiting for a look in the background.
    ended.catch(() => undefined);
    looks.set(name, ended);
    return ended;
  };

  const waitFor = async (pending: Promise<Entry>): Promise<Entry> => {
    const { promise: overdue, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(() => {
      troubledMs = clock.nowMs();
      reject(new Error('the store did not answer in time'));
    }, settings.answerMs);
    try {
      return await Promise.race([pending, overdue]);
    } finally {
      clearTimeout(timer);
    }
  };

  const toVerdict = ({ verdict, expiresMs }: Entry): KeyVerdict =>
    verdict.identity !== null && expiresMs !== null && expiresMs <= clock.nowMs()
      ? { fault: 'expired', identity: null }
      : verdict;

  return {
    async check(key) {
      const parts = parseKey(key);
      if (parts === null) return MALFORMED;
      const name = Bun.SHA256.hash(key, 'base64');
      const known = good.get(name) ?? others.get(name);
      const ageMs = known === undefined ? Number.POSITIVE_INFINITY : clock.nowMs() - known.lookedMs;
      // A clock that was set back makes an age that means nothing.
      if (known !== undefined && ageMs >= 0 && ageMs < settings.freshMs) return toVerdict(known);
      const pending = look(name, parts);
      const isServed = known?.verdict.identity != null;
      if (known !== undefined && isServed && ageMs >= 0) {
        if (ageMs < settings.staleMs) return toVerdict(known);
        const isTroubled = clock.nowMs() - troubledMs < TROUBLED_MS;
        if (isTroubled && ageMs < settings.graceMs) return toVerdict(known);
      }
      try {
        return toVerdict(await waitFor(pending));
      } catch (cause) {
        if (known !== undefined && isServed && ageMs < settings.graceMs) return toVerdict(known);
        throw new ApiError('service_unavailable', 'The key cannot be checked now. Try again later.', {
          cause,
          retryAfterMs: RETRY_AFTER_MS,
        });
      }
    },
  };
}

async function readKey(store: Pick<Store, 'get'>, parts: KeyParts, lookedMs: number): Promise<Entry> {
  const found = await store.get<KeyRecord>('api_keys', ACCESS_SCOPE, parts.id);
  const record = found?.record ?? null;
  if (record === null || !isSameHash(hashSecret(parts.secret), record.secret_sha256)) {
    return toRefusal('unknown', lookedMs);
  }
  if (record.revoked_at !== null) return toRefusal('revoked', lookedMs);
  const project = await store.get<ProjectRecord>('projects', ACCESS_SCOPE, record.project_id);
  if (project === null) return toRefusal('unknown', lookedMs);
  const identity: KeyIdentity = {
    keyId: record.id,
    tenant: record.tenant,
    project: record.project,
    scopes: new Set(record.scopes),
    limits: record.limits,
    projectLimits: project.record.limits,
  };
  const expiresMs = record.expires_at === null ? null : record.expires_at * 1000;
  return { verdict: { fault: null, identity }, expiresMs, lookedMs };
}

function toRefusal(fault: KeyFault, lookedMs: number): Entry {
  return { verdict: { fault, identity: null }, expiresMs: null, lookedMs };
}

function isSameHash(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}

interface Bounded {
  get(name: string): Entry | undefined;
  set(name: string, entry: Entry): void;
  delete(name: string): void;
}

/** The oldest goes where there is no more room. */
function createBounded(entriesMax: number): Bounded {
  const entries = new Map<string, Entry>();
  return {
    get: (name) => entries.get(name),
    set(name, entry) {
      entries.delete(name);
      entries.set(name, entry);
      const oldest = entries.keys().next();
      if (entries.size > entriesMax && !oldest.done) entries.delete(oldest.value);
    },
    delete: (name) => void entries.delete(name),
  };
}
