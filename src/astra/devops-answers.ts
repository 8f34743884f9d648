/** What Astra's DevOps API says, read with distrust, and what its refusals mean to a client of ours. */

import { ApiError } from '../errors.ts';
import { DATABASE_HEADER, TOKEN_HEADER } from './credentials.ts';

export interface AstraDatabase {
  readonly id: string;
  readonly name: string;
  /** `ACTIVE`, `HIBERNATED`, …: new ones may come. */
  readonly status: string;
  readonly region: string;
  readonly keyspaces: readonly string[];
  /** Whether it was made for vectors. */
  readonly isVector: boolean;
  /** ISO 8601; empty where it is not told. */
  readonly createdAt: string;
}

type JsonObject = Readonly<Record<string, unknown>>;

export function toObject(value: unknown): JsonObject | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : null;
}

/** null for what is no database. */
export function toDatabase(value: unknown): AstraDatabase | null {
  const database = toObject(value);
  const info = toObject(database?.info);
  if (database === null || info === null) return null;
  const { id, status } = database;
  if (typeof id !== 'string' || typeof status !== 'string') return null;
  const named = [info.keyspace, ...toList(info.keyspaces), ...toList(info.additionalKeyspaces)];
  return {
    id: id.toLowerCase(),
    name: toText(info.name),
    status,
    region: toText(info.region),
    keyspaces: [...new Set(named.filter((name): name is string => typeof name === 'string' && name !== ''))],
    isVector: info.dbType === 'vector',
    createdAt: toText(database.creationTime),
  };
}

function toList(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function toText(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

const RETRY_AFTER_MS = 2_000;
/** A database that changes its state takes its time. */
const BUSY_RETRY_MS = 5_000;
const RATE_RETRY_MS = 5_000;
const RATE_RETRY_MAX_MS = 60_000;
const REASON_LENGTH_MAX = 300;

export interface Refusal {
  readonly status: number;
  readonly retryAfter: string | null;
  readonly body: string;
  /** Taken out of whatever is kept of the answer. */
  readonly token: string | null;
  /** What was asked for, for the message: `list the databases`. */
  readonly purpose: string;
}

/** An answer that is no success, as an error in our envelope. The API's own words are kept for the log, never shown. */
export function toRefusal(refusal: Refusal): ApiError {
  const { status, purpose } = refusal;
  const reason = toReason(refusal);
  const cause = new Error(`Astra's DevOps API answered ${status}: ${reason}`);
  if (status === 403 || (status === 401 && /unauthorized to perform/i.test(reason))) {
    return new ApiError('permission_denied', `The role of the Astra token does not let it ${purpose}.`, {
      cause,
    });
  }
  if (status === 401 || (status === 400 && /JWT not valid/i.test(reason))) return toUnauthorized(cause);
  if (status === 404) return toUnknownDatabase(cause);
  if (status === 409) {
    const message = 'The Astra database is changing its state. Try again in a moment.';
    return new ApiError('service_unavailable', message, { cause, retryAfterMs: BUSY_RETRY_MS });
  }
  if (status === 429) {
    const message = "Astra's DevOps API limits the calls of this token. Try again later.";
    return new ApiError('rate_limit_exceeded', message, {
      cause,
      retryAfterMs: toRetryMs(refusal.retryAfter),
    });
  }
  if (status >= 500) return toUnreachable(`Astra's DevOps API failed (${status}).`, cause);
  return new ApiError('upstream_error', `Astra's DevOps API refused (${status}) to ${purpose}.`, { cause });
}

export function toUnauthorized(cause: unknown): ApiError {
  return new ApiError(
    'invalid_api_key',
    `Incorrect Astra token provided in '${TOKEN_HEADER}': Astra does not know it, or it has expired or been revoked.`,
    { cause },
  );
}

/** A foreign database is not told from one that is not there. */
export function toUnknownDatabase(cause?: unknown): ApiError {
  return new ApiError(
    'not_found',
    `No Astra database found with the id in '${DATABASE_HEADER}' that this token may use.`,
    { param: DATABASE_HEADER, cause },
  );
}

export function toUnreachable(message: string, cause?: unknown): ApiError {
  return new ApiError('service_unavailable', `${message} Try again later.`, {
    cause,
    retryAfterMs: RETRY_AFTER_MS,
  });
}

/** Answered something else than its API: a proxy's page, another server. */
export function toMalformed(detail: string): ApiError {
  return new ApiError('upstream_error', `Astra's DevOps API answered ${detail}.`);
}

function toReason({ body, token }: Refusal): string {
  const text = token === null ? body : body.replaceAll(token, '[secret]');
  return text.replace(/AstraCS:[^\s"']+/g, '[secret]').slice(0, REASON_LENGTH_MAX);
}

function toRetryMs(header: string | null): number {
  const seconds = Number(header);
  if (header === null || !Number.isFinite(seconds) || seconds <= 0) return RATE_RETRY_MS;
  return Math.min(seconds * 1000, RATE_RETRY_MAX_MS);
}
