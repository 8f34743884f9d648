import { describe, expect, test } from 'bun:test';
import { ApiError } from '../../src/errors.ts';
import { type Provider, ProviderError, type RequestHeaders } from '../../src/providers/provider.ts';
import { parseOperatorBaseUrl, parseRequestBaseUrl } from '../../src/providers/routing/base-url.ts';
import { createRouter, type RouterOptions } from '../../src/providers/routing/router.ts';

/** Only told apart, never called. */
function createNamedProvider(id: string): Provider {
  const fail = (): never => {
    throw new Error('A router calls no provider.');
  };
  return { id, relay: fail, listModels: fail, chat: fail };
}

const openai = createNamedProvider('openai');
const rehearsal = createNamedProvider('understudy');

type Setup = Partial<Omit<RouterOptions, 'openai' | 'rehearsal'>>;

function setUp(setup: Setup = {}) {
  return createRouter({
    openai,
    rehearsal,
    operator: { apiKey: null, baseUrl: null },
    localServer: null,
    policy: { allowedHosts: ['llm.example.com', 'gateway.example.com:8443'], allowLoopback: true },
    ...setup,
  });
}

const LOCAL: Setup = { localServer: { kind: 'ollama', baseUrl: 'http://127.0.0.1:11434/v1' } };
const KEY: Setup = { operator: { apiKey: 'sk-operator', baseUrl: null } };
const BASE: Setup = { operator: { apiKey: null, baseUrl: 'http://10.0.0.5:8000/v1/' } };
const BOTH: Setup = { operator: { apiKey: 'sk-operator', baseUrl: 'https://llm.example.com/v1' } };
const bearer = (key: string): RequestHeaders => ({ authorization: `Bearer ${key}` });
const at = (url: string, key?: string): RequestHeaders => ({
  'base-url': url,
  ...(key === undefined ? {} : bearer(key)),
});

