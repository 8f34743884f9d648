/** Which headers of a request are still needed by work that outlives it: those that say who answers, and with what. */

import type { RequestHeaders } from '../provider.ts';
import { isFieldParameter, toBearerKey, toParameterName } from './request-parameters.ts';

const KEPT: ReadonlySet<string> = new Set([
  'authorization',
  'api-key',
  'api-version',
  'base-url',
  'custom-llm-provider',
]);
const KEPT_PREFIXES = ['embedding-', 'llm-param-', 'vertexai-'];

/** The headers that choose and authorise a provider; nothing else of a request is kept. */
export function toKeptHeaders(headers: RequestHeaders): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const [name, text] of Object.entries(headers)) {
    if (text !== undefined && isKept(name, text)) kept[name] = text;
  }
  return kept;
}

function isKept(name: string, text: string): boolean {
  // What stands for no key is worth nothing to anybody, and nearly every request has it.
  if (name === 'authorization') return toBearerKey(text) !== null;
  return KEPT.has(name) || KEPT_PREFIXES.some((prefix) => name.startsWith(prefix));
}

const OPEN: ReadonlySet<string> = new Set([
  'custom-llm-provider',
  'embedding-model',
  'embedding-param-dimensions',
  'embedding-param-custom-llm-provider',
]);
const LLM_PREFIX = 'llm-param-';

/**
 * Whether a kept header says nothing that must be hidden: the name of a model or of a provider, or a field such as the
 * temperature. Everything that is not known to be harmless counts as a secret.
 */
export function isOpenHeader(header: string): boolean {
  if (OPEN.has(header.replaceAll('_', '-'))) return true;
  if (!header.startsWith(LLM_PREFIX)) return false;
  const name = toParameterName(header.slice(LLM_PREFIX.length));
  return isFieldParameter(name) || name === 'custom-llm-provider';
}

/** Whether these headers say who answers, or by whose key, as opposed to what is asked of the model. */
export function choosesProvider(headers: RequestHeaders): boolean {
  return Object.keys(toKeptHeaders(headers)).some(
    (name) =>
      !isOpenHeader(name) || name.endsWith('custom-llm-provider') || name.endsWith('custom_llm_provider'),
  );
}
