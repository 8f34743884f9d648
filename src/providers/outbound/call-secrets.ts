/** What of a call's credentials must never be shown. */

import { CATALOGUE } from '../catalogue/catalogue.ts';
import { parseJson, toRecord, toText } from '../json-values.ts';
import type { Credentials } from '../provider.ts';

const SECRET_PARAMETERS: ReadonlySet<string> = new Set(
  CATALOGUE.flatMap(({ parameters }) =>
    parameters.filter(({ kind }) => kind === 'secret').map(({ name }) => name),
  ),
);
/** Of a service account: what of its JSON is secret. */
const GOOGLE_SECRETS = Object.freeze(['private_key', 'client_secret', 'refresh_token']);

/** Every secret of the credentials, the longest first: one may be part of another. */
export function toSecrets({ apiKey, parameters = {}, style }: Credentials): readonly string[] {
  const google = toRecord(parseJson(parameters['vertex-credentials'] ?? ''));
  const found = [
    apiKey,
    ...Object.values(style?.headers ?? {}),
    ...Object.entries(parameters).flatMap(([name, value]) => (SECRET_PARAMETERS.has(name) ? [value] : [])),
    ...GOOGLE_SECRETS.map((name) => toText(google?.[name])),
  ];
  return found
    .filter((secret): secret is string => secret !== null && secret !== '')
    .toSorted((a, b) => b.length - a.length);
}
