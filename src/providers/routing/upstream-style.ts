/** How a provider is spoken to, from what the catalogue, the operator and the request say of it. */

import type { ProviderEntry } from '../catalogue/catalogue.ts';
import type { UpstreamStyle } from '../provider.ts';

export interface StyleParts {
  readonly entry: ProviderEntry;
  readonly baseUrl: string | null;
  readonly hasKey: boolean;
  readonly parameters: Readonly<Record<string, string>>;
  /** The operator's, where they may be sent. */
  readonly headers: Readonly<Record<string, string>>;
  readonly timeouts: UpstreamStyle['timeouts'];
}

const BEARER = Object.freeze({ header: 'authorization', prefix: 'Bearer ' });
/** What Azure's older endpoints are asked for where nobody names a version. */
const AZURE_AI_VERSION = '2024-05-01-preview';
/** Values of `api-version` that mean Azure's newer endpoints, which have the version in the path. */
const AZURE_V1 = new Set(['v1', 'latest', 'preview']);

export function toStyle(parts: StyleParts): UpstreamStyle {
  const { entry, parameters } = parts;
  const headers = { ...parts.headers };
  for (const { name, header } of entry.parameters) {
    const value = parameters[name];
    if (header !== undefined && value !== undefined) headers[header] = value;
  }
  return {
    provider: entry.id,
    auth: toAuth(parts),
    ...(entry.protocol === 'azure' ? toAzurePath(parts) : PLAIN_PATH),
    headers,
    quirks: entry.quirks,
    timeouts: parts.timeouts,
  };
}

const PLAIN_PATH: Pick<UpstreamStyle, 'pathTemplate' | 'query'> = Object.freeze({
  pathTemplate: '/{path}',
  query: Object.freeze({}),
});

function toAuth({ entry, hasKey, parameters }: StyleParts): UpstreamStyle['auth'] {
  if (!hasKey) return null;
  // A token of Azure's directory is no key.
  if (entry.auth === 'bearer' || parameters['azure-ad-token'] !== undefined) return BEARER;
  return { header: entry.auth.header, prefix: '' };
}

function toAzurePath(parts: StyleParts): Pick<UpstreamStyle, 'pathTemplate' | 'query'> {
  const { entry, baseUrl, parameters } = parts;
  const version = parameters['api-version'];
  if (baseUrl !== null && /\/v1$/.test(baseUrl)) {
    return version === undefined || version === 'v1'
      ? PLAIN_PATH
      : { ...PLAIN_PATH, query: { 'api-version': version } };
  }
  if (entry.id === 'azure_ai') {
    const query = { 'api-version': version ?? AZURE_AI_VERSION };
    return { pathTemplate: /\/models$/.test(baseUrl ?? '') ? '/{path}' : '/models/{path}', query };
  }
  if (version === undefined || AZURE_V1.has(version)) {
    const isPlain = version === undefined || version === 'v1';
    return { pathTemplate: '/openai/v1/{path}', query: isPlain ? {} : { 'api-version': version } };
  }
  return { pathTemplate: '/openai/deployments/{model}/{path}', query: { 'api-version': version } };
}
