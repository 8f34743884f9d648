import { describe, expect, test } from 'bun:test';
import { readModelSettings } from '../../src/config/model-settings.ts';
import type { ModelSections } from '../../src/config/provider-config-schema.ts';
import { CATALOGUE, type ProviderEntry } from '../../src/providers/catalogue/catalogue.ts';
import { type Provider, ProviderError, type RequestHeaders } from '../../src/providers/provider.ts';
import { toEmbeddingHeaders, toParameterFields } from '../../src/providers/routing/embedding-headers.ts';
import { bindHeaders } from '../../src/providers/routing/request-credentials.ts';
import { readRequestParameters } from '../../src/providers/routing/request-parameters.ts';
import { createRouter } from '../../src/providers/routing/router.ts';

/** Only told apart, never called. */
const SILENT: Provider = {
  id: 'silent',
  chat: () => {
    throw new Error('A router calls no provider.');
  },
  relay: async () => new Response(),
  listModels: async () => [],
};

function setUp(env: Readonly<Record<string, string>>, sections: ModelSections | null = null) {
  const found = readModelSettings({
    env,
    readFile: () => 'operator-file-secret',
    sections,
    allowedHosts: [],
    ownModels: [],
  });
  return createRouter({
    openai: SILENT,
    rehearsal: SILENT,
    operator: { apiKey: env.OPENAI_API_KEY ?? null, baseUrl: null },
    settings: found.settings,
    localServer: null,
    policy: { allowedHosts: [], allowLoopback: true },
  });
}

/** Every variable of every provider, each with a value that says whose it is. */
const OPERATOR_ENV: Readonly<Record<string, string>> = Object.fromEntries(
  CATALOGUE.flatMap(({ id, keyVariables, parameters }) => [
    ...keyVariables.map((name) => [name, `operator-${id}`] as const),
    ...parameters.flatMap(({ name, variables, kind }) =>
      variables.map((variable) => [variable, kind === 'plain' ? 'plain' : `operator-${id}-${name}`] as const),
    ),
  ]),
);
const ADDRESSES: Readonly<Record<string, string>> = Object.fromEntries(
  CATALOGUE.filter(({ baseUrl }) => baseUrl === null).flatMap(({ id, baseUrlVariables: [name] }) =>
    name === undefined ? [] : [[name, `https://${id.replaceAll('_', '-')}.example/v1`]],
  ),
);

/** A header with a key of its own for every provider. */
const ALL_KEYS: RequestHeaders = {
  authorization: 'Bearer request-openai.',
  ...Object.fromEntries(
    CATALOGUE.flatMap(({ id }) =>
      id === 'openai' ? [] : [[`llm-param-${id.replaceAll(/[_.]/g, '-')}-api-key`, `request-${id}.`]],
    ),
  ),
  'llm-param-aws-secret-access-key': 'request-bedrock-secret.',
  'llm-param-vertex-credentials': 'request-vertex_ai-credentials.',
};
const ENTRIES = CATALOGUE.map((entry) => [entry.id, entry] as const);
/** What an address needs so that there is one. */
const PLACES: RequestHeaders = { 'llm-param-account-id': 'account' };

