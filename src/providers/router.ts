/**
 * Who answers a model's name, with what key.
 *
 * `understudy/rehearsal` is built in; every other name goes to one upstream, which the request names, the operator
 * configured, or was found on this machine at start, in this order. This layer never reads the environment.
 */

import { type BaseUrlPolicy, isOpenAiHost, OPENAI_BASE_URL, parseRequestBaseUrl } from './base-url.ts';
import type { LocalServer } from './local-servers.ts';
import {
  type Credentials,
  type Provider,
  ProviderError,
  type RequestHeaders,
  type ResolvedModel,
  type Router,
} from './provider.ts';

export const REHEARSAL_MODEL = 'understudy/rehearsal';
const BUILT_IN_PREFIX = 'understudy/';
const OPENAI_PREFIX = 'openai/';
/** SDKs insist on a key: this one says that there is none. */
const NO_KEY = 'understudy';

export interface RouterOptions {
  readonly openai: Provider;
  readonly rehearsal: Provider;
  /** OPENAI_API_KEY and OPENAI_BASE_URL, as the configuration has them; null or empty where not set. */
  readonly operator: { readonly apiKey: string | null; readonly baseUrl: string | null };
  readonly localServer: Pick<LocalServer, 'baseUrl' | 'kind'> | null;
  readonly policy: BaseUrlPolicy;
}

export function createRouter(options: RouterOptions): Router {
  const { openai, rehearsal, localServer, policy } = options;
  const operatorKey = toSetting(options.operator.apiKey);
  const operatorBaseUrl = toSetting(options.operator.baseUrl)?.replace(/\/+$/, '') ?? null;

  /** The upstream of a request; null where there is none. Throws `ApiError` for a base URL that may not be. */
  const findUpstream = (headers: RequestHeaders): Credentials | null => {
    const requestKey = toRequestKey(headers);
    const named = headers['base-url']?.trim() ?? '';
    if (named !== '') {
      // The operator's key never goes where a request points.
      return { apiKey: requestKey, baseUrl: parseRequestBaseUrl(named, policy), fromRequest: true };
    }
    // Asked at each request: the server's own port may not be known before it listens.
    const configured = operatorBaseUrl !== null && policy.isSelf?.(operatorBaseUrl) ? null : operatorBaseUrl;
    if (requestKey !== null) return { apiKey: requestKey, baseUrl: configured, fromRequest: true };
    if (configured !== null || operatorKey !== null) {
      return { apiKey: operatorKey, baseUrl: configured, fromRequest: false };
    }
    if (localServer !== null) return { apiKey: null, baseUrl: localServer.baseUrl, fromRequest: false };
    return null;
  };

  const builtIn: ResolvedModel = Object.freeze({
    provider: rehearsal,
    model: REHEARSAL_MODEL,
    credentials: Object.freeze({ apiKey: null, baseUrl: null, fromRequest: false }),
  });

  return {
    resolve(model, headers) {
      if (model === REHEARSAL_MODEL) return builtIn;
      if (model.startsWith(BUILT_IN_PREFIX)) {
        throw new ProviderError(
          'model_not_found',
          `The model '${model}' does not exist. The one that is built in is '${REHEARSAL_MODEL}'.`,
          { status: 404, code: 'model_not_found', param: 'model' },
        );
      }
      const credentials = findUpstream(headers);
      if (credentials === null) throw new ProviderError('not_configured', NOT_CONFIGURED);
      return { provider: openai, model: toUpstreamName(model, credentials), credentials };
    },

    available(headers) {
      const credentials = findUpstream(headers);
      const own = { ...builtIn, prefix: '' };
      return credentials === null ? [own] : [own, { provider: openai, model: '', credentials, prefix: '' }];
    },
  };
}

export const NOT_CONFIGURED =
  'No language model is configured. Set OPENAI_API_KEY, or OPENAI_BASE_URL for another server that speaks the ' +
  'same protocol, and start again; or start Ollama, LM Studio, llama.cpp or vLLM on this machine first; or send a ' +
  `key as 'authorization'. To try things out, use the model '${REHEARSAL_MODEL}', which needs none of these.`;

/** The key of `authorization`; null where there is none, or the one that stands for none. */
function toRequestKey(headers: RequestHeaders): string | null {
  const match = /^\s*bearer\s+(.*)$/i.exec(headers.authorization ?? '');
  const key = match?.[1]?.trim() ?? '';
  return key === '' || key === NO_KEY ? null : key;
}

/** Variables are often set to nothing, or end in a line's end. */
function toSetting(text: string | null): string | null {
  const trimmed = text?.trim() ?? '';
  return trimmed === '' ? null : trimmed;
}

/** OpenAI knows its models without a prefix; others have models that are really called `openai/…`. */
function toUpstreamName(model: string, { baseUrl }: Credentials): string {
  const isOpenAi = isOpenAiHost(baseUrl ?? OPENAI_BASE_URL);
  return isOpenAi && model.startsWith(OPENAI_PREFIX) ? model.slice(OPENAI_PREFIX.length) : model;
}
