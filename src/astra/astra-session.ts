/** A session to one Astra database: its bundle, a token, and the same driver and sessions as for any other cluster. */

import { auth, Client, type ClientOptions, errors, types } from 'cassandra-driver';
import { toConsistency, toDriverOptions, toSerialConsistency } from '../cassandra/connect.ts';
import { toInnerErrors } from '../cassandra/errors.ts';
import { type CqlSession, createSession } from '../cassandra/session.ts';
import { ApiError } from '../errors.ts';
import type { Secret } from '../secret.ts';
import { StoreError } from '../store/store.ts';
import { toUnauthorized, toUnreachable } from './devops-answers.ts';
import { checkBundle, withBundleFile } from './secure-bundle.ts';

export interface AstraSessionSettings {
  readonly databaseId: string;
  readonly token: Secret;
  readonly bundle: Uint8Array;
  /** It must be there: Astra makes none by CQL. */
  readonly keyspace: string;
  /** Of the whole connect; the driver bounds each of its steps, not their number. */
  readonly timeoutMs?: number;
}

/** The only consistency for writes that Astra takes besides stronger ones. */
const CONSISTENCY = 'LOCAL_QUORUM';
/** Astra's name for whoever logs in with a token. */
const TOKEN_USER = 'token';
const CONNECT_MS = 12_000;
/** Made a moment ago, a keyspace is not known to every node yet. */
const KEYSPACE_RETRY_MS = 5_000;

/**
 * Errors: `ApiError`: `invalid_api_key`, `permission_denied`, `service_unavailable` where it does not connect in time,
 * `upstream_error` for a bundle that is none, or another database's.
 */
export async function openAstraSession(settings: AstraSessionSettings): Promise<CqlSession> {
  const { databaseId, token, bundle, keyspace, timeoutMs = CONNECT_MS } = settings;
  checkBundle(bundle, databaseId);
  return await withBundleFile(bundle, async (secureConnectBundle) => {
    const options: ClientOptions = {
      ...toDriverOptions(CONSISTENCY),
      cloud: { secureConnectBundle },
      authProvider: new auth.PlainTextAuthProvider(TOKEN_USER, token.reveal()),
      keyspace,
    };
    const client = new Client(options);
    try {
      await connectInTime(client, timeoutMs);
    } catch (error) {
      await client.shutdown().catch(() => undefined);
      throw toConnectError(error, keyspace);
    }
    return createSession(client, {
      keyspace,
      consistency: toConsistency(CONSISTENCY),
      serialConsistency: toSerialConsistency(CONSISTENCY),
    });
  });
}

class ConnectTimeout extends Error {}

async function connectInTime(client: Client, timeoutMs: number): Promise<void> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new ConnectTimeout(`no connection in ${timeoutMs} ms`)), timeoutMs);
  const connecting = client.connect();
  // One that comes too late is of no use to anybody: the client is shut down by then.
  connecting.catch(() => undefined);
  try {
    await Promise.race([connecting, promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** The driver's own words may quote addresses and certificates: they are for the log. */
export function toConnectError(error: unknown, keyspace: string): unknown {
  if (error instanceof ApiError) return error;
  const causes = [error, ...toInnerErrors(error)];
  if (causes.some((cause) => cause instanceof errors.AuthenticationError)) return toUnauthorized(error);
  const refusal = causes.find((cause) => cause instanceof errors.ResponseError);
  if (refusal !== undefined) {
    const { code } = refusal;
    if (code === types.responseErrorCodes.unauthorized) return toForbidden(keyspace, error);
    if (code === types.responseErrorCodes.invalid && /keyspace/i.test(refusal.message)) {
      return new ApiError(
        'service_unavailable',
        `The keyspace '${keyspace}' of the Astra database is being made.`,
        {
          cause: error,
          retryAfterMs: KEYSPACE_RETRY_MS,
        },
      );
    }
  }
  return toUnreachable('The Astra database cannot be reached.', error);
}

/** What the engines of a session threw while they were opened, in the words of our API. */
export function toPrepareError(error: unknown, keyspace: string): unknown {
  if (error instanceof ApiError) return error;
  const cause = error instanceof StoreError ? error.cause : error;
  const isForbidden =
    cause instanceof errors.ResponseError && cause.code === types.responseErrorCodes.unauthorized;
  if (isForbidden) return toForbidden(keyspace, error);
  if (error instanceof StoreError && error.code === 'unavailable') {
    // It says what the database lacks, and nothing of the token.
    return toUnreachable(`The Astra database cannot be used: ${error.message}`, error);
  }
  return error;
}

function toForbidden(keyspace: string, cause: unknown): ApiError {
  return new ApiError(
    'permission_denied',
    `The role of the Astra token must let it read, write and make tables in the keyspace '${keyspace}'.`,
    { cause },
  );
}

/**
 * Makes sure that the token may write. All sessions of a tenant serve all of its requests, so a token that may only read must not
 * get one. Nothing is written: the condition never holds. Needs the table `schema_lease`, which `migrate` makes.
 */
export async function checkWritable(session: CqlSession): Promise<void> {
  await session.apply({
    cql: 'DELETE FROM schema_lease WHERE book = ? IF owner = ?',
    values: ['astra', 'nobody'],
  });
}
