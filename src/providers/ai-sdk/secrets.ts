/** What of a call's credentials must never be shown. */

import { parseJson, toRecord, toText } from '../json-values.ts';
import type { Credentials } from '../provider.ts';

const SECRET_PARAMETERS: readonly string[] = Object.freeze([
  'aws-access-key-id',
  'aws-secret-access-key',
  'aws-session-token',
  'token',
]);

/** Every secret of the credentials, the longest first. */
export function toSecrets({ apiKey, parameters = {}, style }: Credentials): readonly string[] {
  const google = toRecord(parseJson(parameters['vertex-credentials'] ?? ''));
  const found = [
    apiKey,
    ...Object.values(style?.headers ?? {}),
    ...SECRET_PARAMETERS.map((name) => parameters[name] ?? null),
    ...['private_key', 'client_secret', 'refresh_token'].map((name) => toText(google?.[name])),
  ];
  return found
    .filter((secret): secret is string => secret !== null && secret !== '')
    .toSorted((a, b) => b.length - a.length);
}
