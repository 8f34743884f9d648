/** Lets requests in by the server's own keys: who holds one is known before anything else happens, and what he may do. */

import type { Clock } from '../clock.ts';
import { ApiError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { CallerKey } from '../services/caller.ts';
import type { Scope, Store } from '../store/store.ts';
import { createAddressCheck, toAddressGroup } from './addresses.ts';
import { createFailedLogins } from './failed-logins.ts';
import { maskKey } from './key-format.ts';
import { hasScope, type KeyScope } from './key-scopes.ts';
import type { RequestLimiter } from './limits/limiter.ts';
import { createOperationScopes } from './operation-scopes.ts';
import { createVerifiedKeys, type KeyFault, type KeyIdentity } from './verified-keys.ts';

/** The headers of an answer, to be added to. */
export type AnswerHeaders = Record<string, string | number | undefined>;

export interface KeyAdmission {
  /**
   * Finds out whose request it is, and whether it may be made. To be awaited before the request is handled. `route` as the router
   * has it. Errors: 401, 403, 429, 503.
   */
  admit(request: Request, route: string, headers: AnswerHeaders): Promise<void>;
  /** Errors: a fault of the program's, where a route of the API has no scope. */
  checkRoutes(routes: readonly { readonly method: string; readonly path: string }[]): void;
  /** Whose request it is, once it was admitted. Errors: 401. */
  authenticate(request: Request): Scope;
  /** The key that a request was admitted with. */
  identify(request: Request): CallerKey | null;
  /** For what is about the whole server: a key with the scope `admin`, or an address that is allowed. Errors: 401, 403, 429, 503. */
  checkMetricsAccess(request: Request): Promise<void>;
}

export interface KeyAdmissionDeps {
  readonly store: Pick<Store, 'get'>;
  readonly clock: Clock;
  readonly log: Log;
  readonly limiter: RequestLimiter;
  /** The other end of the request's connection; null where it is gone. Never what a header says of it. */
  readonly findAddress: (request: Request) => string | null;
  /** Ranges of addresses that may read the metrics without a key. */
  readonly metricsAddresses: readonly string[];
}

export function createKeyAdmission(deps: KeyAdmissionDeps): KeyAdmission {
  const keys = createVerifiedKeys(deps);
  const failures = createFailedLogins(deps);
  const operations = createOperationScopes();
  const readsMetrics = createAddressCheck(deps.metricsAddresses);
  const admitted = new WeakMap<Request, KeyIdentity>();

  const identifyKey = async (request: Request): Promise<KeyIdentity> => {
    const key = readKey(request);
    if (key === null) throw createMissing();
    const { identity, fault } = await keys.check(key);
    if (identity !== null) return identity;
    await failures.slowDown(toAddressGroup(deps.findAddress(request) ?? ''), request.signal);
    throw createRefusal(fault, key);
  };

  return {
    async admit(request, route, headers) {
      const identity = await identifyKey(request);
      const needed = operations.find(request.method, route);
      if (!hasScope(identity.scopes, needed)) throw createMissingScope(needed);
      await deps.limiter.admit(identity, needed === 'run', headers);
      admitted.set(request, identity);
    },
    checkRoutes(routes) {
      const forgotten = operations.findForgotten(routes);
      if (forgotten.length > 0) throw new Error(`no scope is known for ${forgotten.join(', ')}`);
    },
    authenticate(request) {
      const identity = admitted.get(request);
      if (identity === undefined) throw createMissing();
      return { tenant: identity.tenant };
    },
    identify(request) {
      const identity = admitted.get(request);
      if (identity === undefined) return null;
      return { id: identity.keyId, takeRunSlot: () => deps.limiter.takeRunSlot(identity) };
    },
    async checkMetricsAccess(request) {
      const address = deps.findAddress(request);
      if (address !== null && readsMetrics(address)) return;
      const { scopes } = await identifyKey(request);
      if (!hasScope(scopes, 'admin')) throw createMissingScope('admin');
    },
  };
}

/** Null where there is none. */
function readKey(request: Request): string | null {
  const text = request.headers.get('authorization') ?? '';
  const key = /^Bearer +(\S.*)$/i.exec(text)?.[1]?.trim() ?? '';
  return key === '' ? null : key;
}

// ——— What is answered ———

function createMissing(): ApiError {
  return new ApiError(
    'invalid_api_key',
    "You didn't provide an API key. You need to provide a key of this server in an Authorization header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).",
  );
}

const REASONS: Readonly<Record<KeyFault, string>> = Object.freeze({
  malformed:
    "It is no key of this server. Ask its operator for one ('understudy keys create'); a language model's key goes into the header 'api-key'.",
  unknown: 'This server does not know it. Ask its operator for one.',
  revoked: 'It has been revoked. Ask the operator of this server for another one.',
  expired: 'It has expired. Ask the operator of this server for another one.',
});

function createRefusal(fault: KeyFault | null, key: string): ApiError {
  const reason = REASONS[fault ?? 'unknown'];
  return new ApiError('invalid_api_key', `Incorrect API key provided: ${maskKey(key)}. ${reason}`);
}

function createMissingScope(needed: KeyScope): ApiError {
  return new ApiError(
    'permission_denied',
    `You have insufficient permissions for this operation. Missing scopes: ${needed}. Ask the operator of this server for a key that has them.`,
    { wireCode: 'missing_scope' },
  );
}
