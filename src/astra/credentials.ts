/** Who a tenant is: a token of Astra's, and which of its databases is meant. */

import { ASTRA_TOKEN_HEADER } from '../astra-token.ts';
import { ApiError } from '../errors.ts';
import { Secret } from '../secret.ts';

export interface AstraCredentials {
  readonly token: Secret;
  /** A UUID in lower case; null: the one that `database-finder.ts` chooses. */
  readonly databaseId: string | null;
}

export const TOKEN_HEADER = ASTRA_TOKEN_HEADER;
export const DATABASE_HEADER = 'astra-db-id';

const TOKEN_LENGTH_MAX = 512;
/** What is no token at all is refused before anybody is asked about it. */
const TOKEN_PATTERN = /^AstraCS:[\w:.~+/=-]+$/;
const DATABASE_PATTERN = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Reads the headers of a request. Errors: 401 without a token, 400 for a database id that is none. */
export function readCredentials(headers: Pick<Headers, 'get'>): AstraCredentials {
  const token = headers.get(TOKEN_HEADER)?.trim() ?? '';
  if (token === '') {
    throw new ApiError(
      'invalid_api_key',
      `You didn't provide an Astra token. Send the application token of your database in the header '${TOKEN_HEADER}'.`,
    );
  }
  return toCredentials(token, headers.get(DATABASE_HEADER));
}

/** Errors: 401 for what is no token, 400 for what is no database id. */
export function toCredentials(token: string, databaseId: string | null): AstraCredentials {
  if (token.length > TOKEN_LENGTH_MAX || !TOKEN_PATTERN.test(token)) {
    throw new ApiError(
      'invalid_api_key',
      "Incorrect Astra token provided: an application token of Astra begins with 'AstraCS:'.",
    );
  }
  const id = databaseId?.trim().toLowerCase() ?? '';
  if (id !== '' && !DATABASE_PATTERN.test(id)) {
    throw ApiError.invalidValue(
      DATABASE_HEADER,
      `Invalid '${DATABASE_HEADER}': expected the id of an Astra database, a UUID.`,
    );
  }
  return { token: new Secret(token), databaseId: id === '' ? null : id };
}
