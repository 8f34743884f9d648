/**
 * The rules by which one name is given to one provider. The first that fits counts:
 *
 * 1. `custom-llm-provider` says who; the name goes whole.
 * 2. A prefix of a known provider says who; it is taken off.
 * 3. A `base-url` of the request says where.
 * 4. A name of a known kind (`claude-…`) is its provider's, where there is a key for it.
 * 5. Everything else is the default upstream's, and goes whole: OPENAI_BASE_URL, OpenAI, a local server.
 */

import { Secret } from '../../secret.ts';
import {
  CATALOGUE,
  findEntry,
  findEntryByUrl,
  LOCAL_SERVER_IDS,
  type ProviderEntry,
} from '../catalogue/catalogue.ts';
import { type Credentials, ProviderError } from '../provider.ts';
import { type BaseUrlPolicy, isOpenAiHost, OPENAI_BASE_URL, parseRequestBaseUrl } from './base-url.ts';
import { guessProvider, type PrefixedName, splitPrefix } from './model-names.ts';
import type { ModelSettings, ProviderSettings } from './provider-settings.ts';
import {
  createMissingKey,
  type FoundCredentials,
  findCredentials,
  findMissingAddress,
  findNamedBaseUrl,
} from './request-credentials.ts';
import { type RequestParameters, UNBOUND_PARAMETERS } from './request-parameters.ts';
import { createUnknownModel, findNear, NOT_CONFIGURED, refuseCustom } from './unknown-models.ts';

export interface Choice {
  readonly entry: ProviderEntry;
  /** As the provider knows it. */
  readonly model: string;
  readonly credentials: Credentials;
  /** Whether it is the default upstream, whose models are asked for without a prefix. */
  readonly isDefault: boolean;
}

export interface ModelChoice {
  /**
   * Throws `ProviderError` (`authentication` where a key is missing, `model_not_found`, `not_configured`), or `ApiError` (400) for
   * a header that is missing or not acceptable.
   */
  choose(name: string, request: RequestParameters): Choice;
  /** Every provider that can be asked for its models; their `model` is empty. Throws `ApiError` as `choose` does. */
  list(request: RequestParameters): readonly Choice[];
}

export interface ModelChoiceOptions {
  readonly operator: { readonly apiKey: string | null; readonly baseUrl: string | null };
  readonly settings: ModelSettings;
  readonly localServer: {
    readonly baseUrl: string;
    readonly kind: string;
    readonly models?: readonly { readonly id: string }[];
  } | null;
  readonly policy: BaseUrlPolicy;
}

