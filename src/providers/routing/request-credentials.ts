/**
 * With what one provider is called: the request's own, else the operator's.
 *
 * What is the operator's never goes where a request points, and is never mixed with what a request brings. Of a
 * request's keys only those reach a provider that are for it.
 */

import { ApiError } from '../../errors.ts';
import type { Parameter, ProviderEntry } from '../catalogue/catalogue.ts';
import { normalizeBaseUrl } from '../catalogue/catalogue.ts';
import { type Credentials, ProviderError, type RequestHeaders } from '../provider.ts';
import type { ProviderSettings } from './provider-settings.ts';
import { type RequestParameters, UNBOUND_PARAMETERS } from './request-parameters.ts';
import { toStyle } from './upstream-style.ts';

export interface CredentialSources {
  readonly entry: ProviderEntry;
  /** Null where the operator says nothing of it. */
  readonly settings: ProviderSettings | null;
  readonly request: RequestParameters;
  /** A `base-url` of the request that is allowed. Throws `ApiError` for any other. */
  readonly judgeBaseUrl: (text: string) => string;
  /** Where the provider is found when neither request nor operator says so; null: nowhere. */
  readonly homeUrl: string | null;
}

/** What was found for one provider. */
export interface FoundCredentials {
  readonly credentials: Credentials;
  /** Whether there is what authorises a call, or none is needed. */
  readonly hasKey: boolean;
}

/** Of whom a value is. */
interface OwnedValues {
  readonly parameters: Record<string, string>;
  readonly apiKey: string | null;
  /** Whether a key or another secret came with the request. */
  readonly isOwnKey: boolean;
  readonly isAnyFromRequest: boolean;
}

/** Throws `ApiError` (400) for a header that is not acceptable. */
export function findCredentials(sources: CredentialSources): FoundCredentials {
  const { entry, settings, request } = sources;
  const named = findNamedBaseUrl(entry, request);
  const values = collectValues(sources, named !== null);
  const baseUrl =
    named === null
      ? toOwnBaseUrl(sources, values.parameters)
      : normalizeBaseUrl(entry, sources.judgeBaseUrl(named));
  const { apiKey, parameters } = values;
  const hasKey = isComplete(entry, apiKey, parameters);
  const headers = named === null ? reveal(settings?.headers ?? {}) : {};
  const token = parameters['azure-ad-token'];
  return {
    hasKey: hasKey || entry.isKeyOptional,
    credentials: {
      apiKey: apiKey ?? token ?? null,
      baseUrl,
      fromRequest: named !== null || values.isAnyFromRequest,
      ...(named === null ? {} : { baseUrlFromRequest: true }),
      ...(Object.keys(parameters).length === 0 ? {} : { parameters }),
      style: toStyle({ entry, baseUrl, hasKey, parameters, headers, timeouts: settings?.timeouts ?? {} }),
    },
  };
}

/** The base URL that a request names for a provider, unjudged; null where it names none. */
export function findNamedBaseUrl(entry: ProviderEntry, request: RequestParameters): string | null {
  const endpoint = entry.protocol === 'bedrock' ? request.get('aws-bedrock-runtime-endpoint') : null;
  return findOwn(entry, request, 'base-url') ?? endpoint ?? request.get('base-url');
}

/** `LLM-PARAM-groq-api-key` says for whom it is, and so wins over `LLM-PARAM-api-key`. */
function findOwn(entry: ProviderEntry, request: RequestParameters, name: string): string | null {
  if (!request.hasParameters) return null;
  for (const prefix of [entry.id, ...entry.aliases]) {
    const value = request.get(`${toHeaderPart(prefix)}-${name}`);
    if (value !== null) return value;
  }
  return null;
}

function toHeaderPart(prefix: string): string {
  return prefix.toLowerCase().replaceAll(/[_.]/g, '-');
}

function collectValues({ entry, settings, request }: CredentialSources, isForeign: boolean): OwnedValues {
  const fromRequest: Record<string, string> = {};
  for (const parameter of entry.parameters) {
    const value = findOwn(entry, request, parameter.name) ?? request.get(parameter.name);
    if (value !== null) fromRequest[parameter.name] = checkLabel(parameter, value);
  }
  const ownKey =
    findOwn(entry, request, 'api-key') ??
    request.get('api-key') ??
    (takesAuthorization(entry, isForeign) ? request.authorization : null);
  const isOwnKey =
    ownKey !== null || entry.parameters.some(({ name, kind }) => kind === 'secret' && name in fromRequest);
  const parameters: Record<string, string> = {};
  for (const { name, kind, fallback } of entry.parameters) {
    const isShared = kind === 'plain' || !(isForeign || isOwnKey);
    const value =
      fromRequest[name] ?? (isShared ? settings?.parameters[name]?.reveal() : undefined) ?? fallback;
    if (value !== undefined) parameters[name] = value;
  }
  return {
    parameters,
    apiKey: isOwnKey || isForeign ? ownKey : (settings?.apiKey?.reveal() ?? null),
    isOwnKey,
    isAnyFromRequest: isOwnKey || Object.keys(fromRequest).length > 0,
  };
}