describe('of many keys only the right one travels', () => {
  test.each(ENTRIES)('%s gets its own of all in a request', (id) => {
    const { credentials } = setUp(ADDRESSES).resolve(`${id}/model`, { ...ALL_KEYS, ...PLACES });
    const text = JSON.stringify(credentials);
    expect(credentials.apiKey).toBe(`request-${id}.`);
    expect(credentials.fromRequest).toBe(true);
    for (const [, other] of text.matchAll(/request-([a-z0-9_]+)[.-]/g)) expect(other).toBe(id);
  });

  test.each(ENTRIES)('%s gets its own of all that the operator has', (id, entry: ProviderEntry) => {
    const { credentials } = setUp({ ...OPERATOR_ENV, ...ADDRESSES }).resolve(`${id}/model`, {});
    expect(credentials.apiKey).toBe(`operator-${id}`);
    expect(credentials.fromRequest).toBe(false);
    for (const other of JSON.stringify(credentials).match(/operator-[a-z0-9_]+/g) ?? []) {
      // Azure's token has one variable for both of its services.
      const isShared = entry.protocol === 'azure' && other.startsWith('operator-azure');
      expect(isShared ? `operator-${id}` : other).toBe(`operator-${id}`);
    }
  });

  test.each(ENTRIES)('%s gets nothing of the operator’s with a key of the request', (id) => {
    const headers = { 'api-key': 'request-key', ...PLACES };
    const { credentials } = setUp({ ...OPERATOR_ENV, ...ADDRESSES }).resolve(`${id}/model`, headers);
    expect(credentials.apiKey).toBe('request-key');
    expect(JSON.stringify(credentials)).not.toContain('operator-');
  });

  test.each(ENTRIES)('%s gets nothing of the operator’s at an address of the request', (id) => {
    const headers = { 'base-url': 'http://127.0.0.1:9/v1', ...PLACES };
    try {
      const { credentials } = setUp({ ...OPERATOR_ENV, ...ADDRESSES }).resolve(`${id}/model`, headers);
      expect(JSON.stringify(credentials)).not.toContain('operator-');
      expect(credentials).toMatchObject({ apiKey: null, baseUrlFromRequest: true });
    } catch (error) {
      if (!(error instanceof ProviderError)) throw error;
      expect(error.status).toBe(401);
    }
  });

  test('headers of the operator’s go to his own address, and to no other', () => {
    const router = setUp({}, { providers: { groq: { headers: { 'x-gate': 'operator-gate' } } } });
    const headersFor = (headers: RequestHeaders) =>
      router.resolve('groq/m', { 'api-key': 'k', ...headers }).credentials.style?.headers;
    expect(headersFor({})).toEqual({ 'x-gate': 'operator-gate' });
    expect(headersFor({ 'base-url': 'http://127.0.0.1:9' })).toEqual({});
    const openAi = setUp({}, { providers: { openai: { headers: { 'x-gate': 'operator-gate' } } } });
    const { credentials } = openAi.resolve('m', { 'base-url': 'http://127.0.0.1:9' });
    expect(JSON.stringify(credentials)).not.toContain('operator-');
  });

  test('a session token of the operator’s is not mixed with access keys of a request', () => {
    const env = {
      AWS_ACCESS_KEY_ID: 'op-id',
      AWS_SECRET_ACCESS_KEY: 'op-secret',
      AWS_SESSION_TOKEN: 'op-token',
    };
    const own = {
      'llm-param-aws-access-key-id': 'id',
      'llm-param-aws-secret-access-key': 'secret',
      'llm-param-aws-region-name': 'eu-west-1',
    };
    expect(
      setUp({ ...env, AWS_BEARER_TOKEN_BEDROCK: 'op-bearer' }).resolve('bedrock/m', own).credentials,
    ).toMatchObject({
      apiKey: null,
      parameters: {
        'aws-access-key-id': 'id',
        'aws-secret-access-key': 'secret',
        'aws-region-name': 'eu-west-1',
      },
    });
    const half = { 'llm-param-aws-access-key-id': 'id' };
    expect(() => setUp(env).resolve('bedrock/m', half)).toThrow(/There is no key for Amazon Bedrock/);
  });

  test('a region of the request goes with keys of the operator', () => {
    const env = { AWS_ACCESS_KEY_ID: 'op-id', AWS_SECRET_ACCESS_KEY: 'op-secret', AWS_REGION: 'us-west-2' };
    const region = (headers: RequestHeaders) =>
      setUp(env).resolve('bedrock/m', headers).credentials.parameters?.['aws-region-name'];
    expect(region({})).toBe('us-west-2');
    expect(region({ 'llm-param-aws-region-name': 'eu-west-1' })).toBe('eu-west-1');
  });

  test('an organization of the operator’s is not told to OpenAI with a key of a request', () => {
    const env = { OPENAI_API_KEY: 'op', OPENAI_ORG_ID: 'org-1' };
    expect(setUp(env).resolve('gpt-4o', {}).credentials.style?.headers).toEqual({
      'openai-organization': 'org-1',
    });
    expect(setUp(env).resolve('gpt-4o', { authorization: 'Bearer mine' }).credentials.style).toBeUndefined();
  });
});

describe('parameters of a request', () => {
  const names = (headers: RequestHeaders) => {
    const request = readRequestParameters(headers);
    return (name: string) => request.get(name);
  };

  test.each([
    ['llm-param-api_key', 'api-key'],
    ['llm-param-base_url', 'base-url'],
    ['llm-param-api-base', 'base-url'],
    ['llm-param-api_base', 'base-url'],
    ['llm-param-custom_llm_provider', 'custom-llm-provider'],
    ['llm-param-vertex_ai_project', 'vertex-project'],
    ['llm-param-vertexai-location', 'vertex-location'],
    ['vertexai-project', 'vertex-project'],
    ['vertexai-location', 'vertex-location'],
    ['api-version', 'api-version'],
    ['llm-param-aws_region_name', 'aws-region-name'],
  ])('%s is %s', (header, name) => {
    expect(names({ [header]: ' value ' })(name)).toBe('value');
  });

  test('are none where they are empty, or the key that stands for none', () => {
    const get = names({
      'api-key': 'understudy',
      'llm-param-base-url': '  ',
      'llm-param-groq-api-key': 'understudy',
    });
    expect([get('api-key'), get('base-url'), get('groq-api-key')]).toEqual([null, null, null]);
  });

  test('an empty one of LLM-PARAM leaves the plain header', () => {
    expect(names({ 'api-key': 'plain', 'llm-param-api-key': '' })('api-key')).toBe('plain');
  });

  test('with names of JavaScript’s own are names like others', () => {
    expect(names({ 'llm-param-constructor': 'x', 'llm-param-__proto__': 'y' })('constructor')).toBe('x');
  });
});

