import { describe, expect, test } from 'bun:test';
import { readModelSettings } from '../../src/config/model-settings.ts';
import type { ModelSections } from '../../src/config/provider-config-schema.ts';
import { ApiError } from '../../src/errors.ts';
import { toRecord } from '../../src/providers/json-values.ts';
import {
  type CallOptions,
  type ChatEvent,
  type ChatRequest,
  type Provider,
  ProviderError,
  type RequestHeaders,
  type ResolvedModel,
} from '../../src/providers/provider.ts';
import { createRouter, type RouterOptions } from '../../src/providers/routing/router.ts';

/** Only told apart, never called. */
function createNamedProvider(id: string): Provider {
  const fail = (): never => {
    throw new Error('A router calls no provider.');
  };
  return { id, relay: fail, listModels: fail, chat: fail };
}

const PROTOCOLS = ['anthropic', 'gemini', 'vertex', 'bedrock', 'cohere', 'mistral', 'voyage'] as const;

interface Setup {
  readonly env?: Readonly<Record<string, string>>;
  readonly sections?: ModelSections;
  readonly localServer?: RouterOptions['localServer'];
  readonly allowLoopback?: boolean;
}

function setUp({ env = {}, sections, localServer = null, allowLoopback = true }: Setup = {}) {
  const { settings } = readModelSettings({
    env,
    readFile: () => '{"project_id":"p"}',
    sections: sections ?? null,
    allowedHosts: ['llm.example.com'],
    ownModels: [],
  });
  return createRouter({
    openai: createNamedProvider('openai'),
    rehearsal: createNamedProvider('understudy'),
    protocols: Object.fromEntries(PROTOCOLS.map((id) => [id, createNamedProvider(id)])),
    operator: { apiKey: env.OPENAI_API_KEY ?? null, baseUrl: env.OPENAI_BASE_URL ?? null },
    settings,
    localServer,
    policy: { allowedHosts: settings.allowedHosts, allowLoopback },
  });
}

/** Who answers, under what name, with which key, where: `groq llama-3 KEY@URL`. */
function toText({ model, credentials }: ResolvedModel): string {
  const { style, apiKey, baseUrl } = credentials;
  return `${style?.provider ?? 'default'} ${model} ${apiKey ?? '-'}@${baseUrl ?? '-'}`;
}

function resolve(setup: Setup, name: string, headers: RequestHeaders = {}): string {
  try {
    return toText(setUp(setup).resolve(name, headers));
  } catch (error) {
    if (error instanceof ProviderError) return `${error.status} ${error.kind}`;
    if (error instanceof ApiError) return `${error.status} ${error.param}`;
    throw error;
  }
}

const OPENAI = { OPENAI_API_KEY: 'sk-o' };
const BASE = { OPENAI_BASE_URL: 'http://10.0.0.5:8000/v1' };
const GROQ = { GROQ_API_KEY: 'gsk' };
const OLLAMA: RouterOptions['localServer'] = {
  kind: 'ollama',
  baseUrl: 'http://127.0.0.1:11434/v1',
  models: [{ id: 'mistral-small:latest' }, { id: 'deepseek/local' }, { id: 'llama3.2:1b' }],
};
const bearer = (key: string): RequestHeaders => ({ authorization: `Bearer ${key}` });

