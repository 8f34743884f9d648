/**
 * `EMBEDDING-PARAM-*`: what `LLM-PARAM-*` is to the language model, to the embedding model. Those that say who answers
 * choose and authorise its provider; all others are fields of the request to it.
 */

import type { RequestHeaders } from '../provider.ts';
import { isRoutingParameter, toParameterName, UNBOUND_PARAMETERS } from './request-parameters.ts';

const EMBEDDING_PREFIX = 'embedding-param-';
const LLM_PREFIX = 'llm-param-';
/** What an embedding model gets from elsewhere. */
const OWN_FIELDS: ReadonlySet<string> = new Set(['model', 'input', 'dimensions', 'encoding-format']);

/**
 * The headers by which the embedding model's provider is found: its own parameters stand where a language model has its
 * own. What is for no provider in particular and came for the language model (`LLM-PARAM-api-key`) is left out; what names its
 * provider (`LLM-PARAM-cohere-api-key`, `LLM-PARAM-aws-region-name`) stays.
 */
export function toEmbeddingHeaders(headers: RequestHeaders): RequestHeaders {
  const found: Record<string, string | undefined> = {};
  const own = new Map<string, string>();
  for (const [header, text] of Object.entries(headers)) {
    if (header.startsWith(EMBEDDING_PREFIX)) {
      const name = toParameterName(header.slice(EMBEDDING_PREFIX.length));
      if (isRoutingParameter(name) && text?.trim()) own.set(name, text);
    } else if (!header.startsWith(LLM_PREFIX) || isBound(header)) {
      found[header] = text;
    }
  }
  if (own.has('api-key') || own.has('base-url') || own.has('custom-llm-provider')) {
    // A key that came for another address, or another provider, does not go to this one.
    delete found['api-key'];
    if (own.has('base-url')) delete found['base-url'];
    if (own.has('api-key') || own.has('base-url')) delete found.authorization;
  }
  for (const [name, text] of own) found[LLM_PREFIX + name] = text;
  return found;
}

function isBound(header: string): boolean {
  const name = toParameterName(header.slice(LLM_PREFIX.length));
  return isRoutingParameter(name) && !UNBOUND_PARAMETERS.has(name);
}

/** Further parameters, as fields of the request: `embedding-param-input-type: query` is `input_type`. */
export function toParameterFields(headers: RequestHeaders): Record<string, unknown> {
  const fields: Record<string, unknown> = {};
  for (const [header, text] of Object.entries(headers)) {
    if (text === undefined || !header.startsWith(EMBEDDING_PREFIX)) continue;
    const name = toParameterName(header.slice(EMBEDDING_PREFIX.length));
    if (isRoutingParameter(name) || OWN_FIELDS.has(name)) continue;
    fields[name.replaceAll('-', '_')] = toValue(text);
  }
  return fields;
}

/** Numbers and truth values as such, everything else as text. */
function toValue(text: string): string | number | boolean {
  if (text === 'true' || text === 'false') return text === 'true';
  return /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : text;
}
