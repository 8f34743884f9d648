import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { OPENAI_STYLE } from '../../src/providers/openai/wire-call.ts';
import { createPlainClient } from '../../src/providers/outbound/http1/client.ts';
import { createUpstream, type UpstreamCall } from '../../src/providers/outbound/upstream.ts';
import {
  catchProviderError,
  collectEvents,
  createTestProvider,
  joinText,
  toCallOptions,
  toChatRequest,
  waitUntil,
} from '../support/provider-calls.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';
import { hang, redirect, say } from '../support/upstream-steps.ts';

let upstream: ScriptedUpstream;
beforeAll(async () => {
  upstream = await startScriptedUpstream();
});
afterAll(() => upstream.close());

const provider = createTestProvider();

describe('calls to a model’s server', () => {
  test.each([301, 302, 303, 307, 308])(
    'a redirect (%p) is an error, and its target sees nothing',
    async (status) => {
      const target = await startScriptedUpstream();
      try {
        const model = upstream.script(`redirect ${status}`, [
          redirect(`${target.url}/chat/completions`, status),
        ]);
        const options = toCallOptions(upstream.url, { apiKey: 'sk-secret-key' });
        const { error } = await collectEvents(provider.chat(toChatRequest(model), options));
        expect(error).toMatchObject({ kind: 'protocol', status, isRetryable: false });
        expect(String(error)).not.toContain(target.url);
        await catchProviderError(provider.relay('chat/completions', { model, messages: [] }, options));
        expect(target.connections.total).toBe(0);
      } finally {
        await target.close();
      }
    },
  );

  test.each([
    ['over plain HTTP', provider, []],
    ['by fetch', createTestProvider({ fetch }), ['accept-encoding', 'connection']],
  ] as const)('send these headers and no others %s', async (way, provider, added) => {
    const model = upstream.script(`headers ${way}`, [say('x')]);
    const options = toCallOptions(upstream.url, { apiKey: 'sk-header-key', requestId: 'req_headers' });
    await collectEvents(provider.chat(toChatRequest(model), options));
    const headers = upstream.requestsFor(model)[0]?.headers ?? {};
    const named = ['accept', 'authorization', 'content-length', 'content-type', 'host', 'user-agent'];
    expect(Object.keys(headers).sort()).toEqual([...named, 'x-request-id', ...added].sort());
    expect(headers.authorization).toBe('Bearer sk-header-key');
    expect(headers['x-request-id']).toBe('req_headers');
    expect(headers['content-type']).toBe('application/json');
    expect(headers['user-agent']).toBe('understudy');
  });

  test('send what an adapter adds only where that is known', async () => {
    const seen: BunFetchRequestInit[] = [];
    const send = createUpstream({
      fetch: async (_, init) => {
        seen.push(init);
        return new Response('{}');
      },
    });
    const answer = await send({
      method: 'POST',
      url: 'https://api.example/v1',
      apiKey: null,
      accept: '*/*',
      requestId: 'req_x',
      body: '{}',
      headers: {
        'X-Api-Key': 'k',
        'anthropic-version': '1',
        'user-agent': 'ai-sdk',
        cookie: 'a=b',
        host: 'x',
      },
      signal: new AbortController().signal,
    });
    answer.close();
    expect(seen[0]?.headers).toEqual({
      accept: '*/*',
      'user-agent': 'understudy',
      'x-request-id': 'req_x',
      'content-type': 'application/json',
      'x-api-key': 'k',
      'anthropic-version': '1',
    });
  });

  test('go to the hosts that the operator has named alone, where he has named some', async () => {
    const seen: string[] = [];
    const send = createUpstream({
      fetch: async (url) => {
        seen.push(url);
        return new Response('{}');
      },
      onlyHosts: ['Models.example', '10.0.0.5:8000'],
    });
    const call = (url: string) =>
      send({
        method: 'GET',
        url,
        apiKey: 'sk-secret',
        accept: '*/*',
        requestId: 'req_x',
        signal: new AbortController().signal,
      });
    const named = ['https://models.example/v1', 'https://MODELS.example:8443/v1', 'http://10.0.0.5:8000/v1'];
    for (const url of named) (await call(url)).close();
    for (const url of [
      'https://api.example',
      'http://10.0.0.5',
      'https://x.models.example',
      'http://[::1]:8000',
    ]) {
      expect(await catchProviderError(call(url))).toMatchObject({
        kind: 'invalid_request',
        status: 400,
        code: 'host_not_allowed',
      });
    }
    expect(seen).toEqual(named);
  });

  test.each([
    ['a key', { apiKey: 'sk-line\nbreak' }],
    ['a header', { apiKey: null, headers: { 'x-api-key': 'line\r\nbreak: 1' } }],
  ])('refuse %s that no header can hold, without saying it', async (_, part) => {
    const send = createUpstream({ fetch: () => Promise.reject(new Error('not to be called')) });
    const call = {
      method: 'GET' as const,
      url: 'https://api.example/v1',
      accept: '*/*',
      requestId: 'req_x',
      signal: new AbortController().signal,
      ...part,
    };
    const error = await catchProviderError(send(call));
    expect(error.kind).toBe('authentication');
    expect(error.message).not.toContain('break');
  });

  test.each([
    ['before its headers', [hang()], { firstByteMs: 30 }, /did not begin to answer in 30 ms/],
    ['amid its body', [say('x'), hang()], { idleMs: 30 }, /silent for 30 ms/],
  ] as const)(
    'wait for a silent server %s as long as its provider’s own bound says',
    async (name, steps, timeouts, message) => {
      const model = upstream.script(`own bounds ${name}`, steps);
      const options = toCallOptions(upstream.url);
      const style = { ...OPENAI_STYLE, timeouts };
      const { error } = await collectEvents(
        provider.chat(toChatRequest(model), { ...options, credentials: { ...options.credentials, style } }),
      );
      expect(error).toMatchObject({ kind: 'timeout' });
      expect(String(error)).toMatch(message);
    },
  );

  test('send no authorization without a key', async () => {
    const model = upstream.script('no key', [say('x')]);
    await collectEvents(provider.chat(toChatRequest(model), toCallOptions(upstream.url)));
    expect(upstream.requestsFor(model)[0]?.headers).not.toHaveProperty('authorization');
  });

  test('are moved by no variable of the environment', async () => {
    const decoys = {
      OPENAI_API_KEY: 'sk-decoy',
      OPENAI_BASE_URL: 'http://127.0.0.1:9/v1',
      OPENAI_ORG_ID: 'org-decoy',
      OPENAI_PROJECT_ID: 'proj-decoy',
      OPENAI_CUSTOM_HEADERS: 'x-decoy: decoy',
      OPENAI_ADMIN_KEY: 'decoy',
      HTTP_PROXY: 'http://127.0.0.1:9',
      http_proxy: 'http://127.0.0.1:9',
      ALL_PROXY: 'http://127.0.0.1:9',
    };
    const before = Object.fromEntries(Object.keys(decoys).map((name) => [name, process.env[name]]));
    Object.assign(process.env, decoys);
    try {
      const fresh = createTestProvider();
      const model = upstream.script('environment', [say('reached')]);
      const { events } = await collectEvents(fresh.chat(toChatRequest(model), toCallOptions(upstream.url)));
      expect(joinText(events)).toBe('reached');
      await fresh.listModels(toCallOptions(upstream.url));
      await fresh.relay('embeddings', { model, input: 'x' }, toCallOptions(upstream.url));
      expect(JSON.stringify(upstream.requestsFor(model))).not.toContain('decoy');
      expect(upstream.requestsFor(model)[0]?.headers).not.toHaveProperty('authorization');
    } finally {
      for (const [name, value] of Object.entries(before)) {
        if (value === undefined) delete process.env[name];
        else process.env[name] = value;
      }
    }
  });

  test('without a base URL go to OpenAI, and nowhere else', async () => {
    const seen: string[] = [];
    const recording = createTestProvider({
      fetch: async (url) => {
        seen.push(url);
        return new Response('{"data":[]}', { headers: { 'content-type': 'application/json' } });
      },
    });
    await recording.listModels(toCallOptions(null));
    expect(seen).toEqual(['https://api.openai.com/v1/models']);
  });

  test('leave no listener on the caller’s signal behind', async () => {
    const abort = new AbortController();
    const listeners = new Set<unknown>();
    const { signal } = abort;
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      listeners.add(args[1]);
      add(...args);
    };
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      listeners.delete(args[1]);
      remove(...args);
    };
    const model = upstream.script('listeners', [say('x')]);
    const options = toCallOptions(upstream.url, { signal });
    await collectEvents(provider.chat(toChatRequest(model), options));
    for await (const _ of provider.chat(toChatRequest(model), options)) break;
    await (await provider.relay('chat/completions', { model, messages: [], stream: true }, options)).text();
    await provider.relay('chat/completions', { model, messages: [] }, options);
    await catchProviderError(
      provider.relay('chat/completions', { model: 'script:none', messages: [] }, options),
    );
    await waitUntil(() => listeners.size === 0);
  });
});