/** The table of docs/providers.md, row by row, and its corners. */
describe('who answers a name', () => {
  const RULES: readonly (readonly [
    about: string,
    setup: Setup,
    name: string,
    headers: RequestHeaders,
    expected: string,
  ])[] = [
    // A prefix of a known provider.
    [
      'a prefix says who, and is taken off',
      { env: GROQ },
      'groq/llama-3',
      {},
      'groq llama-3 gsk@https://api.groq.com/openai/v1',
    ],
    [
      'an alias of a prefix too',
      { env: { COHERE_API_KEY: 'co' } },
      'cohere_chat/command-r',
      {},
      'cohere command-r co@https://api.cohere.com/v2',
    ],
    [
      'only the first slash counts',
      { env: { OPENROUTER_API_KEY: 'or' } },
      'openrouter/anthropic/claude-3',
      {},
      'openrouter anthropic/claude-3 or@https://openrouter.ai/api/v1',
    ],
    [
      'a request’s api-key is for the provider of its model',
      { env: GROQ },
      'groq/llama-3',
      { 'api-key': 'mine' },
      'groq llama-3 mine@https://api.groq.com/openai/v1',
    ],
    [
      'LLM-PARAM wins over the plain header',
      {},
      'groq/llama-3',
      { 'api-key': 'plain', 'llm-param-api-key': 'param' },
      'groq llama-3 param@https://api.groq.com/openai/v1',
    ],
    [
      'what names its provider wins over both',
      {},
      'groq/llama-3',
      { 'llm-param-api-key': 'param', 'llm-param-groq-api-key': 'named' },
      'groq llama-3 named@https://api.groq.com/openai/v1',
    ],
    ['without a key: 401', {}, 'groq/llama-3', {}, '401 authentication'],
    [
      'authorization is no key for it',
      { env: OPENAI },
      'groq/llama-3',
      bearer('sk-mine'),
      '401 authentication',
    ],
    ['the key understudy is none', {}, 'groq/llama-3', { 'api-key': 'understudy' }, '401 authentication'],
    [
      'without a key the whole name goes to OPENAI_BASE_URL',
      { env: BASE },
      'anthropic/claude-3',
      {},
      'default anthropic/claude-3 -@http://10.0.0.5:8000/v1',
    ],
    [
      'with a key it does not',
      { env: { ...BASE, ...GROQ } },
      'groq/llama-3',
      {},
      'groq llama-3 gsk@https://api.groq.com/openai/v1',
    ],
    [
      'a local server gets a name that it lists itself',
      { localServer: OLLAMA },
      'deepseek/local',
      {},
      'default deepseek/local -@http://127.0.0.1:11434/v1',
    ],
    ['and no other of the kind', { localServer: OLLAMA }, 'deepseek/chat', {}, '401 authentication'],
    [
      'bedrock’s own prefixes are taken off too',
      { env: { AWS_BEARER_TOKEN_BEDROCK: 'b' } },
      'bedrock/converse/us.amazon.nova-pro-v1:0',
      {},
      'bedrock us.amazon.nova-pro-v1:0 b@-',
    ],

    // OpenAI's prefix.
    ['openai/ is taken off for OpenAI', { env: OPENAI }, 'openai/gpt-4o', {}, 'default gpt-4o sk-o@-'],
    [
      'openai/ stays for the operator’s server',
      { env: BASE },
      'openai/gpt-oss-20b',
      {},
      'default openai/gpt-oss-20b -@http://10.0.0.5:8000/v1',
    ],
    [
      'openai/ stays for a local server',
      { localServer: OLLAMA },
      'openai/gpt-oss-20b',
      {},
      'default openai/gpt-oss-20b -@http://127.0.0.1:11434/v1',
    ],
    [
      'openai/ with a base-url is LiteLLM’s word for the protocol',
      {},
      'openai/my-model',
      { 'base-url': 'http://127.0.0.1:9/v1' },
      'default my-model -@http://127.0.0.1:9/v1',
    ],
    ['openai/ without any key: 401', {}, 'openai/gpt-4o', {}, '401 authentication'],

    // A base-url of the request.
    [
      'a base-url takes any name whole',
      { env: { ...OPENAI, ...GROQ } },
      'claude-3-haiku',
      { 'base-url': 'http://127.0.0.1:9/v1', ...bearer('k') },
      'default claude-3-haiku k@http://127.0.0.1:9/v1',
    ],
    [
      'a prefix says in which protocol',
      {},
      'anthropic/claude-3',
      { 'base-url': 'http://127.0.0.1:9', 'api-key': 'k' },
      'anthropic claude-3 k@http://127.0.0.1:9/v1',
    ],
    [
      'the operator’s key does not go along',
      { env: { ANTHROPIC_API_KEY: 'op' } },
      'anthropic/claude-3',
      { 'base-url': 'http://127.0.0.1:9' },
      '401 authentication',
    ],
    [
      'at the host of a known provider it is that one',
      {},
      'anthropic/claude-3',
      { 'base-url': 'https://openrouter.ai/api/v1', 'api-key': 'or' },
      'openrouter anthropic/claude-3 or@https://openrouter.ai/api/v1',
    ],
    [
      'for a name without a prefix too',
      {},
      'claude-3-haiku',
      { 'base-url': 'https://api.anthropic.com', 'api-key': 'k' },
      'anthropic claude-3-haiku k@https://api.anthropic.com/v1',
    ],
    [
      'authorization serves an OpenAI-compatible base-url',
      {},
      'groq/llama-3',
      { 'base-url': 'http://127.0.0.1:9', ...bearer('k') },
      'groq llama-3 k@http://127.0.0.1:9',
    ],
    [
      'but not Ollama, which needs none',
      {},
      'ollama/llama3',
      { 'llm-param-base_url': 'http://127.0.0.1:9', ...bearer('sk-o') },
      'ollama llama3 -@http://127.0.0.1:9/v1',
    ],
    [
      'a base-url that is not allowed is refused',
      {},
      'groq/llama-3',
      { 'base-url': 'https://evil.example', 'api-key': 'k' },
      '400 base-url',
    ],
    [
      'Bedrock’s endpoint is a base-url',
      {},
      'bedrock/m',
      { 'llm-param-aws-bedrock-runtime-endpoint': 'https://evil.example', 'api-key': 'k' },
      '400 base-url',
    ],

    // custom-llm-provider.
    [
      'custom-llm-provider says who, and leaves the name',
      {},
      'openai/gpt-oss-20b',
      { 'custom-llm-provider': 'groq', 'api-key': 'k' },
      'groq openai/gpt-oss-20b k@https://api.groq.com/openai/v1',
    ],
    [
      'custom-llm-provider openai is the default upstream',
      { env: BASE },
      'claude-3',
      { 'custom-llm-provider': 'openai' },
      'default claude-3 -@http://10.0.0.5:8000/v1',
    ],
    [
      'an unknown custom-llm-provider is refused',
      { env: OPENAI },
      'm',
      { 'custom-llm-provider': 'grok' },
      '400 custom-llm-provider',
    ],

    // Names of a known kind.
    [
      'a known kind of name is its provider’s, where there is a key',
      { env: { ANTHROPIC_API_KEY: 'a' } },
      'claude-3-haiku-20240307',
      {},
      'anthropic claude-3-haiku-20240307 a@https://api.anthropic.com/v1',
    ],
    [
      'also where a request brings it',
      { env: OPENAI },
      'claude-3-haiku-20240307',
      { 'llm-param-api-key': 'a', ...bearer('sk') },
      'anthropic claude-3-haiku-20240307 a@https://api.anthropic.com/v1',
    ],
    [
      'a request’s key wins over OPENAI_BASE_URL',
      { env: BASE },
      'claude-3',
      { 'api-key': 'a' },
      'anthropic claude-3 a@https://api.anthropic.com/v1',
    ],
    [
      'without a key it goes to OPENAI_BASE_URL',
      { env: BASE },
      'claude-3',
      {},
      'default claude-3 -@http://10.0.0.5:8000/v1',
    ],
    [
      'without a key it goes to a local server',
      { localServer: OLLAMA },
      'mistral-nemo',
      {},
      'default mistral-nemo -@http://127.0.0.1:11434/v1',
    ],
    ['and never to OpenAI', { env: OPENAI }, 'claude-3', {}, '401 authentication'],
    [
      'what a local server lists is its own',
      { env: { MISTRAL_API_KEY: 'm' }, localServer: OLLAMA },
      'mistral-small',
      {},
      'default mistral-small -@http://127.0.0.1:11434/v1',
    ],
    [
      'unless the request brings a key',
      { localServer: OLLAMA },
      'mistral-small',
      { 'api-key': 'm' },
      'mistral mistral-small m@https://api.mistral.ai/v1',
    ],
    [
      'names with a tag are local',
      { env: { DEEPSEEK_API_KEY: 'd' }, localServer: OLLAMA },
      'deepseek-r1:8b',
      {},
      'default deepseek-r1:8b -@http://127.0.0.1:11434/v1',
    ],
    [
      'also where a request has a key for OpenAI',
      { localServer: OLLAMA },
      'llama3.2:1b',
      bearer('sk'),
      'default llama3.2:1b -@http://127.0.0.1:11434/v1',
    ],
    [
      'Bedrock’s names have colons of their own',
      { env: { AWS_ACCESS_KEY_ID: 'i', AWS_SECRET_ACCESS_KEY: 's' } },
      'us.anthropic.claude-3-haiku-20240307-v1:0',
      {},
      'bedrock us.anthropic.claude-3-haiku-20240307-v1:0 -@-',
    ],

    // The default upstream.
    ['gpt-… goes to OpenAI', { env: { ...OPENAI, ...GROQ } }, 'gpt-4o', {}, 'default gpt-4o sk-o@-'],
    [
      'gpt-… goes to OPENAI_BASE_URL',
      { env: { ...OPENAI, ...BASE } },
      'gpt-4o',
      {},
      'default gpt-4o sk-o@http://10.0.0.5:8000/v1',
    ],
    [
      'gpt-… goes to a local server where there is no key',
      { localServer: OLLAMA },
      'gpt-4o',
      {},
      'default gpt-4o -@http://127.0.0.1:11434/v1',
    ],
    ['gpt-… with a key goes past it', { localServer: OLLAMA }, 'gpt-4o', bearer('sk'), 'default gpt-4o sk@-'],
    [
      'api-key wins over authorization there too',
      {},
      'gpt-4o',
      { 'api-key': 'a', ...bearer('b') },
      'default gpt-4o a@-',
    ],
    [
      'gpt-… without OpenAI’s key, where others are set: 401',
      { env: GROQ },
      'gpt-4o',
      {},
      '401 authentication',
    ],
    [
      'an unknown name goes to the default upstream whole',
      { env: BASE },
      'meta-llama/Llama-3',
      {},
      'default meta-llama/Llama-3 -@http://10.0.0.5:8000/v1',
    ],
    [
      'an unknown name goes to OpenAI: it has new ones every month',
      { env: OPENAI },
      'new-model',
      {},
      'default new-model sk-o@-',
    ],
    ['but not one with a slash', { env: OPENAI }, 'meta-llama/Llama-3', {}, '404 model_not_found'],
    ['where nobody takes it: 404', { env: GROQ }, 'meta-llama/Llama-3', {}, '404 model_not_found'],
    ['where nothing is configured: that is said', {}, 'whatever', {}, 'null not_configured'],

    // Servers on the operator's own machine.
    ['Ollama is where it always is', {}, 'ollama/llama3', {}, 'ollama llama3 -@http://localhost:11434/v1'],
    [
      'a known prefix is not the operator’s server’s',
      { env: BASE },
      'ollama/llama3',
      {},
      'default ollama/llama3 -@http://10.0.0.5:8000/v1',
    ],
    [
      'but for an address that he gave',
      { env: { ...BASE, OLLAMA_API_BASE: 'http://gpu:11434' } },
      'ollama/llama3',
      {},
      'ollama llama3 -@http://gpu:11434/v1',
    ],
    [
      'nobody from elsewhere gets to it unasked',
      { env: GROQ, allowLoopback: false },
      'ollama/llama3',
      {},
      '400 base-url',
    ],

    // What an address needs.
    ['Azure has no address of its own', {}, 'azure/my-deployment', { 'api-key': 'k' }, '400 base-url'],
    [
      'Cloudflare’s needs an account',
      {},
      'cloudflare/@cf/meta/llama',
      { 'api-key': 'k' },
      '400 LLM-PARAM-account-id',
    ],
    [
      'which stands in it then',
      {},
      'cloudflare/@cf/meta/llama',
      { 'api-key': 'k', 'llm-param-account-id': 'a1' },
      'cloudflare @cf/meta/llama k@https://api.cloudflare.com/client/v4/accounts/a1/ai/v1',
    ],
    [
      'and cannot lead elsewhere',
      {},
      'cloudflare/@cf/meta/llama',
      { 'api-key': 'k', 'llm-param-account-id': 'a/../b' },
      '400 LLM-PARAM-account-id',
    ],
    [
      'nor can a region',
      {},
      'bedrock/m',
      { 'api-key': 'k', 'llm-param-aws-region-name': 'evil.example/#' },
      '400 LLM-PARAM-aws-region-name',
    ],
  ];

  test.each(RULES.map(([about, ...rest]) => [about, rest] as const))(
    '%s',
    (_, [setup, name, headers, expected]) => {
      expect(resolve(setup, name, headers)).toBe(expected);
    },
  );

  test('a missing key is told with the header and the variable', () => {
    const cases = [
      ['groq/llama-3', /Groq.*'api-key' or 'LLM-PARAM-api-key'.*GROQ_API_KEY/],
      ['openai/gpt-4o', /OpenAI.*'authorization' or 'api-key'.*OPENAI_API_KEY/],
      [
        'bedrock/m',
        /'LLM-PARAM-aws-access-key-id' and 'LLM-PARAM-aws-secret-access-key'.*AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_BEARER_TOKEN_BEDROCK/,
      ],
      ['vertex_ai/gemini-2.5-pro', /VERTEXAI_API_KEY, or GOOGLE_APPLICATION_CREDENTIALS/],
    ] as const;
    for (const [name, message] of cases) expect(() => setUp().resolve(name, {})).toThrow(message);
    expect(() => setUp().resolve('groq/m', bearer('sk-secret'))).toThrow(/'authorization' is not sent there/);
    expect(() => setUp().resolve('groq/m', bearer('sk-secret'))).not.toThrow(/sk-secret/);
  });

  test('a mistyped prefix or name is told with what is near', () => {
    expect(() => setUp({ env: OPENAI }).resolve('antropic/claude-3', {})).toThrow(
      /Did you mean 'anthropic\/claude-3'/,
    );
    expect(() => setUp({ env: OPENAI }).resolve('grok/llama', {})).toThrow(/'groq\/llama'/);
    const setup: Setup = { env: GROQ, sections: { aliases: { smart: 'groq/llama-3' } } };
    expect(() => setUp(setup).resolve('smrt', {})).toThrow(/Did you mean 'smart'/);
  });

  test('an adapter is chosen by the protocol; one that is missing is a 501', async () => {
    const router = setUp({
      env: {
        ANTHROPIC_API_KEY: 'a',
        WATSONX_API_KEY: 'w',
        AZURE_API_KEY: 'z',
        AZURE_API_BASE: 'https://r.openai.azure.com',
        ...GROQ,
      },
    });
    expect(router.resolve('anthropic/c', {}).provider.id).toBe('anthropic');
    expect(router.resolve('groq/c', {}).provider.id).toBe('openai');
    expect(router.resolve('azure/c', {}).provider.id).toBe('openai');
    const { provider, credentials } = router.resolve('watsonx/c', {});
    const call: CallOptions = { credentials, signal: new AbortController().signal, requestId: 'r' };
    const refused = await provider.relay('chat/completions', {}, call).catch((error: unknown) => error);
    expect(refused).toMatchObject({ kind: 'not_supported', status: 501 });
  });
});

