/**
 * What a request's headers say of providers: the reference service's `api-key`, `base-url`, `api-version`,
 * `custom-llm-provider`, `vertexai-project`, `vertexai-location` and `LLM-PARAM-*`, each under one name whatever way it is
 * written; `LLM-PARAM-*` wins over the plain header.
 */

import { ApiError } from '../../errors.ts';
import { CATALOGUE } from '../catalogue/catalogue.ts';
import { parseJson } from '../json-values.ts';
import type { RequestHeaders } from '../provider.ts';

/** SDKs insist on a key: this one says that there is none. */
const NO_KEY = 'understudy';
const LLM_PREFIX = 'llm-param-';

export interface RequestParameters {
  /** The key of `authorization`; null where there is none, or the one that stands for none. */
  readonly authorization: string | null;
  /** By name: `api-key`, `base-url`, `vertex-project`, `groq-api-key`, …; null where it is missing or empty. */
  get(name: string): string | null;
  /** Whether there is any `LLM-PARAM-*` at all: only then can one name its provider. */
  readonly hasParameters: boolean;
  /** Fields for the request to a language model, from `LLM-PARAM-temperature` and the like; null where there are none. */
  readonly fields: Readonly<Record<string, unknown>> | null;
  /** Whether there is none of all this. */
  readonly saysNothing: boolean;
}

const PLAIN_HEADERS: readonly (readonly [string, string])[] = Object.freeze([
  ['api-key', 'api-key'],
  ['base-url', 'base-url'],
  ['api-version', 'api-version'],
  ['custom-llm-provider', 'custom-llm-provider'],
  ['vertexai-project', 'vertex-project'],
  ['vertexai-location', 'vertex-location'],
]);

const SYNONYMS: ReadonlyMap<string, string> = new Map([
  ['api-base', 'base-url'],
  ['vertexai-project', 'vertex-project'],
  ['vertex-ai-project', 'vertex-project'],
  ['vertexai-location', 'vertex-location'],
  ['vertex-ai-location', 'vertex-location'],
  ['vertexai-credentials', 'vertex-credentials'],
  ['vertex-ai-credentials', 'vertex-credentials'],
]);

/** Throws `ApiError` (400, naming the header) for a field that cannot be what it says. */
export function readRequestParameters(headers: RequestHeaders): RequestParameters {
  const values = new Map<string, string>();
  for (const [header, name] of PLAIN_HEADERS) setValue(values, name, headers[header]);
  let fields: Record<string, unknown> | null = null;
  let hasParameters = false;
  for (const header in headers) {
    if (!header.startsWith(LLM_PREFIX)) continue;
    hasParameters = true;
    const name = toParameterName(header.slice(LLM_PREFIX.length));
    const text = headers[header]?.trim() ?? '';
    const toField = FIELDS.get(name);
    if (toField === undefined) setValue(values, name, text);
    else if (text !== '') {
      fields ??= {};
      fields[name.replaceAll('-', '_')] = toField(text, header);
    }
  }
  const authorization = toBearerKey(headers.authorization);
  return {
    authorization,
    get: (name) => values.get(name) ?? null,
    hasParameters,
    fields,
    saysNothing: authorization === null && values.size === 0 && !hasParameters,
  };
}

/** LiteLLM's names are written with either. */
export function toParameterName(text: string): string {
  const name = text.replaceAll('_', '-');
  return SYNONYMS.get(name) ?? name;
}

/** Say something of whichever provider is called, and so of one only. */
export const UNBOUND_PARAMETERS: ReadonlySet<string> = new Set([
  'api-key',
  'base-url',
  'api-version',
  'custom-llm-provider',
]);

/** Whether a parameter says who answers, or with what, and is no field of the request to a model. */
export function isRoutingParameter(name: string): boolean {
  if (ROUTING_NAMES.has(name)) return true;
  return /^.+-(api-key|base-url|api-version)$/.test(name);
}

const ROUTING_NAMES: ReadonlySet<string> = new Set([
  ...UNBOUND_PARAMETERS,
  'aws-bedrock-runtime-endpoint',
  ...CATALOGUE.flatMap(({ parameters }) => parameters.map(({ name }) => name)),
]);

/** Whether a parameter is a field of the request to a language model (`temperature`), and so no secret. */
export function isFieldParameter(name: string): boolean {
  return FIELDS.has(name);
}

/** The key of an `authorization` header; null where there is none, or the one that stands for none. */
export function toBearerKey(header: string | undefined): string | null {
  if (header === undefined) return null;
  const key = /^\s*bearer\s+(.*)$/i.exec(header)?.[1]?.trim() ?? '';
  return key === '' || key === NO_KEY ? null : key;
}

function setValue(values: Map<string, string>, name: string, text: string | undefined): void {
  const value = text?.trim() ?? '';
  if (value === '' || (name.endsWith('api-key') && value === NO_KEY)) return;
  values.set(name, value);
}

// ——— Fields of the request to the model ———

type ToField = (text: string, header: string) => unknown;

const toNumber: ToField = (text, header) => {
  const value = Number(text);
  if (Number.isFinite(value)) return value;
  throw refuse(header, 'a number');
};

const toInteger: ToField = (text, header) => {
  const value = Number(text);
  if (Number.isSafeInteger(value)) return value;
  throw refuse(header, 'a whole number');
};

const toTruth: ToField = (text, header) => {
  if (/^(true|false)$/i.test(text)) return text.toLowerCase() === 'true';
  throw refuse(header, 'true or false');
};

/** Text, or a list or object written as JSON. */
const toText: ToField = (text, header) => {
  if (!/^[[{]/.test(text)) return text;
  const value = parseJson(text);
  if (value === undefined) throw refuse(header, 'text or JSON');
  return value;
};

function refuse(header: string, expected: string): ApiError {
  return ApiError.invalidValue(header, `Invalid header '${header}': expected ${expected}.`);
}

/** What may be set for a model by a header. Everything else of `LLM-PARAM-*` is for who calls it, or for nobody. */
const FIELDS: ReadonlyMap<string, ToField> = new Map([
  ['temperature', toNumber],
  ['top-p', toNumber],
  ['top-k', toInteger],
  ['min-p', toNumber],
  ['presence-penalty', toNumber],
  ['frequency-penalty', toNumber],
  ['repetition-penalty', toNumber],
  ['max-tokens', toInteger],
  ['max-completion-tokens', toInteger],
  ['seed', toInteger],
  ['n', toInteger],
  ['logprobs', toTruth],
  ['top-logprobs', toInteger],
  ['parallel-tool-calls', toTruth],
  ['stop', toText],
  ['user', toText],
  ['reasoning-effort', toText],
  ['verbosity', toText],
  ['service-tier', toText],
  ['response-format', toText],
  ['thinking', toText],
]);
