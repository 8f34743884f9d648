/**
 * Who answers a model's name, and with what key. `docs/providers.md` has the rules in words, `model-choice.ts` in code.
 *
 * Nothing here reads the environment or keeps anything of a request.
 */

import type { Clock } from '../../clock.ts';
import { findEntryByUrl, type Protocol, type ProviderEntry } from '../catalogue/catalogue.ts';
import {
  type AvailableProvider,
  type ModelInfo,
  type Provider,
  ProviderError,
  type RequestHeaders,
  type ResolvedModel,
  type Router,
} from '../provider.ts';
import { type BaseUrlPolicy, isOpenAiHost, OPENAI_BASE_URL } from './base-url.ts';
import { createCallLimit, limitCalls } from './call-limit.ts';
import type { LocalServer } from './local-servers.ts';
import { createModelCache, type ModelCache } from './model-cache.ts';
import { type Choice, createModelChoice } from './model-choice.ts';
import { matchesName } from './model-names.ts';
import { type ModelSettings, NO_MODEL_SETTINGS } from './provider-settings.ts';
import { bindHeaders } from './request-credentials.ts';
import { type RequestParameters, readRequestParameters } from './request-parameters.ts';
import { addFields, createFallbacks } from './routed-provider.ts';

export const REHEARSAL_MODEL = 'understudy/rehearsal';
const BUILT_IN_PREFIX = 'understudy/';
/** Models that are tried for one request. */
const CANDIDATES_MAX = 8;
const CHOICES_MAX = 1_000;

export interface RouterOptions {
  /** Speaks to everything of OpenAI's protocol, and to Azure. */
  readonly openai: Provider;
  readonly rehearsal: Provider;
  /** Adapters for the other protocols; what is missing here is answered with a 501. */
  readonly protocols?: Readonly<Partial<Record<Protocol, Provider>>>;
  /** OPENAI_API_KEY and OPENAI_BASE_URL, as the configuration has them; null or empty where not set. */
  readonly operator: { readonly apiKey: string | null; readonly baseUrl: string | null };
  readonly settings?: ModelSettings;
  readonly localServer:
    | (Pick<LocalServer, 'baseUrl' | 'kind'> & { readonly models?: readonly { readonly id: string }[] })
    | null;
  readonly policy: BaseUrlPolicy;
  /** Absent: lists of models are not remembered. */
  readonly clock?: Clock;
}