describe('how Azure is spoken to', () => {
  const azure = (headers: RequestHeaders, env: Readonly<Record<string, string>> = {}) =>
    setUp({ env }).resolve('azure/my-gpt', { 'api-key': 'k', ...headers }).credentials;
  const at = (path: string) => ({ 'base-url': `https://r.openai.azure.com${path}` });

  test.each([
    [
      'with an api-version by deployment',
      { ...at(''), 'api-version': '2024-10-21' },
      '/openai/deployments/{model}/{path}',
      { 'api-version': '2024-10-21' },
    ],
    [
      'with /openai behind the address too',
      { ...at('/openai'), 'api-version': '2024-10-21' },
      '/openai/deployments/{model}/{path}',
      { 'api-version': '2024-10-21' },
    ],
    ['without one by its newer endpoints', at(''), '/openai/v1/{path}', {}],
    [
      'with a name for them',
      { ...at(''), 'api-version': 'preview' },
      '/openai/v1/{path}',
      { 'api-version': 'preview' },
    ],
    ['at an address that has them in it', at('/openai/v1'), '/{path}', {}],
  ] as const)('%s', (_, headers, pathTemplate, query) => {
    const { style, apiKey } = azure(headers);
    expect(style).toMatchObject({ pathTemplate, query, auth: { header: 'api-key', prefix: '' } });
    expect(apiKey).toBe('k');
  });

  test('by what the operator set, with a token of its directory as a bearer', () => {
    const env = {
      AZURE_API_BASE: 'https://op.openai.azure.com/',
      AZURE_API_VERSION: '2024-10-21',
      AZURE_AD_TOKEN: 't',
    };
    const { credentials } = setUp({ env }).resolve('azure/my-gpt', {});
    expect(credentials).toMatchObject({
      apiKey: 't',
      baseUrl: 'https://op.openai.azure.com',
      fromRequest: false,
      style: { auth: { header: 'authorization', prefix: 'Bearer ' }, query: { 'api-version': '2024-10-21' } },
    });
  });

  test('by the reference’s three headers without a prefix, since its host says who it is', () => {
    const headers = { 'base-url': 'https://r.openai.azure.com', 'api-version': '2024-10-21', 'api-key': 'k' };
    expect(setUp().resolve('gpt-4o', headers).credentials.style?.provider).toBe('azure');
  });
});

