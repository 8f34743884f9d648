/**
 * Astra's DevOps API, as far as it is needed to find, wake and open a database.
 *
 * `@datastax/astra-db-ts` does not serve here: it is a client of the Data API, which is HTTP and JSON, not CQL, and can neither
 * fetch a secure bundle nor wake a database. It also follows redirects, sets no bound for the size of an answer, and brings six
 * packages. Six endpoints are less.
 */

import type { Secret } from '../secret.ts';
import {
  type AstraDatabase,
  toDatabase,
  toMalformed,
  toObject,
  toRefusal,
  toUnreachable,
} from './devops-answers.ts';

export const DEVOPS_URL = 'https://api.astra.datastax.com';

/** The part of `fetch` that is used: the global one, or a test's. */
export type FetchPort = (url: string, init: BunFetchRequestInit) => Promise<Response>;

export interface DevOpsTimeouts {
  /** Of one call, from the connection to the last byte. */
  readonly callMs: number;
  readonly downloadMs: number;
}

export const DEVOPS_TIMEOUTS: DevOpsTimeouts = Object.freeze({ callMs: 8_000, downloadMs: 8_000 });

/** A page of a hundred databases is about 200 KB. */
const ANSWER_BYTES_MAX = 4 * 1024 * 1024;
/** Real ones are about 12 KB. */
export const BUNDLE_BYTES_MAX = 1024 * 1024;
const PAGE = 100;
const PAGES_MAX = 20;

export interface NewDatabase {
  readonly name: string;
  readonly keyspace: string;
  /** `AWS`, `GCP`, `AZURE` */
  readonly cloudProvider: string;
  readonly region: string;
}

/**
 * Every method throws `ApiError`: `invalid_api_key` for a token that Astra does not take (any more), `permission_denied`,
 * `not_found`, `rate_limit_exceeded`, `service_unavailable` (with `retryAfterMs`) where the API does not answer in time, and
 * `upstream_error` where it answers what it never should. No error has the token in it.
 */
export interface DevOpsClient {
  /** All that are not terminated. */
  listDatabases(token: Secret): Promise<readonly AstraDatabase[]>;
  getDatabase(token: Secret, id: string): Promise<AstraDatabase>;
  /** Answers its id. It is `PENDING` for some minutes. */
  createDatabase(token: Secret, database: NewDatabase): Promise<string>;
  /** Idempotent. It is there some seconds later. A hibernated database is woken by it, and refuses it then. */
  createKeyspace(token: Secret, id: string, keyspace: string): Promise<void>;
  resumeDatabase(token: Secret, id: string): Promise<void>;
  /** The secure bundle, a ZIP. */
  fetchBundle(token: Secret, id: string): Promise<Uint8Array>;
}

export interface DevOpsOptions {
  readonly fetch: FetchPort;
  /** Without a slash at its end. */
  readonly url?: string;
  readonly timeouts?: DevOpsTimeouts;
  /** `user-agent`, as `understudy/0.1.0`. */
  readonly userAgent?: string;
}

interface Call {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly body?: object;
  /** What it is for, in messages: `list the databases`. */
  readonly purpose: string;
}

interface Answer {
  readonly headers: Headers;
  readonly text: string;
}