describe('what is left of a request’s headers for its other models', () => {
  const bind = (model: string, headers: RequestHeaders, env: Readonly<Record<string, string>> = {}) =>
    bindHeaders(headers, setUp(env).resolve(model, headers).credentials);

  test('a key without a name becomes that of the provider that it was for', () => {
    expect(bind('groq/m', { 'api-key': 'g', authorization: 'Bearer o' })).toEqual({
      'llm-param-groq-api-key': 'g',
      authorization: 'Bearer o',
    });
    expect(bind('together_ai/m', { 'api-key': 'plain', 'llm-param-api_key': 't' })).toEqual({
      'llm-param-together-ai-api-key': 't',
    });
  });

  test('so that the same provider gets it again, and another one does not', () => {
    const headers = toEmbeddingHeaders(bind('cohere/command-r', { 'api-key': 'c' }));
    expect(setUp({}).resolve('cohere/embed-v4.0', headers).credentials.apiKey).toBe('c');
    expect(() => setUp({}).resolve('voyage/voyage-3.5', headers)).toThrow(/no key for Voyage/);
    expect(setUp({ VOYAGE_API_KEY: 'op' }).resolve('voyage/voyage-3.5', headers).credentials.apiKey).toBe(
      'op',
    );
  });

  test('an address is bound too, and custom-llm-provider is gone', () => {
    const headers = { 'base-url': 'http://127.0.0.1:9', 'custom-llm-provider': 'groq', 'api-key': 'k' };
    const bound = bind('m', headers);
    expect(bound).toEqual({ 'llm-param-groq-api-key': 'k', 'llm-param-groq-base-url': 'http://127.0.0.1:9' });
    expect(setUp({}).resolve('groq/other', bound).credentials.baseUrl).toBe('http://127.0.0.1:9');
  });

  test('the default upstream of a request serves its other models as well', () => {
    const bound = bind('local-model', { 'base-url': 'http://127.0.0.1:9/v1', 'api-key': 'k' });
    const { credentials } = setUp({}).resolve('bge-m3', toEmbeddingHeaders(bound));
    expect(credentials).toMatchObject({ apiKey: 'k', baseUrl: 'http://127.0.0.1:9/v1' });
  });

  test('nothing changes where nothing came with the request', () => {
    const headers = { 'x-other': '1' };
    expect(bind('groq/m', headers, { GROQ_API_KEY: 'op' })).toBe(headers);
  });
});

describe('headers for the embedding model', () => {
  test('its own parameters stand where the language model has its own', () => {
    expect(
      toEmbeddingHeaders({
        authorization: 'Bearer o',
        'llm-param-api-key': 'chat',
        'llm-param-temperature': '1',
        'llm-param-aws-region-name': 'eu-west-1',
        'llm-param-groq-api-key': 'g',
        'embedding-param-aws_access_key_id': 'id',
        'embedding-param-input-type': 'query',
        'x-other': 'kept',
      }),
    ).toEqual({
      authorization: 'Bearer o',
      'llm-param-aws-region-name': 'eu-west-1',
      'llm-param-groq-api-key': 'g',
      'llm-param-aws-access-key-id': 'id',
      'x-other': 'kept',
    });
  });

  test('a key or an address of its own leaves no other key', () => {
    const others = { authorization: 'Bearer o', 'api-key': 'chat', 'base-url': 'http://chat.example' };
    expect(toEmbeddingHeaders({ ...others, 'embedding-param-api-key': 'e' })).toEqual({
      'base-url': 'http://chat.example',
      'llm-param-api-key': 'e',
    });
    expect(toEmbeddingHeaders({ ...others, 'embedding-param-base-url': 'http://e.example' })).toEqual({
      'llm-param-base-url': 'http://e.example',
    });
  });

  test('what says nothing of who answers becomes fields of the request', () => {
    const headers = {
      'embedding-param-input_type': 'query',
      'embedding-param-truncate': 'true',
      'embedding-param-user': '12',
      'embedding-param-api-key': 'k',
      'embedding-param-cohere-api-key': 'k',
      'embedding-param-model': 'm',
    };
    expect(toParameterFields(headers)).toEqual({ input_type: 'query', truncate: true, user: 12 });
  });
});