/** `Authorization` is OpenAI's key, and that of a server of its kind that the request names itself. */
function takesAuthorization(
  { id, protocol, isGeneric, isKeyOptional }: ProviderEntry,
  isForeign: boolean,
): boolean {
  if (id === 'openai') return true;
  return isForeign && protocol === 'openai' && (isGeneric || !isKeyOptional);
}

const LABEL = /^[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/;

/** What becomes part of an address must not lead to another one. */
function checkLabel({ name, isLabel }: Parameter, value: string): string {
  if (isLabel === undefined || LABEL.test(value)) return value;
  const header = `LLM-PARAM-${name}`;
  throw ApiError.invalidValue(header, `Invalid header '${header}': it may hold letters, digits and dashes.`);
}

/** Where a provider is called when the request does not say so; null: where its adapter knows. */
function toOwnBaseUrl(
  { entry, settings, homeUrl }: CredentialSources,
  parameters: Readonly<Record<string, string>>,
): string | null {
  if (settings?.baseUrl) return normalizeBaseUrl(entry, settings.baseUrl);
  return homeUrl?.replaceAll(/\{([^}]+)\}/g, (place, name: string) => parameters[name] ?? place) ?? null;
}

function isComplete(
  entry: ProviderEntry,
  apiKey: string | null,
  parameters: Readonly<Record<string, string>>,
): boolean {
  return entry.keySets.some((names) =>
    names.every((name) => (name === 'api-key' ? apiKey !== null : parameters[name] !== undefined)),
  );
}

function reveal(values: ProviderSettings['headers']): Record<string, string> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, value.reveal()]));
}

// ——— What is missing ———

/** 401: names the headers and the variables by which a key could have come. */
export function createMissingKey(entry: ProviderEntry, request: RequestParameters): ProviderError {
  const ways = entry.keySets.map((names) => names.map((name) => toHeaderNames(name, entry)).join(' and '));
  const variables = entry.keySets.map((names) =>
    names.map((name) => toVariableNames(entry, name)).join(' and '),
  );
  const hint =
    request.authorization === null || entry.id === 'openai'
      ? ''
      : " The key in 'authorization' is not sent there: it is for OpenAI, or for the server that 'base-url' names.";
  return new ProviderError(
    'authentication',
    `There is no key for ${entry.name}. Send it as ${ways.join(', or ')}, or set ${variables.join(', or ')} ` +
      `where the server is started.${hint}`,
    { status: 401, code: 'invalid_api_key', param: 'api-key' },
  );
}

function toHeaderNames(name: string, { id }: ProviderEntry): string {
  if (name !== 'api-key') return `'LLM-PARAM-${name}'`;
  return id === 'openai' ? "'authorization' or 'api-key'" : "'api-key' or 'LLM-PARAM-api-key'";
}

function toVariableNames(entry: ProviderEntry, name: string): string {
  const parameter = entry.parameters.find((one) => one.name === name);
  const [first] = name === 'api-key' ? entry.keyVariables : (parameter?.variables ?? []);
  return parameter?.fileVariable ?? first ?? `its key in the file of the configuration`;
}

/** 400, naming the header by which an address, or a part of it, could have come; null where nothing is missing. */
export function findMissingAddress(
  entry: ProviderEntry,
  { baseUrl, parameters }: Credentials,
): ApiError | null {
  if (entry.protocol === 'vertex' || entry.protocol === 'bedrock') return null;
  if (baseUrl === null) {
    return createMissing(
      'base-url',
      `${entry.name} has no address of its own: send it as 'base-url'${toOrVariable(entry.baseUrlVariables)}.`,
    );
  }
  const missing = entry.parameters.find(
    ({ name }) => baseUrl.includes(`{${name}}`) && parameters?.[name] === undefined,
  );
  if (missing === undefined) return null;
  const header = `LLM-PARAM-${missing.name}`;
  const text = `The address of ${entry.name} needs '${missing.name}': send it as '${header}'`;
  return createMissing(header, `${text}${toOrVariable(missing.variables)}.`);
}

function toOrVariable(variables: readonly string[]): string {
  const [first] = variables;
  return first === undefined ? '' : `, or set ${first} where the server is started`;
}

function createMissing(param: string, message: string): ApiError {
  return new ApiError('missing_required_parameter', message, { param });
}

// ——— Binding what a request says to one provider ———

/**
 * The headers for whatever else a request calls after its model: what was meant for the model's provider stays with that
 * provider. `api-key` becomes `llm-param-PROVIDER-api-key`.
 */
export function bindHeaders(headers: RequestHeaders, { style, fromRequest }: Credentials): RequestHeaders {
  if (!fromRequest) return headers;
  const provider = style?.provider ?? 'openai';
  const bound: Record<string, string | undefined> = { ...headers };
  for (const name of UNBOUND_PARAMETERS) {
    const own = headers[`llm-param-${name}`] ?? headers[`llm-param-${name.replaceAll('-', '_')}`];
    const value = own ?? headers[name];
    delete bound[`llm-param-${name}`];
    delete bound[`llm-param-${name.replaceAll('-', '_')}`];
    delete bound[name];
    if (value === undefined || name === 'custom-llm-provider') continue;
    bound[`llm-param-${toHeaderPart(provider)}-${name}`] ??= value;
  }
  delete bound['llm-param-api-base'];
  delete bound['llm-param-api_base'];
  return bound;
}