export function createRouter(options: RouterOptions): Router {
  const { settings = NO_MODEL_SETTINGS } = options;
  const choice = createModelChoice({ ...options, settings });
  const toProvider = createProviderFinder(options, settings);
  const cache = options.clock === undefined ? null : createModelCache(options.clock);
  const aliases = [...settings.aliases]
    .filter(([name, targets]) => !name.endsWith('*') && isAnyAllowed(settings, [name, ...targets]))
    .map(([name]) => name);
  /** Requests that say nothing of providers get what the operator says, which is the same each time. No request's key is in here. */
  const ownChoices = new Map<string, ResolvedModel>();
  const builtIn: ResolvedModel = Object.freeze({
    provider: options.rehearsal,
    model: REHEARSAL_MODEL,
    credentials: Object.freeze({ apiKey: null, baseUrl: null, fromRequest: false }),
  });

  const toResolved = ({ entry, model, credentials }: Choice): ResolvedModel => ({
    provider: toProvider(entry),
    model,
    credentials,
  });

  /** The models that are tried, as far as they can be called at all. Throws what is wrong with the first where none can. */
  const resolvePlan = (
    asked: string,
    names: readonly string[],
    headers: RequestHeaders,
    first: RequestParameters,
  ): ResolvedModel[] => {
    const found: ResolvedModel[] = [];
    let bound = headers;
    let refusal: unknown = null;
    for (const name of names.slice(0, CANDIDATES_MAX)) {
      try {
        const request = bound === headers ? first : readRequestParameters(bound);
        const chosen = name === REHEARSAL_MODEL ? null : choice.choose(name, request);
        if (chosen !== null) checkAllowed(settings, [asked, name], chosen, request);
        const resolved = chosen === null ? builtIn : toResolved(chosen);
        found.push(resolved);
        // What the request says of its model's provider is for that one, not for the next.
        bound = bindHeaders(bound, resolved.credentials);
      } catch (error) {
        if (!(error instanceof ProviderError)) throw error;
        refusal ??= error;
      }
    }
    if (found.length === 0) throw refusal;
    return found;
  };

  return {
    defaultModel: settings.defaultModel,
    aliases,

    resolve(model, headers) {
      if (model === REHEARSAL_MODEL) return builtIn;
      if (model.startsWith(BUILT_IN_PREFIX)) throw createUnknownBuiltIn(model);
      const request = readRequestParameters(headers);
      const known = request.saysNothing ? ownChoices.get(model) : undefined;
      if (known !== undefined) return known;
      const names = expandName(settings, model, request);
      const [first, ...others] = resolvePlan(model, names, headers, request);
      if (first === undefined) throw new Error('A plan has a first model.');
      if (request.saysNothing && others.length === 0) rememberChoice(ownChoices, model, first);
      const provider = others.length === 0 ? first.provider : createFallbacks([first, ...others]);
      const { fields } = request;
      return fields === null
        ? withProvider(first, provider)
        : withProvider(first, addFields(provider, fields));
    },

    available(headers) {
      const request = readRequestParameters(headers);
      const listed = choice.list(request).map((one): AvailableProvider => {
        const resolved = toResolved(one);
        const prefix = one.isDefault ? '' : `${one.entry.id}/`;
        const provider = toLister(settings, one, toCached(resolved, cache), prefix);
        return { ...resolved, model: '', provider, prefix };
      });
      return [{ ...builtIn, prefix: '' }, ...listed];
    },
  };
}

function rememberChoice(choices: Map<string, ResolvedModel>, model: string, choice: ResolvedModel): void {
  // Anybody may ask for models of his own making.
  if (choices.size >= CHOICES_MAX) choices.clear();
  choices.set(model, choice);
}

function withProvider(resolved: ResolvedModel, provider: Provider): ResolvedModel {
  return provider === resolved.provider ? resolved : { ...resolved, provider };
}

/** The adapter of each protocol, with what the operator set for a provider: a limit of calls, a list of models. */
function createProviderFinder({ openai, protocols = {} }: RouterOptions, settings: ModelSettings) {
  const toAdapter = (protocol: Protocol): Provider => {
    const isOpenAi = protocol === 'openai' || protocol === 'azure';
    return protocols[protocol] ?? (isOpenAi ? openai : createMissingAdapter(protocol));
  };
  const changed = new Map<string, Provider>();
  for (const [id, { entry, callsMax, models }] of settings.providers) {
    if (callsMax === null && models.length === 0) continue;
    const adapter = toAdapter(entry.protocol);
    const limited = callsMax === null ? adapter : limitCalls(adapter, createCallLimit(entry.name, callsMax));
    const infos = models.map((model): ModelInfo => ({ id: model, created: 0, ownedBy: id }));
    changed.set(id, infos.length === 0 ? limited : { ...limited, listModels: async () => infos });
  }
  return ({ id, protocol }: ProviderEntry): Provider => changed.get(id) ?? toAdapter(protocol);
}

/** 501: the protocol is known, but this program was put together without it. */
function createMissingAdapter(protocol: Protocol): Provider {
  const refuse = (): never => {
    throw new ProviderError('not_supported', `The protocol of '${protocol}' is not built into this server.`, {
      status: 501,
      param: 'model',
    });
  };
  return {
    id: protocol,
    // biome-ignore lint/correctness/useYield: it refuses
    async *chat() {
      refuse();
    },
    relay: async () => refuse(),
    listModels: async () => refuse(),
  };
}

/** Lists that the operator's own credentials bring are remembered for a moment. */
function toCached({ provider, credentials }: ResolvedModel, cache: ModelCache | null): Provider {
  if (cache === null || credentials.fromRequest) return provider;
  return cache.wrap(provider, JSON.stringify([credentials.style?.provider ?? '', credentials.baseUrl]));
}

