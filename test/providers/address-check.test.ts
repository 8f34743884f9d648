import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import {
  type AddressPolicy,
  classifyAddress,
  createAddressCheck,
  type LookUp,
} from '../../src/providers/outbound/address-check.ts';
import { createUpstream, type FetchPort, type UpstreamCall } from '../../src/providers/outbound/upstream.ts';
import { AUTHORITY, CERTIFICATE, CERTIFICATE_KEY } from '../support/certificate.ts';
import { catchProviderError } from '../support/provider-calls.ts';

const STRICT: AddressPolicy = { allowLoopback: false, isNamed: () => false };
const never = new AbortController().signal;

function toCall(url: string, more: Partial<UpstreamCall> = {}): UpstreamCall {
  return {
    method: 'GET',
    url,
    apiKey: 'sk-pinned-key',
    accept: '*/*',
    requestId: 'req_x',
    hostFromRequest: true,
    signal: never,
    ...more,
  };
}

/** Answers each look-up with the next list, the last one again and again. */
function playLookUps(...answers: readonly (readonly string[])[]): { lookUp: LookUp; names: string[] } {
  const names: string[] = [];
  return {
    names,
    lookUp: async (name) => {
      names.push(name);
      return answers[Math.min(names.length, answers.length) - 1] ?? [];
    },
  };
}

function check(url: string, addresses: readonly string[], policy: AddressPolicy = STRICT) {
  const options = { timeoutMs: 1000, signal: never };
  return createAddressCheck({ policy, lookUp: async () => addresses })(new URL(url), options);
}

describe('an address', () => {
  test.each([
    ['8.8.8.8', 'public'],
    ['100.63.255.255', 'public'],
    ['100.128.0.1', 'public'],
    ['172.15.255.255', 'public'],
    ['172.32.0.1', 'public'],
    ['223.255.255.255', 'public'],
    ['2606:4700::1111', 'public'],
    ['::ffff:8.8.8.8', 'public'],
    ['64:ff9b::808:808', 'public'],
    ['127.0.0.1', 'loopback'],
    ['127.255.255.254', 'loopback'],
    ['::1', 'loopback'],
    ['::ffff:127.0.0.1', 'loopback'],
    ['::ffff:7f00:1', 'loopback'],
    ['64:ff9b::7f00:1', 'loopback'],
    ['10.0.0.1', 'private'],
    ['172.16.0.1', 'private'],
    ['172.31.255.255', 'private'],
    ['192.168.1.1', 'private'],
    ['100.64.0.1', 'private'],
    ['100.127.255.255', 'private'],
    ['fd12:3456::1', 'private'],
    ['::ffff:10.1.2.3', 'private'],
    ['169.254.169.254', 'link-local'],
    ['169.254.170.2', 'link-local'],
    ['100.100.100.200', 'link-local'],
    ['192.0.0.192', 'link-local'],
    ['168.63.129.16', 'link-local'],
    ['fd00:ec2::254', 'link-local'],
    ['fe80::1', 'link-local'],
    ['fe80::1%eth0', 'link-local'],
    ['::ffff:169.254.169.254', 'link-local'],
    ['64:ff9b::a9fe:a9fe', 'link-local'],
    ['0.0.0.0', 'unusable'],
    ['0.1.2.3', 'unusable'],
    ['::', 'unusable'],
    ['::ffff:0.0.0.0', 'unusable'],
    ['::7f00:1', 'unusable'],
    ['192.0.2.1', 'unusable'],
    ['198.18.0.1', 'unusable'],
    ['203.0.113.9', 'unusable'],
    ['224.0.0.1', 'unusable'],
    ['239.255.255.250', 'unusable'],
    ['240.0.0.1', 'unusable'],
    ['255.255.255.255', 'unusable'],
    ['ff02::1', 'unusable'],
    ['fec0::1', 'unusable'],
    ['2001:db8::1', 'unusable'],
    ['2001:0:7f00:1::', 'unusable'],
    ['2002:7f00:1::', 'unusable'],
    ['64:ff9b:1::7f00:1', 'unusable'],
    ['not an address', 'unusable'],
    ['', 'unusable'],
  ] as const)('%p is %p', (address, kind) => {
    expect(classifyAddress(address)).toBe(kind);
  });
});

