/** Lets requests in by their Astra token: their database is open before anything else happens. */

import { ApiError } from '../errors.ts';
import type { Scope } from '../store/store.ts';
import { readCredentials, TOKEN_HEADER } from './credentials.ts';
import type { TenantSessions } from './tenant-sessions.ts';

export interface AstraAdmission {
  /** Opens the database of the request's token. To be awaited before the request is handled. Errors: `ApiError`. */
  admit(request: Request): Promise<void>;
  /** Whose request it is, once it was admitted. Errors: 401. */
  authenticate(request: Request): Scope;
}

export function createAstraAdmission(sessions: TenantSessions): AstraAdmission {
  const scopes = new WeakMap<Request, Scope>();
  return {
    async admit(request) {
      const tenant = await sessions.open(readCredentials(request.headers));
      scopes.set(request, Object.freeze({ tenant }));
    },
    authenticate(request) {
      const scope = scopes.get(request);
      if (scope === undefined) {
        throw new ApiError(
          'invalid_api_key',
          `You didn't provide an Astra token in the header '${TOKEN_HEADER}'.`,
        );
      }
      return scope;
    },
  };
}