describe('names of the operator’s', () => {
  const sections: ModelSections = {
    providers: { 'my-vllm': { 'base-url': 'http://10.0.0.7:8000/v1' }, groq: { 'key-variable': 'MY_GROQ' } },
    aliases: {
      fast: 'groq/llama-3',
      'gpt-4o': ['my-vllm/qwen', 'groq/llama-3'],
      'gpt-*': 'my-vllm/small',
      'gpt-4.1*': 'my-vllm/large',
    },
    fallbacks: { 'groq/kimi': ['fast', 'my-vllm/qwen'] },
    'default-model': 'fast',
  };
  const setup: Setup = { env: { MY_GROQ: 'gsk' }, sections };

  test.each([
    ['fast', 'groq llama-3 gsk@https://api.groq.com/openai/v1'],
    ['gpt-4o', 'my-vllm qwen -@http://10.0.0.7:8000/v1'],
    ['gpt-3.5-turbo', 'my-vllm small -@http://10.0.0.7:8000/v1'],
    ['gpt-4.1-mini', 'my-vllm large -@http://10.0.0.7:8000/v1'],
    ['my-vllm/a/b', 'my-vllm a/b -@http://10.0.0.7:8000/v1'],
    ['default', 'groq llama-3 gsk@https://api.groq.com/openai/v1'],
    ['', 'groq llama-3 gsk@https://api.groq.com/openai/v1'],
  ])('%p is answered by %p', (name, expected) => {
    expect(resolve(setup, name)).toBe(expected);
  });

  test('a run by custom-llm-provider is the request’s: without its headers the name means another model', () => {
    const { credentials } = setUp(setup).resolve('m', { 'custom-llm-provider': 'groq' });
    expect(credentials).toMatchObject({ apiKey: 'gsk', fromRequest: true });
  });

  test('an alias is not looked for where a request says who answers', () => {
    expect(resolve(setup, 'fast', { 'custom-llm-provider': 'groq' })).toStartWith('groq fast ');
  });

  test('a model that may not be asked for is a 404, whatever key a request has', () => {
    const allowed: Setup = {
      env: { ...OPENAI, MY_GROQ: 'gsk' },
      sections: { ...sections, 'allowed-models': ['gpt-4o', 'my-vllm/*', 'openai/gpt-5*'] },
    };
    expect(resolve(allowed, 'gpt-4o')).toStartWith('my-vllm qwen');
    expect(resolve(allowed, 'gpt-3.5-turbo')).toStartWith('my-vllm small');
    expect(resolve(allowed, 'groq/llama-3')).toBe('404 model_not_found');
    expect(resolve(allowed, 'groq/llama-3', { 'api-key': 'k' })).toBe('404 model_not_found');
    const openAi: Setup = { env: OPENAI, sections: { 'allowed-models': ['openai/gpt-5*'] } };
    expect(resolve(openAi, 'gpt-5-mini')).toBe('default gpt-5-mini sk-o@-');
    expect(resolve(openAi, 'gpt-4o')).toBe('404 model_not_found');
    expect(resolve(openAi, 'understudy/rehearsal')).toStartWith('default understudy/rehearsal');
  });

  test('a name that may be asked for opens no other provider, whatever the headers say', () => {
    const localServer = { kind: 'ollama', baseUrl: 'http://127.0.0.1:11434/v1' } as const;
    const sections = { 'allowed-models': ['ollama/*', 'gpt-4o'] };
    const allowed: Setup = { localServer, env: OPENAI, sections };
    expect(resolve(allowed, 'ollama/llama3')).toStartWith('ollama llama3 ');
    expect(resolve(allowed, 'gpt-4o')).toStartWith('default gpt-4o ');
    const key = { 'api-key': 'k' };
    for (const headers of [
      { ...key, 'custom-llm-provider': 'groq' },
      { ...key, 'base-url': 'https://api.groq.com/openai/v1' },
      { ...key, 'llm-param-custom-llm-provider': 'groq' },
    ]) {
      expect(resolve(allowed, 'ollama/llama3', headers)).toBe('404 model_not_found');
      expect(resolve(allowed, 'gpt-4o', headers)).toBe('404 model_not_found');
    }
    // The same provider, named in another way.
    expect(resolve(allowed, 'gpt-4o', { 'custom-llm-provider': 'openai' })).toStartWith('default gpt-4o ');
    const openAi = { ...key, 'base-url': 'https://api.openai.com/v1' };
    expect(resolve(allowed, 'gpt-4o', openAi)).toContain('gpt-4o');
  });
});