describe('a host that a request names', () => {
  test.each([
    'http://2130706433/v1',
    'http://0x7f000001/v1',
    'http://017700000001/v1',
    'http://127.1/v1',
    'http://[::ffff:127.0.0.1]/v1',
    'http://0/v1',
    'http://169.254.169.254/latest/meta-data',
    'http://[fd00:ec2::254]/latest',
    'http://10.0.0.1/v1',
    'http://192.168.0.1:8000/v1',
    'http://100.64.0.1/v1',
    'http://[fe80::1]/v1',
    'http://224.0.0.1/v1',
  ])('as %p is refused, and nothing is looked up', async (url) => {
    const { lookUp, names } = playLookUps(['8.8.8.8']);
    const run = createAddressCheck({ policy: STRICT, lookUp })(new URL(url), {
      timeoutMs: 1000,
      signal: never,
    });
    expect(await catchProviderError(run)).toMatchObject({ kind: 'invalid_request', param: 'base-url' });
    expect(names).toEqual([]);
  });

  test.each([['127.0.0.1'], ['10.0.0.7'], ['169.254.169.254'], ['0.0.0.0'], ['::1'], ['::ffff:10.0.0.7']])(
    'that resolves to %p is refused without saying so',
    async (address) => {
      const error = await catchProviderError(check('https://model.example/v1', [address]));
      expect(error).toMatchObject({ kind: 'invalid_request', param: 'base-url', isRetryable: false });
      expect(error.message).not.toContain(address);
    },
  );

  test('is refused where one of its addresses may not be, whatever the others are', async () => {
    const error = await catchProviderError(check('https://model.example/v1', ['8.8.8.8', '10.0.0.1']));
    expect(error.kind).toBe('invalid_request');
  });

  test('is this machine only where that is allowed', async () => {
    const open: AddressPolicy = { allowLoopback: true, isNamed: () => false };
    expect(await check('http://localhost:1234/v1', ['::1', '127.0.0.1'], open)).toEqual(['127.0.0.1', '::1']);
    expect(await check('http://127.0.0.1:1234/v1', [], open)).toBeNull();
    await catchProviderError(check('http://localhost:1234/v1', ['127.0.0.1']));
    const named: AddressPolicy = { allowLoopback: false, isNamed: (host) => host === 'localhost:1234' };
    expect(await check('http://localhost:1234/v1', ['127.0.0.1'], named)).toEqual(['127.0.0.1']);
  });

  test('may lie in a private network where the operator named it, by host or with its port', async () => {
    const named = (host: string): AddressPolicy => ({ allowLoopback: false, isNamed: (it) => it === host });
    expect(await check('http://llm.intern:8000/v1', ['10.0.0.5'], named('llm.intern'))).toEqual(['10.0.0.5']);
    expect(await check('http://llm.intern:8000/v1', ['10.0.0.5'], named('llm.intern:8000'))).toEqual([
      '10.0.0.5',
    ]);
    await catchProviderError(check('http://llm.intern:8001/v1', ['10.0.0.5'], named('llm.intern:8000')));
    // A name of his that turns to the metadata service, or to this machine, is not what he meant.
    await catchProviderError(check('http://llm.intern/v1', ['169.254.169.254'], named('llm.intern')));
    await catchProviderError(check('http://llm.intern/v1', ['127.0.0.1'], named('llm.intern')));
    expect(await check('http://169.254.0.9/v1', [], named('169.254.0.9'))).toBeNull();
  });

  test('that is not found is a connection error; one that is looked for too long a timeout', async () => {
    const url = new URL('https://model.example/v1');
    const missing = createAddressCheck({
      policy: STRICT,
      lookUp: () => Promise.reject(new Error('ENOTFOUND')),
    });
    expect(await catchProviderError(missing(url, { timeoutMs: 1000, signal: never }))).toMatchObject({
      kind: 'connection',
      isRetryable: true,
    });
    const silent = createAddressCheck({ policy: STRICT, lookUp: () => new Promise(() => {}) });
    const late = await catchProviderError(silent(url, { timeoutMs: 5, signal: never }));
    expect(late.kind).toBe('timeout');
    const abort = new AbortController();
    const left = silent(url, { timeoutMs: 60_000, signal: abort.signal });
    const reason = new Error('gone');
    abort.abort(reason);
    expect(await left.catch((error: unknown) => error)).toBe(reason);
  });
});

