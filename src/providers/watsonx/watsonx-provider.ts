/** IBM watsonx.ai: OpenAI's protocol but for the wire, which is rewritten on the way out and back. */

import { type JsonRecord, parseJson, toRecord, toText } from '../json-values.ts';
import { createOpenAiProvider, type OpenAiProviderOptions } from '../openai/openai-provider.ts';
import type { Upstream } from '../outbound/upstream.ts';
import { DOCUMENT_BYTES_MAX, type UpstreamAnswer } from '../outbound/upstream-answer.ts';
import {
  type CallOptions,
  type Credentials,
  type Provider,
  ProviderError,
  type Quirks,
} from '../provider.ts';
import { createIamTokens } from './iam-token.ts';
import {
  type Billing,
  toChatBody,
  toEmbeddingList,
  toEmbeddingsBody,
  toError,
  toModelList,
  toPath,
} from './watsonx-wire.ts';

const BASE_URL = 'https://us-south.ml.cloud.ibm.com';
const QUIRKS: Quirks = Object.freeze({
  noStreamOptions: true,
  noDeveloperRole: true,
  maxTokensName: 'max_tokens',
  noEmbeddingFormat: true,
  embeddingTextsMax: 1000,
});

export interface WatsonxProviderOptions extends OpenAiProviderOptions {
  /** Where IBM Cloud gives out access tokens; its own unless said otherwise. */
  readonly iamTokenUrl?: string;
}

export function createWatsonxProvider(options: WatsonxProviderOptions): Provider {
  const { upstream, clock, iamTokenUrl } = options;
  const tokens = createIamTokens({
    upstream,
    clock,
    ...(iamTokenUrl === undefined ? {} : { tokenUrl: iamTokenUrl }),
  });

  /** The provider and the credentials for one call: neither keeps anything of another. */
  const open = async (call: CallOptions): Promise<{ provider: Provider; own: CallOptions }> => {
    const { credentials } = call;
    const { apiKey, parameters = {} } = credentials;
    const given = parameters.token ?? '';
    if (given === '' && apiKey === null) throw createMissingKey();
    const token = given === '' ? await tokens.getToken(apiKey ?? '', call) : given;
    const wire = createWatsonxUpstream(upstream, toBilling(parameters));
    const provider = createOpenAiProvider({ ...options, upstream: wire });
    return { provider, own: { ...call, credentials: toOwnCredentials(credentials, token) } };
  };

  return {
    id: 'watsonx',
    async *chat(request, call) {
      const { provider, own } = await open(call);
      yield* provider.chat(request, own);
    },
    async relay(path, body, call) {
      const { provider, own } = await open(call);
      return await provider.relay(path, body, own);
    },
    async listModels(call) {
      const { provider, own } = await open(call);
      return await provider.listModels(own);
    },
  };
}

function toBilling(parameters: Readonly<Record<string, string>>): Billing {
  return { projectId: parameters['project-id'] || null, spaceId: parameters['space-id'] || null };
}

function toOwnCredentials(credentials: Credentials, token: string): Credentials {
  const { style } = credentials;
  return {
    ...credentials,
    apiKey: token,
    baseUrl: (credentials.baseUrl ?? BASE_URL).replace(/\/+$/, '').replace(/\/ml\/v1$/, ''),
    style: {
      provider: style?.provider ?? 'watsonx',
      auth: { header: 'authorization', prefix: 'Bearer ' },
      pathTemplate: '/{path}',
      query: {},
      headers: style?.headers ?? {},
      quirks: QUIRKS,
      timeouts: style?.timeouts ?? {},
    },
  };
}

/** Takes calls in OpenAI's form and answers so; what streams is so already. */
function createWatsonxUpstream(upstream: Upstream, billing: Billing): Upstream {
  return async (call) => {
    const endpoint = toEndpoint(call.url);
    const base = call.url.slice(0, -endpoint.suffix.length);
    const body = toRecord(parseJson(typeof call.body === 'string' ? call.body : ''));
    const model = toText(body?.model) ?? '';
    const answer = await upstream({
      ...call,
      url: `${base}${toPath(endpoint.kind, model, body?.stream === true)}`,
      ...(body === null ? {} : { body: JSON.stringify(toBody(endpoint.kind, body, billing)) }),
    });
    if (answer.status >= 400) return await rewrite(answer, toError);
    if (endpoint.kind === 'embeddings') return await rewrite(answer, (text) => toEmbeddingList(text, model));
    return endpoint.kind === 'models' ? await rewrite(answer, toModelList) : answer;
  };
}

type EndpointKind = 'chat' | 'embeddings' | 'models';

const ENDPOINTS: readonly { readonly suffix: string; readonly kind: EndpointKind }[] = Object.freeze([
  { suffix: '/chat/completions', kind: 'chat' },
  { suffix: '/embeddings', kind: 'embeddings' },
  { suffix: '/models', kind: 'models' },
]);

function toEndpoint(url: string): (typeof ENDPOINTS)[number] {
  const found = ENDPOINTS.find(({ suffix }) => url.endsWith(suffix));
  if (found !== undefined) return found;
  throw new ProviderError('not_supported', 'watsonx has no such endpoint.');
}

function toBody(kind: EndpointKind, body: JsonRecord, billing: Billing): JsonRecord {
  const isDeployed = (toText(body.model) ?? '').startsWith('deployment/');
  if (!isDeployed && billing.projectId === null && billing.spaceId === null) throw createMissingProject();
  return kind === 'embeddings' ? toEmbeddingsBody(body, billing) : toChatBody(body, billing);
}

/** The answer with another text, which is in memory by then. */
async function rewrite(answer: UpstreamAnswer, toText: (text: string) => string): Promise<UpstreamAnswer> {
  const text = toText(await answer.readText(DOCUMENT_BYTES_MAX));
  const headers = new Headers(answer.headers);
  for (const name of ['content-encoding', 'content-length']) headers.delete(name);
  let rest: Uint8Array | null = new TextEncoder().encode(text);
  return {
    status: answer.status,
    headers,
    contentType: answer.contentType,
    async read() {
      const piece = rest;
      rest = null;
      return piece;
    },
    readText: async () => text,
    close: () => answer.close(),
  };
}

function createMissingKey(): ProviderError {
  return new ProviderError('authentication', "watsonx needs an API key of IBM Cloud, or a 'token'.", {
    status: 401,
    param: 'api-key',
  });
}

function createMissingProject(): ProviderError {
  return new ProviderError('invalid_request', "watsonx needs a 'project-id' or a 'space-id'.", {
    status: 400,
    param: 'project-id',
  });
}