describe('what is listed', () => {
  const listing = (id: string, models: readonly string[]): Provider => ({
    ...createNamedProvider(id),
    listModels: async () => models.map((model) => ({ id: model, created: 0, ownedBy: id })),
  });

  async function list(setup: Setup, headers: RequestHeaders = {}): Promise<string[]> {
    const { env = {}, sections, localServer = null } = setup;
    const { settings } = readModelSettings({
      env,
      readFile: () => '',
      sections: sections ?? null,
      allowedHosts: [],
      ownModels: [],
    });
    const router = createRouter({
      openai: listing('openai', ['gpt-4o', 'gpt-5']),
      protocols: { anthropic: listing('anthropic', ['claude-3']) },
      rehearsal: listing('understudy', ['understudy/rehearsal']),
      operator: { apiKey: env.OPENAI_API_KEY ?? null, baseUrl: env.OPENAI_BASE_URL ?? null },
      settings,
      localServer,
      policy: { allowedHosts: [], allowLoopback: true },
    });
    const names = [...(router.aliases ?? [])];
    for (const { provider, prefix, credentials } of router.available(headers)) {
      const call: CallOptions = { credentials, signal: new AbortController().signal, requestId: 'r' };
      for (const { id } of await provider.listModels(call)) names.push(prefix + id);
    }
    return names;
  }

  const GROQ_MODELS = ['groq/gpt-4o', 'groq/gpt-5'];

  test.each<[string, Setup, RequestHeaders, string[]]>([
    ['nothing but the built-in where nothing is set', {}, {}, []],
    ['OpenAI’s without a prefix', { env: OPENAI }, {}, ['gpt-4o', 'gpt-5']],
    [
      'each provider’s with a key',
      { env: { ...GROQ, ANTHROPIC_API_KEY: 'a' } },
      {},
      ['anthropic/claude-3', ...GROQ_MODELS],
    ],
    [
      'not those of a key that nobody named',
      { env: GROQ },
      { 'api-key': 'k' },
      ['gpt-4o', 'gpt-5', ...GROQ_MODELS],
    ],
    ['those of a key that is named', {}, { 'llm-param-groq-api-key': 'k' }, GROQ_MODELS],
    [
      'the one that the request names',
      { env: OPENAI },
      { 'custom-llm-provider': 'groq', 'api-key': 'k' },
      GROQ_MODELS,
    ],
    [
      'what the file lists',
      { sections: { providers: { mine: { 'base-url': 'http://x.example', models: ['a/b'] } } } },
      {},
      ['mine/a/b'],
    ],
    [
      'aliases, but no patterns',
      { env: GROQ, sections: { aliases: { fast: 'groq/x', 'gpt-*': 'groq/x' } } },
      {},
      ['fast', ...GROQ_MODELS],
    ],
    [
      'only what may be asked for',
      {
        env: { ...OPENAI, ...GROQ },
        sections: {
          aliases: { fast: 'groq/x', slow: 'xai/x' },
          'allowed-models': ['openai/gpt-5', 'groq/gpt-4o', 'fast'],
        },
      },
      {},
      ['fast', 'gpt-5', 'groq/gpt-4o'],
    ],
  ])('%s', async (_, setup, headers, expected) => {
    expect((await list(setup, headers)).filter((name) => name !== 'understudy/rehearsal')).toEqual(expected);
  });
});