export function createModelChoice(options: ModelChoiceOptions): ModelChoice {
  const { settings, localServer, policy } = options;
  const openAi = toDefaultSettings(options);
  const homeless: ProviderSettings = { ...openAi, baseUrl: null };
  const configuredUrl = openAi.baseUrl;
  const configuredHost = configuredUrl === null ? null : findEntryByUrl(configuredUrl);
  const localNames = toLocalNames(localServer?.models ?? []);
  const localId = localServer === null ? null : (LOCAL_SERVER_IDS[localServer.kind] ?? null);
  const judgeBaseUrl = (text: string): string => parseRequestBaseUrl(text, policy);
  const isConfigured = [...settings.providers.values()].some(
    ({ apiKey, baseUrl, parameters }) =>
      apiKey !== null || baseUrl !== null || Object.keys(parameters).length > 0,
  );

  const find = (prefix: string): ProviderEntry | null =>
    settings.providers.get(prefix)?.entry ?? findEntry(prefix);

  /** The operator's base URL; null where there is none, or it is this very server. Asked each time: its port may not be known yet. */
  const findConfiguredUrl = (): string | null =>
    configuredUrl !== null && policy.isSelf?.(configuredUrl) ? null : configuredUrl;

  const isNothingConfigured = (): boolean => openAi.apiKey === null && findConfiguredUrl() === null;

  const findFor = (entry: ProviderEntry, request: RequestParameters): FoundCredentials =>
    findCredentials({
      entry,
      settings: settings.providers.get(entry.id) ?? null,
      request,
      judgeBaseUrl,
      homeUrl: findHome(entry),
    });

  const findHome = (entry: ProviderEntry): string | null => {
    if (localServer !== null && localId === entry.id) return localServer.baseUrl;
    return entry.isLocal && !policy.allowLoopback ? null : entry.baseUrl;
  };

  const toChoice = (entry: ProviderEntry, model: string, { credentials }: FoundCredentials): Choice => {
    const missing = findMissingAddress(entry, credentials);
    if (missing !== null) throw missing;
    return { entry, model: stripModelPrefix(entry, model), credentials, isDefault: false };
  };

  const use = (entry: ProviderEntry, model: string, request: RequestParameters): Choice => {
    const found = findFor(entry, request);
    if (!found.hasKey) throw createMissingKey(entry, request);
    return toChoice(entry, model, found);
  };

  const toLocal = (model: string): Choice | null =>
    localServer === null
      ? null
      : {
          entry: OPENAI,
          model,
          credentials: { apiKey: null, baseUrl: localServer.baseUrl, fromRequest: false },
          isDefault: true,
        };

  /** What takes every name: the server that the request names, the operator's, OpenAI, one on this machine; null: nothing does. */
  const toDefault = (model: string, request: RequestParameters): Choice | null => {
    const { credentials } = findCredentials({
      entry: OPENAI,
      settings: findConfiguredUrl() === null ? homeless : openAi,
      request,
      judgeBaseUrl,
      homeUrl: null,
    });
    if (credentials.baseUrl === null && credentials.apiKey === null) return toLocal(model);
    return {
      entry: OPENAI,
      model,
      credentials: toDefaultStyle(credentials, findHost(credentials)),
      isDefault: true,
    };
  };

  /** Whose host the default upstream is; looked up once for the operator's. */
  const findHost = ({ baseUrl }: Credentials): ProviderEntry | null => {
    if (baseUrl === configuredUrl) return configuredHost;
    return baseUrl === null ? null : findEntryByUrl(baseUrl);
  };

  const choosePrefixed = (
    entry: ProviderEntry,
    name: string,
    { rest }: PrefixedName,
    request: RequestParameters,
  ): Choice => {
    const named = findNamedBaseUrl(entry, request);
    if (named !== null) {
      const host = findEntryByUrl(named);
      // `anthropic/claude-…` at OpenRouter's address is OpenRouter's name for it.
      return host === null || host.id === entry.id ? use(entry, rest, request) : use(host, name, request);
    }
    const found = findFor(entry, request);
    if (isMeant(entry, found)) return toChoice(entry, rest, found);
    // Names of local models, of OpenRouter's and LiteLLM's, look the same.
    const other =
      findConfiguredUrl() !== null ? toDefault(name, request) : localNames.has(name) ? toLocal(name) : null;
    if (other !== null) return other;
    if (!found.hasKey) throw createMissingKey(entry, request);
    return toChoice(entry, rest, found);
  };

  /** Whether a prefix is that of a provider that can be called, and not only the beginning of some server's name of a model. */
  const isMeant = (entry: ProviderEntry, { hasKey, credentials }: FoundCredentials): boolean => {
    if (!entry.isKeyOptional) return hasKey;
    if (credentials.apiKey !== null || settings.providers.has(entry.id) || localId === entry.id) return true;
    return findConfiguredUrl() === null && findMissingAddress(entry, credentials) === null;
  };

  const choosePrefixedOpenAi = (name: string, { rest }: PrefixedName, request: RequestParameters): Choice => {
    const named = findNamedBaseUrl(OPENAI, request);
    const host = named === null ? null : findEntryByUrl(named);
    if (host !== null && host.id !== OPENAI.id) return use(host, name, request);
    const chosen = toDefault(name, request);
    if (chosen === null) throw createMissingKey(OPENAI, request);
    // With a `base-url`, `openai/` is LiteLLM's word for the protocol. Servers that the operator chose may have models that
    // are really called so.
    const isPrefix = named !== null || isOpenAiHost(chosen.credentials.baseUrl ?? OPENAI_BASE_URL);
    return isPrefix ? { ...chosen, model: rest } : chosen;
  };

  const chooseUnprefixed = (name: string, request: RequestParameters): Choice => {
    const named = findNamedBaseUrl(OPENAI, request);
    if (named !== null) {
      const host = findEntryByUrl(named);
      if (host !== null && host.id !== OPENAI.id) return use(host, name, request);
      return toDefault(name, request) ?? failToTake(name, null, request);
    }
    const guess = guessProvider(name);
    const entry = guess === null || guess === OPENAI.id ? null : find(guess);
    if (entry !== null) return chooseGuessed(entry, name, request);
    const isForLocal = guess === null && localServer !== null && isNothingConfigured();
    const chosen = isForLocal ? toLocal(name) : toDefault(name, request);
    // OpenAI has no model with a slash in its name: what it would say to it helps nobody.
    const isTaken =
      chosen !== null &&
      !(guess === null && name.includes('/') && isOpenAiHost(chosen.credentials.baseUrl ?? OPENAI_BASE_URL));
    return isTaken ? chosen : failToTake(name, guess, request);
  };

  const chooseGuessed = (entry: ProviderEntry, name: string, request: RequestParameters): Choice => {
    const found = findFor(entry, request);
    const isHeldHere = localNames.has(name) && !found.credentials.fromRequest;
    if (found.hasKey && !isHeldHere) return toChoice(entry, name, found);
    const other = findConfiguredUrl() === null ? toLocal(name) : toDefault(name, request);
    if (other !== null) return other;
    throw createMissingKey(entry, request);
  };

  const failToTake = (name: string, guess: string | null, request: RequestParameters): never => {
    if (guess === OPENAI.id && isConfigured) throw createMissingKey(OPENAI, request);
    const isAnything = isConfigured || toDefault(name, request) !== null;
    if (!isAnything) throw new ProviderError('not_configured', NOT_CONFIGURED);
    throw createUnknownModel(name, findNear(name, settings, localNames));
  };

  return {
    choose(name, request) {
      const custom = request.get('custom-llm-provider');
      if (custom !== null) {
        const entry = find(custom) ?? refuseCustom(custom, settings);
        const chosen = entry.id === OPENAI.id ? toDefault(name, request) : use(entry, name, request);
        if (chosen === null) throw createMissingKey(OPENAI, request);
        // Without the header the name would be somebody else's, even with the same key.
        return { ...chosen, credentials: { ...chosen.credentials, fromRequest: true } };
      }
      const split = splitPrefix(name);
      const entry = split === null ? null : find(split.prefix);
      if (split === null || entry === null) return chooseUnprefixed(name, request);
      return entry.id === OPENAI.id
        ? choosePrefixedOpenAi(name, split, request)
        : choosePrefixed(entry, name, split, request);
    },

    list(request) {
      const custom = request.get('custom-llm-provider');
      if (custom !== null) {
        const entry = find(custom) ?? refuseCustom(custom, settings);
        if (entry.id !== OPENAI.id) return [use(entry, '', request)];
      }
      const choices: (Choice | null)[] = [toDefault('', request)];
      if (isNothingConfigured() && choices[0]?.credentials.fromRequest === true) choices.push(toLocal(''));
      // Which provider a key without a name is for, only a model's name would tell.
      const named = withoutUnbound(request);
      for (const entry of toListable(settings)) {
        const found = findFor(entry, named);
        const isCalled = entry.isKeyOptional ? settings.providers.has(entry.id) : found.hasKey;
        if (!isCalled || findMissingAddress(entry, found.credentials) !== null) continue;
        choices.push(toChoice(entry, '', found));
      }
      return choices.filter((choice) => choice !== null);
    },
  };
}