describe.each([
  ['by fetch', createUpstream({ fetch })],
  ['over plain HTTP', createUpstream({ fetch, plain: createPlainClient() })],
])('an answer %s', (way, send) => {
  const toCall = (url: string): UpstreamCall => ({
    method: 'GET',
    url,
    apiKey: null,
    accept: '*/*',
    requestId: 'req_x',
    signal: new AbortController().signal,
  });

  test.each([true, false])('beyond its bound is refused, its length announced: %p', async (isAnnounced) => {
    const server = Bun.serve({
      port: 0,
      hostname: '127.0.0.1',
      fetch: () => new Response(isAnnounced ? 'x'.repeat(5000) : toStream('x'.repeat(5000))),
    });
    try {
      const call = toCall(`http://127.0.0.1:${server.port}/`);
      expect(await (await send(call)).readText(5000)).toHaveLength(5000);
      expect((await catchProviderError((await send(call)).readText(4999))).kind).toBe('protocol');
    } finally {
      await server.stop(true);
    }
  });

  test('that is packed is measured unpacked', async () => {
    const server = Bun.serve({
      port: 0,
      hostname: '127.0.0.1',
      fetch: () =>
        new Response(Bun.gzipSync(Buffer.alloc(1_000_000)), { headers: { 'content-encoding': 'gzip' } }),
    });
    try {
      const packed = await send(toCall(`http://127.0.0.1:${server.port}/`));
      expect((await catchProviderError(packed.readText(500_000))).kind).toBe('protocol');
    } finally {
      await server.stop(true);
    }
  });

  test('that is closed unread closes its connection; closing twice is harmless', async () => {
    const model = upstream.script(`closed unread ${way}`, [say('x'), hang()]);
    const closing = await send({
      ...toCall(`${upstream.url}/chat/completions`),
      method: 'POST',
      body: JSON.stringify({ model, messages: [], stream: true }),
    });
    closing.close();
    closing.close();
    expect(await upstream.requestsFor(model)[0]?.ended).toBe('aborted');
    expect(await closing.read()).toBeNull();
  });
});

function toStream(text: string): ReadableStream {
  return new ReadableStream({
    start(controller) {
      for (let at = 0; at < text.length; at += 100) {
        controller.enqueue(new TextEncoder().encode(text.slice(at, at + 100)));
      }
      controller.close();
    },
  });
}