/** Lists what may be asked for, and nothing else. */
function toLister(settings: ModelSettings, choice: Choice, provider: Provider, prefix: string): Provider {
  if (settings.allowedModels === null) return provider;
  const full = toFullPrefix(choice);
  return {
    ...provider,
    async listModels(options) {
      const infos = await provider.listModels(options);
      return infos.filter(({ id }) => isAnyAllowed(settings, [prefix + id, full + id]));
    },
  };
}

// ——— Names of the operator's ———

/** The names that a request's model stands for, in the order in which they are tried. */
function expandName(settings: ModelSettings, model: string, request: RequestParameters): readonly string[] {
  const asked = model === '' || model === 'default' ? (settings.defaultModel ?? model) : model;
  // A name under a provider that the request itself chose is that provider's.
  if (request.get('custom-llm-provider') !== null) return [asked];
  // Nearly all servers.
  if (settings.aliases.size === 0 && settings.fallbacks.size === 0) return [asked];
  const plan = new Set(expandAlias(settings, asked));
  for (const name of findByName(settings.fallbacks, asked) ?? []) {
    for (const one of expandAlias(settings, name)) plan.add(one);
  }
  return [...plan];
}

function expandAlias({ aliases }: ModelSettings, name: string): readonly string[] {
  return findByName(aliases, name) ?? [name];
}

/** The name itself first, then the longest pattern that fits. */
function findByName(names: ReadonlyMap<string, readonly string[]>, name: string): readonly string[] | null {
  const exact = names.get(name);
  if (exact !== undefined) return exact;
  let best: string | null = null;
  for (const pattern of names.keys()) {
    if (matchesName(pattern, name) && pattern.length > (best?.length ?? 0)) best = pattern;
  }
  return best === null ? null : (names.get(best) ?? null);
}

function isAnyAllowed({ allowedModels }: ModelSettings, names: readonly string[]): boolean {
  if (allowedModels === null) return true;
  return names.some((name) => allowedModels.some((pattern) => matchesName(pattern, name)));
}

/** What stands before a model's name where it is named in full: OpenAI's have a prefix then, too. */
function toFullPrefix({ entry, credentials, isDefault }: Choice): string {
  if (!isDefault) return `${entry.id}/`;
  return isOpenAiHost(credentials.baseUrl ?? OPENAI_BASE_URL) ? 'openai/' : '';
}

/**
 * A model may be allowed under the name that was asked for, under that of an alias' target, or under its full one. Where the
 * request's headers say who answers, the name alone says nothing: only the one that it has there counts.
 */
function checkAllowed(
  settings: ModelSettings,
  names: readonly [asked: string, target: string],
  choice: Choice,
  request: RequestParameters,
): void {
  if (settings.allowedModels === null) return;
  const isSteered =
    request.get('custom-llm-provider') !== null || choice.credentials.baseUrlFromRequest === true;
  const counted = isSteered ? toSteeredNames(choice) : [...names, toFullPrefix(choice) + choice.model];
  if (isAnyAllowed(settings, counted)) return;
  throw new ProviderError(
    'model_not_found',
    `The model '${names[0].slice(0, 200)}' is not among those that this server allows.`,
    { status: 404, code: 'model_not_found', param: 'model' },
  );
}

/** By whose address it is: a known provider's, or one that the operator lets requests name. */
function toSteeredNames(choice: Choice): string[] {
  const { credentials, entry, model, isDefault } = choice;
  const host = credentials.baseUrl === null ? null : findEntryByUrl(credentials.baseUrl);
  if (host !== null && host.id !== OPENAI_ID && host.id !== entry.id) return [`${host.id}/${model}`];
  return [toFullPrefix(choice) + model, ...(isDefault ? [model] : [])];
}

const OPENAI_ID = 'openai';

function createUnknownBuiltIn(model: string): ProviderError {
  return new ProviderError(
    'model_not_found',
    `The model '${model}' does not exist. The one that is built in is '${REHEARSAL_MODEL}'.`,
    { status: 404, code: 'model_not_found', param: 'model' },
  );
}
