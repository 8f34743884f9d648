/** Where a call goes at a server that speaks OpenAI's protocol. */

import type { CallOptions, UpstreamStyle } from '../provider.ts';
import { isOpenAiName, OPENAI_BASE_URL } from '../routing/base-url.ts';

/** How OpenAI itself is spoken to, and every server of which nothing else is known. */
export const OPENAI_STYLE: UpstreamStyle = Object.freeze({
  provider: 'openai',
  auth: Object.freeze({ header: 'authorization', prefix: 'Bearer ' }),
  pathTemplate: '/{path}',
  query: Object.freeze({}),
  headers: Object.freeze({}),
  quirks: Object.freeze({}),
  timeouts: Object.freeze({}),
});

export function toStyle({ credentials }: CallOptions): UpstreamStyle {
  return credentials.style ?? OPENAI_STYLE;
}

/** The base URL of the call, without a slash at its end. */
export function toServer({ credentials }: CallOptions): string {
  return credentials.baseUrl ?? OPENAI_BASE_URL;
}

/** The part of a template that names the model: Azure has a path for each deployment, and one for what is none's. */
const MODEL_PART = /\/[^/{}]+\/\{model\}/;

/**
 * The URL of an endpoint. `path` may have a query of its own, over which the provider's wins; `model` null: the endpoint is
 * no model's.
 */
export function toCallUrl(call: CallOptions, path: string, model: string | null): string {
  const { pathTemplate, query } = toStyle(call);
  // Nearly all calls.
  if (pathTemplate === '/{path}' && isEmpty(query)) return `${toServer(call)}/${path}`;
  const [bare = '', ownQuery = ''] = path.split('?', 2);
  const template = model === null ? pathTemplate.replace(MODEL_PART, '') : pathTemplate;
  const where = template
    .replace('{model}', () => encodeURIComponent(model ?? ''))
    .replace('{path}', () => bare);
  const parameters = new URLSearchParams(ownQuery);
  for (const [name, value] of Object.entries(query)) parameters.set(name, value);
  const search = parameters.size === 0 ? '' : `?${parameters}`;
  return `${toServer(call)}${where}${search}`;
}

export function isEmpty(record: object): boolean {
  for (const _ in record) return false;
  return true;
}

/**
 * Whether the server is OpenAI, or OpenAI's models at Azure: what it streams is handed on unread then, for it is what all
 * others are measured by.
 */
export function isExact(call: CallOptions): boolean {
  const { hostname } = new URL(toServer(call));
  return isOpenAiName(hostname) || /\.(openai|cognitiveservices)\.azure\.com$/.test(hostname);
}
