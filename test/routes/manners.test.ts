/** What holds for every request: headers, versions, names, other origins, the pages about the API. */

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { toServedOperations } from '../../src/schemas/openapi-document.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { readTestEngine } from '../support/test-engine.ts';

const ORIGIN = 'https://app.example';

let server: TestServer;
let open: TestServer;

beforeAll(async () => {
  server = await startServer();
  open = await startServer({ flags: ['--cors-origin', ORIGIN, '--allow-host', 'understudy.internal'] });
});

afterAll(() => Promise.all([server.stop(), open.stop()]));

describe('headers', () => {
  for (const [what, path, status] of [
    ['an answer', '/v1/assistants', 200],
    ['an error', '/v1/threads/thread_x', 404],
    ['an unknown route', '/v1/nowhere', 404],
  ] as const) {
    test(`${what} carries request id, versions and time`, async () => {
      const answer = await server.call('GET', path);
      expect(answer.status).toBe(status);
      expect(answer.headers.get('x-request-id')).toMatch(/^req_[0-9A-Za-z]{24}$/);
      expect(answer.headers.get('openai-version')).toBe('2020-10-01');
      expect(answer.headers.get('openai-processing-ms')).toMatch(/^\d+$/);
      expect(answer.headers.get('x-understudy-version')).toMatch(/^\d+\.\d+\.\d+/);
      expect(answer.headers.get('content-type')).toContain('application/json');
    });
  }
});

describe('routes', () => {
  test('an unknown one is a 404 in the envelope', async () => {
    const { status, json } = await server.call('GET', '/v1/nowhere?x=1');
    expect(status).toBe(404);
    expect(json.error).toEqual({
      message: 'Invalid URL (GET /v1/nowhere)',
      type: 'invalid_request_error',
      param: null,
      code: 'unknown_url',
    });
  });

  test('another method is a 405 that lists the right ones', async () => {
    const answer = await server.call('PUT', '/v1/threads/thread_x/messages');
    expect(answer.status).toBe(405);
    expect(answer.headers.get('allow')).toBe('GET, POST');
    expect(answer.json.error.code).toBe('method_not_supported');
  });
});

describe('OpenAI-Beta', () => {
  const call = (value: string, path = '/v1/assistants') =>
    server.call('GET', path, undefined, { 'OpenAI-Beta': value });

  test('v2 is taken, alone and among others', async () => {
    expect((await call('assistants=v2')).status).toBe(200);
    expect((await call('realtime=v1, assistants=v2')).status).toBe(200);
  });

  test('anything else is refused, where assistants are served', async () => {
    const { status, json } = await call('assistants=v1');
    expect(status).toBe(400);
    expect(json.error.param).toBe('OpenAI-Beta');
    expect((await call('assistants=v1', '/v1/models')).status).toBe(200);
  });
});

describe('names', () => {
  const call = (to: TestServer, host: string) => to.call('GET', '/v1/assistants', undefined, { host });

  test('a page cannot reach the server through a name of its own', async () => {
    const { status, json } = await call(server, 'evil.example');
    expect(status).toBe(403);
    expect(json.error.message).toContain('--allow-host');
  });

  test('addresses, localhost and names that are allowed are answered', async () => {
    for (const host of ['127.0.0.1:1', 'localhost', 'a.localhost:8700', '[::1]:8700', '192.0.2.1']) {
      expect((await call(server, host)).status).toBe(200);
    }
    expect((await call(open, 'Understudy.internal:80')).status).toBe(200);
    expect((await call(open, 'evil.example')).status).toBe(403);
  });
});

describe('a model server that the request names', () => {
  const run = (to: TestServer, url: string) =>
    to.call('POST', '/v1/chat/completions', { model: 'm', messages: [] }, { 'base-url': url });

  test('may be on this machine where only this machine asks, and never elsewhere', async () => {
    // Nobody listens on port 1: the call is made, and fails.
    expect((await run(server, 'http://127.0.0.1:1/v1')).status).toBe(502);
    for (const url of ['http://10.0.0.1/v1', 'http://169.254.169.254/latest', 'file:///etc/passwd']) {
      const { status, json } = await run(server, url);
      expect([status, json.error.param]).toEqual([400, 'base-url']);
    }
  });

  test('may not be on this machine where others ask', async () => {
    const wide = await startServer({ flags: ['--host', '0.0.0.0', '--allow-open'] });
    try {
      const url = wide.url.replace('0.0.0.0', '127.0.0.1');
      const answer = await fetch(`${url}/v1/chat/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'base-url': 'http://127.0.0.1:1/v1' },
        body: JSON.stringify({ model: 'm', messages: [] }),
      });
      expect(answer.status).toBe(400);
    } finally {
      await wide.stop();
    }
  });
});

describe('other origins', () => {
  const ask = (to: TestServer, origin: string, method = 'GET') =>
    to.call(method, '/v1/assistants', undefined, {
      origin,
      ...(method === 'OPTIONS' ? { 'access-control-request-method': 'POST' } : {}),
    });

  test('hear nothing by default', async () => {
    expect((await ask(server, ORIGIN)).headers.get('access-control-allow-origin')).toBeNull();
    expect((await ask(server, ORIGIN, 'OPTIONS')).headers.get('access-control-allow-origin')).toBeNull();
  });

  test('are let in by name, and only by name', async () => {
    expect((await ask(open, ORIGIN)).headers.get('access-control-allow-origin')).toBe(ORIGIN);
    const preflight = await ask(open, ORIGIN, 'OPTIONS');
    expect(preflight.status).toBeLessThan(300);
    expect(preflight.headers.get('access-control-allow-methods')).toContain('POST');
    expect((await ask(open, 'https://evil.example')).headers.get('access-control-allow-origin')).not.toBe(
      'https://evil.example',
    );
  });
});

describe('pages', () => {
  test('health and readiness', async () => {
    for (const path of ['/health', '/v1/health']) {
      expect((await server.call('GET', path)).json).toEqual({ status: 'ok' });
    }
    expect((await server.call('GET', '/ready')).json).toEqual({
      status: 'ready',
      store: readTestEngine(),
      providers: [],
    });
  });

  test('the API document has every operation, and all its references lead somewhere', async () => {
    const { json, text } = await server.call('GET', '/openapi.json');
    const found = Object.values<Record<string, { operationId: string }>>(json.paths).flatMap((path) =>
      Object.values(path).map(({ operationId }) => operationId),
    );
    expect(found.sort()).toEqual([...toServedOperations().keys()].sort());
    const references = [...text.matchAll(/"\$ref":"([^"]+)"/g)].map(([, reference]) => reference ?? '');
    expect(references.length).toBeGreaterThan(50);
    for (const reference of new Set(references)) {
      expect(json.components.schemas[reference.replace('#/components/schemas/', '')]).toBeDefined();
    }
  });

  test('the page about the API needs nothing from elsewhere', async () => {
    const page = await server.call('GET', '/docs/api');
    expect(page.status).toBe(200);
    const parts = [...page.text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, path]) => path ?? '');
    expect(parts.length).toBeGreaterThan(2);
    for (const path of parts) {
      expect(path).toStartWith('/docs/api/');
      expect((await server.call('GET', path)).status).toBe(200);
    }
    expect(page.headers.get('content-security-policy')).toContain("default-src 'none'");
  });
});