describe('models that are tried one after the other', () => {
  const KINDS = [
    ['bad', 'server'],
    ['wrong', 'invalid_request'],
    ['stale', 'authentication'],
  ] as const;

  /** Says by whom and with which key it was asked, and fails where the key says so. */
  function createAsked(id: string, asked: string[]): Provider {
    const check = (model: unknown, { credentials }: CallOptions): void => {
      const { apiKey, style } = credentials;
      asked.push(`${style?.provider ?? 'default'} ${String(model)} ${apiKey ?? '-'}`);
      const kind = KINDS.find(([start]) => apiKey?.startsWith(start))?.[1] ?? null;
      if (kind !== null)
        throw new ProviderError(kind, `${id} fails`, { status: kind === 'server' ? 503 : 400 });
    };
    return {
      id,
      async *chat(request: ChatRequest, options): AsyncGenerator<ChatEvent, void, undefined> {
        check(request.model, options);
        yield { type: 'text', text: 'half' };
        if (options.credentials.apiKey?.startsWith('breaks')) throw new ProviderError('connection', 'broke');
        yield { type: 'finish', reason: 'stop' };
      },
      async relay(_, body, options) {
        check(body.model, options);
        return Response.json({ by: options.credentials.style?.provider });
      },
      listModels: async () => [],
    };
  }

  function setUpAsked(env: Readonly<Record<string, string>>) {
    const asked: string[] = [];
    const { settings } = readModelSettings({
      env,
      readFile: () => '',
      sections: {
        aliases: {
          best: ['groq/a', 'cerebras/b', 'xai/c'],
          vectors: ['groq/org/Bge', 'cerebras/other', 'xai/bge'],
        },
      },
      allowedHosts: [],
      ownModels: [],
    });
    const router = createRouter({
      openai: createAsked('openai', asked),
      rehearsal: createNamedProvider('understudy'),
      operator: { apiKey: null, baseUrl: null },
      settings,
      localServer: null,
      policy: { allowedHosts: [], allowLoopback: true },
    });
    return { asked, router };
  }

  async function ask(
    router: ReturnType<typeof setUpAsked>['router'],
    headers: RequestHeaders = {},
  ): Promise<string> {
    const { provider, model, credentials } = router.resolve('best', headers);
    const call: CallOptions = { credentials, signal: new AbortController().signal, requestId: 'r' };
    const events: string[] = [];
    try {
      for await (const event of provider.chat({ model, messages: [] }, call)) events.push(event.type);
    } catch (error) {
      events.push(error instanceof ProviderError ? error.kind : String(error));
    }
    return events.join(' ');
  }

  test('the next one is asked with its own key when one fails before its first word', async () => {
    const { asked, router } = setUpAsked({
      GROQ_API_KEY: 'bad1',
      CEREBRAS_API_KEY: 'bad2',
      XAI_API_KEY: 'good',
    });
    expect(await ask(router)).toBe('text finish');
    expect(asked).toEqual(['groq a bad1', 'cerebras b bad2', 'xai c good']);
  });

  async function relay(
    env: Readonly<Record<string, string>>,
    path: 'chat/completions' | 'embeddings',
    name: string,
  ) {
    const { router, asked } = setUpAsked(env);
    const { provider, model, credentials } = router.resolve(name, {});
    const call: CallOptions = { credentials, signal: new AbortController().signal, requestId: 'r' };
    const result = await provider.relay(path, { model }, call).then(
      async (response): Promise<unknown> => Object.values(toRecord(await response.json()) ?? {})[0],
      (error: ProviderError) => error.kind,
    );
    return { result, asked };
  }

  test('requests that are handed through too', async () => {
    const { result } = await relay({ GROQ_API_KEY: 'bad1', XAI_API_KEY: 'good' }, 'chat/completions', 'best');
    expect(result).toBe('xai');
  });

  test('embeddings are asked of other providers of the same model, and never of another model', async () => {
    const env = { GROQ_API_KEY: 'bad1', CEREBRAS_API_KEY: 'good', XAI_API_KEY: 'good' };
    expect(await relay(env, 'embeddings', 'vectors')).toEqual({
      result: 'xai',
      asked: ['groq org/Bge bad1', 'xai bge good'],
    });
    expect(await relay(env, 'embeddings', 'best')).toEqual({ result: 'server', asked: ['groq a bad1'] });
  });

  test('one without a key is left out, and where none has one the first is complained of', () => {
    expect(toText(setUpAsked({ XAI_API_KEY: 'good' }).router.resolve('best', {}))).toStartWith('xai c good');
    expect(() => setUpAsked({}).router.resolve('best', {})).toThrow(/GROQ_API_KEY/);
  });

  test('none is asked after a first word, nor for a request that is wrong in itself', async () => {
    const broken = setUpAsked({ GROQ_API_KEY: 'breaks', XAI_API_KEY: 'good' });
    expect(await ask(broken.router)).toBe('text connection');
    expect(broken.asked).toHaveLength(1);
    const wrong = setUpAsked({ GROQ_API_KEY: 'wrong', XAI_API_KEY: 'good' });
    expect(await ask(wrong.router)).toBe('invalid_request');
    expect(wrong.asked).toHaveLength(1);
  });

  test('the last failure is the one that is told', async () => {
    const { asked, router } = setUpAsked({ GROQ_API_KEY: 'bad1', XAI_API_KEY: 'bad2' });
    expect(await ask(router)).toBe('server');
    expect(asked).toHaveLength(2);
  });

  test('a key that is refused is the operator’s affair where it is his, and the request’s where it came with it', async () => {
    const operators = setUpAsked({ GROQ_API_KEY: 'stale', XAI_API_KEY: 'good' });
    expect(await ask(operators.router)).toBe('text finish');
    const requests = setUpAsked({ XAI_API_KEY: 'good' });
    expect(await ask(requests.router, { 'api-key': 'stale-mine' })).toBe('authentication');
    expect(requests.asked).toEqual(['groq a stale-mine']);
  });

  test('a request’s key goes to the first alone', async () => {
    const { asked, router } = setUpAsked({ XAI_API_KEY: 'good' });
    expect(await ask(router, { 'api-key': 'bad-mine' })).toBe('text finish');
    expect(asked).toEqual(['groq a bad-mine', 'xai c good']);
  });
});