const OPENAI: ProviderEntry = requireEntry('openai');

function requireEntry(id: string): ProviderEntry {
  const entry = findEntry(id);
  if (entry === null) throw new Error(`The catalogue has no '${id}'.`);
  return entry;
}

/** What the operator says of OpenAI is said of the default upstream. */
function toDefaultSettings({ operator, settings }: ModelChoiceOptions): ProviderSettings {
  const given = settings.providers.get(OPENAI.id);
  const key = toSetting(operator.apiKey);
  return {
    parameters: {},
    headers: {},
    timeouts: {},
    callsMax: null,
    models: [],
    ...given,
    entry: OPENAI,
    apiKey: key === null ? (given?.apiKey ?? null) : new Secret(key),
    baseUrl: (toSetting(operator.baseUrl) ?? given?.baseUrl)?.replace(/\/+$/, '') ?? null,
  };
}

/** Variables are often set to nothing, or end in a line's end. */
function toSetting(text: string | null): string | null {
  const trimmed = text?.trim() ?? '';
  return trimmed === '' ? null : trimmed;
}

/** The default upstream is spoken to as OpenAI, unless the operator adds something, or it is known to be somebody else's. */
function toDefaultStyle(credentials: Credentials, host: ProviderEntry | null): Credentials {
  const { style, baseUrl } = credentials;
  if (style === undefined) return credentials;
  if (host !== null && host.id !== OPENAI.id && host.protocol === 'openai') {
    return { ...credentials, style: { ...style, provider: host.id, quirks: host.quirks } };
  }
  if (hasMembers(style.headers) || hasMembers(style.timeouts)) {
    return { ...credentials, style: { ...style, quirks: baseUrl === null ? style.quirks : {} } };
  }
  const { style: _, ...plain } = credentials;
  return plain;
}

function hasMembers(record: object): boolean {
  for (const _ in record) return true;
  return false;
}

function stripModelPrefix({ modelPrefixes }: ProviderEntry, model: string): string {
  const prefix = modelPrefixes.find((one) => model.startsWith(one));
  return prefix === undefined ? model : model.slice(prefix.length);
}

/** Ollama leaves `:latest` out where it is asked, and not where it lists. */
function toLocalNames(models: readonly { readonly id: string }[]): ReadonlySet<string> {
  return new Set(models.flatMap(({ id }) => [id, id.replace(/:latest$/, '')]));
}

function withoutUnbound(request: RequestParameters): RequestParameters {
  return {
    ...request,
    authorization: null,
    get: (name) => (UNBOUND_PARAMETERS.has(name) ? null : request.get(name)),
  };
}

function toListable(settings: ModelSettings): readonly ProviderEntry[] {
  const own = [...settings.providers.values()].map(({ entry }) => entry);
  const ids = new Set(own.map(({ id }) => id));
  return [...own, ...CATALOGUE.filter(({ id }) => !ids.has(id))].filter(
    ({ id, listsModels }) =>
      id !== OPENAI.id && (listsModels || (settings.providers.get(id)?.models.length ?? 0) > 0),
  );
}