describe('the address that was checked', () => {
  const seen: { url: string; init: BunFetchRequestInit }[] = [];
  const record: FetchPort = async (url, init) => {
    seen.push({ url, init });
    return new Response('{}');
  };

  test('is the one that is called, though the name says something else a moment later', async () => {
    seen.length = 0;
    const { lookUp, names } = playLookUps(['93.184.215.14'], ['127.0.0.1']);
    const send = createUpstream({
      fetch: record,
      probe: null,
      addressCheck: createAddressCheck({ policy: STRICT, lookUp, keptMs: 0 }),
    });
    (await send(toCall('https://rebind.example/v1/models'))).close();
    expect(names).toEqual(['rebind.example']);
    expect(seen).toHaveLength(1);
    expect(seen[0]).toMatchObject({
      url: 'https://93.184.215.14/v1/models',
      init: { headers: { host: 'rebind.example' }, tls: { serverName: 'rebind.example' }, proxy: false },
    });
    const error = await catchProviderError(send(toCall('https://rebind.example/v1/models')));
    expect(error).toMatchObject({ kind: 'invalid_request', param: 'base-url' });
    expect(seen).toHaveLength(1);
  });

  test('is asked for once in a while, not with each call', async () => {
    seen.length = 0;
    const { lookUp, names } = playLookUps(['93.184.215.14'], ['93.184.215.15']);
    const send = createUpstream({
      fetch: record,
      probe: null,
      addressCheck: createAddressCheck({ policy: STRICT, lookUp }),
    });
    for (let i = 0; i < 5; i += 1) (await send(toCall('https://kept.example/v1'))).close();
    expect(names).toEqual(['kept.example']);
    expect(new Set(seen.map(({ url }) => url)).size).toBe(1);
  });

  test('keeps port and path, in IPv6 as well', async () => {
    seen.length = 0;
    const { lookUp } = playLookUps(['2606:4700::1111']);
    const send = createUpstream({
      fetch: record,
      probe: null,
      addressCheck: createAddressCheck({ policy: STRICT, lookUp }),
    });
    (await send(toCall('http://model.example:8080/v1/models?x=1'))).close();
    expect(seen[0]).toMatchObject({
      url: 'http://[2606:4700::1111]:8080/v1/models?x=1',
      init: { headers: { host: 'model.example:8080' } },
    });
    expect(seen[0]?.init).not.toHaveProperty('tls');
  });

  test('is not looked for where the operator named the host', async () => {
    seen.length = 0;
    const { lookUp, names } = playLookUps(['127.0.0.1']);
    const send = createUpstream({
      fetch: record,
      probe: null,
      addressCheck: createAddressCheck({ policy: STRICT, lookUp }),
    });
    (await send(toCall('http://10.0.0.1/v1/models', { hostFromRequest: false }))).close();
    expect(names).toEqual([]);
    expect(seen[0]?.url).toBe('http://10.0.0.1/v1/models');
    expect(seen[0]?.init).not.toHaveProperty('proxy');
  });

  test('gives way to the next one when nothing answers there', async () => {
    const server = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: () => new Response('here') });
    try {
      const policy: AddressPolicy = { allowLoopback: true, isNamed: () => false };
      // Nobody listens on this address of the machine.
      const { lookUp } = playLookUps(['127.0.0.9', '127.0.0.1']);
      const send = createUpstream({ fetch, addressCheck: createAddressCheck({ policy, lookUp }) });
      const answer = await send(toCall(`http://two.example:${server.port}/v1`));
      expect(await answer.readText(100)).toBe('here');
    } finally {
      await server.stop(true);
    }
  });

  test('behind a proxy is the proxy’s to find, but names that lead inside are refused', async () => {
    seen.length = 0;
    const unknown: LookUp = () => Promise.reject(new Error('ENOTFOUND'));
    const proxied = (lookUp: LookUp) =>
      createUpstream({
        fetch: record,
        isProxied: true,
        addressCheck: createAddressCheck({ policy: STRICT, lookUp }),
      });
    (await proxied(unknown)(toCall('https://model.example/v1'))).close();
    (await proxied(async () => ['8.8.8.8'])(toCall('https://model.example/v1'))).close();
    expect(seen.map(({ url }) => url)).toEqual(['https://model.example/v1', 'https://model.example/v1']);
    expect(seen[0]?.init).not.toHaveProperty('proxy');
    await catchProviderError(proxied(async () => ['10.0.0.1'])(toCall('https://model.example/v1')));
    await catchProviderError(proxied(unknown)(toCall('http://127.0.0.1/v1')));
    expect(seen).toHaveLength(2);
  });
});

describe('a certificate', () => {
  let server: Bun.Server<undefined>;
  const hosts: (string | null)[] = [];
  beforeAll(() => {
    server = Bun.serve({
      port: 0,
      hostname: '127.0.0.1',
      tls: { cert: CERTIFICATE, key: CERTIFICATE_KEY },
      fetch(request) {
        hosts.push(request.headers.get('host'));
        return new Response('secure');
      },
    });
  });
  afterAll(() => server.stop(true));

  const send = (authority: string | null) =>
    createUpstream({
      fetch: (url, init) =>
        fetch(url, authority === null ? init : { ...init, tls: { ...init.tls, ca: authority } }),
      addressCheck: createAddressCheck({
        policy: { allowLoopback: true, isNamed: () => false },
        lookUp: async () => ['127.0.0.1'],
      }),
    });

  test('is checked against the name, not the address that is called', async () => {
    const answer = await send(AUTHORITY)(toCall(`https://model.example:${server.port}/v1`));
    expect(await answer.readText(100)).toBe('secure');
    expect(hosts.at(-1)).toBe(`model.example:${server.port}`);
  });

  test('of another name is refused, on a kept connection as well', async () => {
    const upstream = send(AUTHORITY);
    await (await upstream(toCall(`https://model.example:${server.port}/v1`))).readText(100);
    const error = await catchProviderError(upstream(toCall(`https://other.example:${server.port}/v1`)));
    expect(error).toMatchObject({ kind: 'connection', isRetryable: false });
    expect(error.message).toContain('ERR_TLS_CERT_ALTNAME_INVALID');
  });

  test('of an unknown authority is refused', async () => {
    const error = await catchProviderError(send(null)(toCall(`https://model.example:${server.port}/v1`)));
    expect(error).toMatchObject({ kind: 'connection' });
  });
});