describe('fields in headers', () => {
  test('LLM-PARAM-temperature and the like reach the model as fields, and win over the request’s', async () => {
    const bodies: unknown[] = [];
    const provider: Provider = {
      ...createNamedProvider('openai'),
      async relay(path, body) {
        bodies.push([path, body]);
        return new Response();
      },
    };
    const router = createRouter({
      openai: provider,
      rehearsal: provider,
      operator: { apiKey: 'sk', baseUrl: null },
      localServer: null,
      policy: { allowedHosts: [], allowLoopback: true },
    });
    const headers = {
      'llm-param-temperature': '0.2',
      'llm-param-max_tokens': '7',
      'llm-param-stop': '["a","b"]',
      'llm-param-unknown': 'x',
    };
    const resolved = router.resolve('gpt-4o', headers);
    const call: CallOptions = {
      credentials: resolved.credentials,
      signal: new AbortController().signal,
      requestId: 'r',
    };
    const body = { temperature: 1, max_completion_tokens: 9, messages: [] };
    await resolved.provider.relay('chat/completions', body, call);
    await resolved.provider.relay('embeddings', { input: 'x' }, call);
    expect(bodies).toEqual([
      ['chat/completions', { temperature: 0.2, max_tokens: 7, stop: ['a', 'b'], messages: [] }],
      ['embeddings', { input: 'x' }],
    ]);
  });

  test.each([
    ['llm-param-temperature', 'hot'],
    ['llm-param-max-tokens', '1.5'],
    ['llm-param-logprobs', 'maybe'],
    ['llm-param-stop', '[1'],
  ])('%s: %s is a 400 that names the header', (header, value) => {
    expect(() => setUp({ env: OPENAI }).resolve('gpt-4o', { [header]: value })).toThrow(new RegExp(header));
  });
});