export function createDevOpsClient(options: DevOpsOptions): DevOpsClient {
  const { fetch, url: base = DEVOPS_URL, timeouts = DEVOPS_TIMEOUTS } = options;

  const call = async (token: Secret, { method, path, body, purpose }: Call): Promise<Answer> => {
    const revealed = token.reveal();
    const init: BunFetchRequestInit = {
      method,
      headers: {
        authorization: `Bearer ${revealed}`,
        accept: 'application/json',
        ...(method === 'POST' ? { 'content-type': 'application/json' } : {}),
        ...(options.userAgent === undefined ? {} : { 'user-agent': options.userAgent }),
      },
      ...(method === 'POST' ? { body: JSON.stringify(body ?? {}) } : {}),
    };
    const answer = await send(fetch, `${base}${path}`, init, timeouts.callMs, ANSWER_BYTES_MAX);
    const text = new TextDecoder().decode(answer.bytes);
    if (answer.status >= 200 && answer.status < 300) return { headers: answer.headers, text };
    const retryAfter = answer.headers.get('retry-after');
    throw toRefusal({ status: answer.status, retryAfter, body: text, token: revealed, purpose });
  };

  const list = async (token: Secret): Promise<readonly AstraDatabase[]> => {
    const found: AstraDatabase[] = [];
    for (let page = 0; page < PAGES_MAX; page += 1) {
      const after = found.at(-1)?.id;
      const cursor = after === undefined ? '' : `&starting_after=${after}`;
      const path = `/v2/databases?include=nonterminated&provider=ALL&limit=${PAGE}${cursor}`;
      const values = parse((await call(token, { method: 'GET', path, purpose: 'list the databases' })).text);
      if (!Array.isArray(values)) throw toMalformed('with something else than a list of databases');
      const databases = values.flatMap((value) => toDatabase(value) ?? []);
      found.push(...databases);
      if (values.length < PAGE || databases.length === 0) break;
    }
    return found;
  };

  return {
    listDatabases: list,

    async getDatabase(token, id) {
      const path = `/v2/databases/${id}`;
      const { text } = await call(token, { method: 'GET', path, purpose: 'read the database' });
      const database = toDatabase(parse(text));
      if (database === null || database.id !== id) throw toMalformed('with something else than the database');
      return database;
    },

    async createDatabase(token, { name, keyspace, cloudProvider, region }) {
      const body = {
        name,
        keyspace,
        cloudProvider,
        region,
        tier: 'serverless',
        capacityUnits: 1,
        dbType: 'vector',
      };
      const { headers } = await call(token, {
        method: 'POST',
        path: '/v2/databases',
        body,
        purpose: 'create a database',
      });
      const id = headers.get('location')?.split('/').at(-1)?.toLowerCase() ?? '';
      if (id === '') throw toMalformed('without the id of the database that it created');
      return id;
    },

    async createKeyspace(token, id, keyspace) {
      const path = `/v2/databases/${id}/keyspaces/${keyspace}`;
      await call(token, { method: 'POST', path, purpose: `create the keyspace '${keyspace}'` });
    },

    async resumeDatabase(token, id) {
      await call(token, { method: 'POST', path: `/v2/databases/${id}/resume`, purpose: 'wake the database' });
    },

    async fetchBundle(token, id) {
      const path = `/v2/databases/${id}/secureBundleURL`;
      const { text } = await call(token, { method: 'POST', path, purpose: 'fetch the secure bundle' });
      const url = toDownloadUrl(parse(text), base);
      const answer = await send(fetch, url, { method: 'GET' }, timeouts.downloadMs, BUNDLE_BYTES_MAX);
      if (answer.status === 200) return answer.bytes;
      throw toUnreachable(`The secure bundle of the Astra database cannot be fetched (${answer.status}).`);
    },
  };
}

interface RawAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly bytes: Uint8Array;
}

/** A redirect is never followed: it would take the token along. */
async function send(
  fetch: FetchPort,
  url: string,
  init: BunFetchRequestInit,
  timeoutMs: number,
  bytesMax: number,
): Promise<RawAnswer> {
  const { origin } = new URL(url);
  const signal = AbortSignal.timeout(timeoutMs);
  let response: Response;
  let bytes: Uint8Array | null;
  try {
    response = await fetch(url, { ...init, redirect: 'manual', signal });
    bytes = await readBounded(response, bytesMax);
  } catch (error) {
    const name = error instanceof Error ? error.name : 'Error';
    // The error itself may quote what was sent.
    const cause = new Error(`${name} in a call of ${origin}`);
    throw signal.aborted
      ? toUnreachable(`Astra at ${origin} did not answer in ${timeoutMs} ms.`, cause)
      : toUnreachable(`Astra at ${origin} cannot be reached.`, cause);
  }
  if (bytes === null) throw toMalformed(`with more than ${bytesMax} bytes`);
  if (response.status >= 300 && response.status < 400) {
    throw toMalformed(`with a redirect (${response.status}), which is not followed`);
  }
  return { status: response.status, headers: response.headers, bytes };
}

/** null beyond the bound. */
async function readBounded(response: Response, bytesMax: number): Promise<Uint8Array | null> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of response.body ?? []) {
    bytes += piece.byteLength;
    if (bytes > bytesMax) return null;
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw toMalformed('with something that is no JSON');
  }
}

/** Astra's storage is reached by TLS, unless the operator has named an API without it. */
function toDownloadUrl(answer: unknown, base: string): string {
  // Asked for all data centres, the API answers a list of them.
  const value = toObject(Array.isArray(answer) ? answer[0] : answer)?.downloadURL;
  const url = typeof value === 'string' ? URL.parse(value) : null;
  const isAllowed = url?.protocol === 'https:' || (url?.protocol === 'http:' && base.startsWith('http:'));
  if (url === null || !isAllowed) throw toMalformed('without an address of the secure bundle');
  return url.href;
}