describe('router', () => {
  const rules: [
    string,
    Setup,
    RequestHeaders,
    { apiKey: string | null; baseUrl: string | null; fromRequest: boolean; baseUrlFromRequest?: true },
  ][] = [
    [
      'the operator’s key goes to OpenAI',
      KEY,
      {},
      { apiKey: 'sk-operator', baseUrl: null, fromRequest: false },
    ],
    [
      'the operator’s base URL serves without a key',
      BASE,
      {},
      { apiKey: null, baseUrl: 'http://10.0.0.5:8000/v1', fromRequest: false },
    ],
    [
      'the operator’s key goes to the operator’s base URL',
      BOTH,
      {},
      { apiKey: 'sk-operator', baseUrl: 'https://llm.example.com/v1', fromRequest: false },
    ],
    [
      'what is configured wins over a server that was found',
      { ...KEY, ...LOCAL },
      {},
      { apiKey: 'sk-operator', baseUrl: null, fromRequest: false },
    ],
    [
      'a server that was found serves when nothing else is there',
      LOCAL,
      {},
      { apiKey: null, baseUrl: 'http://127.0.0.1:11434/v1', fromRequest: false },
    ],
    [
      'the key understudy counts as none',
      LOCAL,
      bearer('understudy'),
      { apiKey: null, baseUrl: 'http://127.0.0.1:11434/v1', fromRequest: false },
    ],
    [
      'an empty key counts as none',
      KEY,
      { authorization: 'Bearer ' },
      { apiKey: 'sk-operator', baseUrl: null, fromRequest: false },
    ],
    [
      'another scheme than Bearer counts as none',
      KEY,
      { authorization: 'Basic dXNlcjpwYXNz' },
      { apiKey: 'sk-operator', baseUrl: null, fromRequest: false },
    ],
    [
      'a request’s key wins over the operator’s, and goes to the operator’s base URL',
      BOTH,
      bearer('sk-mine'),
      { apiKey: 'sk-mine', baseUrl: 'https://llm.example.com/v1', fromRequest: true },
    ],
    [
      'a request’s key goes to OpenAI where no base URL is configured',
      KEY,
      bearer('sk-mine'),
      { apiKey: 'sk-mine', baseUrl: null, fromRequest: true },
    ],
    [
      'a request’s key means OpenAI, not a server that happens to run here',
      LOCAL,
      bearer('sk-mine'),
      { apiKey: 'sk-mine', baseUrl: null, fromRequest: true },
    ],
    [
      'a scheme in any case is a scheme',
      {},
      { authorization: 'bearer  sk-mine ' },
      { apiKey: 'sk-mine', baseUrl: null, fromRequest: true },
    ],
    [
      'a request’s base URL never gets the operator’s key',
      BOTH,
      at('http://127.0.0.1:9999/v1/'),
      { apiKey: null, baseUrl: 'http://127.0.0.1:9999/v1', fromRequest: true, baseUrlFromRequest: true },
    ],
    [
      'not even the operator’s own base URL gets it when a request names it',
      BOTH,
      at('https://llm.example.com/v1'),
      { apiKey: null, baseUrl: 'https://llm.example.com/v1', fromRequest: true, baseUrlFromRequest: true },
    ],
    [
      'nor does OpenAI',
      KEY,
      at('https://api.openai.com/v1'),
      { apiKey: null, baseUrl: 'https://api.openai.com/v1', fromRequest: true, baseUrlFromRequest: true },
    ],
    [
      'a request’s base URL gets the request’s key',
      BOTH,
      at('http://localhost:9999', 'sk-mine'),
      { apiKey: 'sk-mine', baseUrl: 'http://localhost:9999', fromRequest: true, baseUrlFromRequest: true },
    ],
    [
      'a base URL with the key understudy goes without a key',
      BOTH,
      at('http://localhost:9999', 'understudy'),
      { apiKey: null, baseUrl: 'http://localhost:9999', fromRequest: true, baseUrlFromRequest: true },
    ],
    [
      'an empty base URL counts as none',
      KEY,
      { 'base-url': ' ' },
      { apiKey: 'sk-operator', baseUrl: null, fromRequest: false },
    ],
    [
      'settings are trimmed: variables often end in a line’s end',
      { operator: { apiKey: ' sk-operator\n', baseUrl: '' } },
      {},
      { apiKey: 'sk-operator', baseUrl: null, fromRequest: false },
    ],
  ];

  test.each(rules)('%s', (_, setup, headers, credentials) => {
    expect(setUp(setup).resolve('gpt-4o', headers)).toEqual({
      provider: openai,
      model: 'gpt-4o',
      credentials,
    });
  });

  test('with nothing to answer says what to set', () => {
    const resolve = () => setUp().resolve('gpt-4o', {});
    expect(resolve).toThrow(ProviderError);
    expect(resolve).toThrow(/OPENAI_API_KEY.*OPENAI_BASE_URL.*Ollama.*understudy\/rehearsal/);
    try {
      resolve();
    } catch (error) {
      expect(error).toMatchObject({ kind: 'not_configured' });
    }
  });

  test('answers the rehearsal model itself, whatever is configured, and hands it no key', () => {
    for (const setup of [{}, BOTH, LOCAL]) {
      const resolved = setUp(setup).resolve('understudy/rehearsal', at('https://evil.example', 'sk-mine'));
      expect(resolved.provider).toBe(rehearsal);
      expect(resolved.credentials).toEqual({ apiKey: null, baseUrl: null, fromRequest: false });
    }
  });

  test('knows no other built-in model, and sends none of them upstream', () => {
    expect(() => setUp(BOTH).resolve('understudy/other', {})).toThrow(ProviderError);
  });

  test.each([
    ['openai/gpt-4o', KEY, {}, 'gpt-4o'],
    ['openai/gpt-4o', {}, bearer('sk-mine'), 'gpt-4o'],
    ['openai/gpt-4o', {}, at('https://api.openai.com/v1', 'k'), 'gpt-4o'],
    ['openai/gpt-4o', { operator: { apiKey: null, baseUrl: 'https://eu.api.openai.com/v1' } }, {}, 'gpt-4o'],
    ['openai/gpt-4o', BOTH, {}, 'openai/gpt-4o'],
    ['openai/gpt-oss-20b', LOCAL, {}, 'openai/gpt-oss-20b'],
    ['meta-llama/Llama-3', BASE, {}, 'meta-llama/Llama-3'],
    ['llama3.2:1b', LOCAL, {}, 'llama3.2:1b'],
    ['ft:gpt-4o:org::id', KEY, {}, 'ft:gpt-4o:org::id'],
  ] as const)('sends the name %p as the upstream knows it (%#)', (model, setup, headers, expected) => {
    expect(setUp(setup).resolve(model, headers).model).toBe(expected);
  });

  test('lists the rehearsal model always, and the upstream where there is one', () => {
    expect(
      setUp()
        .available({})
        .map(({ provider }) => provider.id),
    ).toEqual(['understudy']);
    const available = setUp(LOCAL).available({});
    expect(available.map(({ provider }) => provider.id)).toEqual(['understudy', 'openai']);
    expect(available[1]?.credentials.baseUrl).toBe('http://127.0.0.1:11434/v1');
    expect(() => setUp().available(at('http://evil.example'))).toThrow(ApiError);
  });

  test('does not ask this server itself, whoever points at it', () => {
    const isSelf = (baseUrl: string) => baseUrl.startsWith('http://127.0.0.1:8700');
    const setup = {
      operator: { apiKey: null, baseUrl: 'http://127.0.0.1:8700/v1' },
      policy: { allowedHosts: [], allowLoopback: true, isSelf },
    };
    expect(() => setUp(setup).resolve('gpt-4o', {})).toThrow(/No language model is configured/);
    expect(() => setUp(setup).resolve('gpt-4o', at('http://127.0.0.1:8700/v1'))).toThrow(ApiError);
  });
});

describe('base-url of a request', () => {
  const policy = { allowedHosts: ['llm.example.com', 'Gateway.example.com:8443'], allowLoopback: true };

  test.each([
    ['http://127.0.0.1:11434/v1', 'http://127.0.0.1:11434/v1'],
    ['http://127.8.9.10/v1///', 'http://127.8.9.10/v1'],
    ['http://127.1:80/v1', 'http://127.0.0.1/v1'],
    ['http://0x7f000001/v1', 'http://127.0.0.1/v1'],
    ['http://2130706433:5000', 'http://127.0.0.1:5000'],
    ['http://[::1]:8000/v1', 'http://[::1]:8000/v1'],
    ['HTTP://LOCALHOST:1234/v1', 'http://localhost:1234/v1'],
    ['https://api.openai.com/v1', 'https://api.openai.com/v1'],
    ['https://llm.example.com', 'https://llm.example.com'],
    ['http://llm.example.com:9000/x', 'http://llm.example.com:9000/x'],
    ['https://gateway.example.com:8443/v1', 'https://gateway.example.com:8443/v1'],
  ])('%p is allowed', (text, expected) => {
    expect(parseRequestBaseUrl(text, policy)).toBe(expected);
  });

  test.each([
    ['http://169.254.169.254/latest/meta-data'],
    ['http://10.0.0.1/v1'],
    ['http://192.168.1.1/v1'],
    ['http://0.0.0.0:8000/v1'],
    ['http://[::]/v1'],
    ['http://[::ffff:10.0.0.1]/v1'],
    ['http://[fd00::1]/v1'],
    ['http://example.com/v1'],
    ['https://api.openai.com.evil.example/v1'],
    ['https://evil-api.openai.com/v1'],
    ['https://api.openai.com:8443/v1'],
    ['http://api.openai.com/v1'],
    ['http://localhost.evil.example/v1'],
    ['http://evil.localhost/v1'],
    ['http://127.0.0.1.nip.io/v1'],
    ['http://128.0.0.1/v1'],
    ['https://gateway.example.com/v1'],
    ['https://sub.llm.example.com/v1'],
    ['https://user:secret@llm.example.com/v1'],
    ['http://api.openai.com@127.0.0.1:80@evil.example/v1'],
    ['http://127.0.0.1/v1?x=1'],
    ['http://127.0.0.1/v1#x'],
    ['file:///etc/passwd'],
    ['ftp://127.0.0.1/'],
    ['gopher://127.0.0.1/'],
    ['unix:/var/run/docker.sock'],
    ['127.0.0.1:8000'],
    ['//127.0.0.1/v1'],
    ['not a url'],
    [`http://127.0.0.1/${'x'.repeat(3000)}`],
  ])('%p is a 400 that names base-url', (text) => {
    try {
      parseRequestBaseUrl(text, policy);
      throw new Error('It was allowed.');
    } catch (error) {
      expect(error).toBeInstanceOf(ApiError);
      expect(error).toMatchObject({ status: 400, param: 'base-url' });
      expect(String(error)).not.toContain('secret');
    }
  });

  test('on this machine is refused where who asks may sit elsewhere', () => {
    const closed = { allowedHosts: [], allowLoopback: false };
    for (const text of ['http://127.0.0.1:1/v1', 'http://localhost:1/v1', 'http://[::1]:1/v1']) {
      expect(() => parseRequestBaseUrl(text, closed)).toThrow(ApiError);
    }
  });

  test('the operator’s may lead anywhere by http or https', () => {
    expect(parseOperatorBaseUrl('http://10.0.0.1:8000/v1/')).toBe('http://10.0.0.1:8000/v1');
    expect(() => parseOperatorBaseUrl('10.0.0.1:8000')).toThrow();
    expect(() => parseOperatorBaseUrl('https://user:pass@host/v1')).toThrow();
  });
});

describe('what is remembered of choices', () => {
  test('is what the operator says alone: no request gets anything of another’s', () => {
    const router = setUp(BOTH);
    const mine = { apiKey: 'sk-mine', fromRequest: true };
    const own = { apiKey: 'sk-operator', fromRequest: false };
    for (const [headers, expected] of [
      [{}, own],
      [bearer('sk-mine'), mine],
      [{ 'api-key': 'sk-mine' }, mine],
      [{ 'llm-param-api-key': 'sk-mine' }, mine],
      [bearer('understudy'), own],
      [{}, own],
    ] as const) {
      expect(router.resolve('a-model', headers).credentials).toMatchObject(expected);
    }
  });

  test('is each model’s own, and what is refused is refused again', () => {
    const router = setUp(KEY);
    for (let round = 0; round < 2; round += 1) {
      expect(router.resolve('gpt-5', {}).model).toBe('gpt-5');
      expect(router.resolve('gpt-4o', {}).model).toBe('gpt-4o');
      expect(() => router.resolve('groq/llama', {})).toThrow(ProviderError);
    }
  });
});
