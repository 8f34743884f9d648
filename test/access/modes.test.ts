/** What changes with `--auth keys` beside the API itself: the metrics, the address, what was there before. */

import { afterEach, describe, expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startServer, type TestServer } from '../support/server.ts';
import { startKeyServer } from './key-server.ts';

let running: TestServer[] = [];

afterEach(async () => {
  await Promise.all(running.map((server) => server.stop()));
  running = [];
});

async function start(...args: Parameters<typeof startKeyServer>) {
  const server = await startKeyServer(...args);
  running.push(server);
  return server;
}

describe('the metrics', () => {
  test('are read with a key that has the scope admin, and with no other', async () => {
    const server = await start();
    const admin = await server.createKey({ scopes: ['admin'] });
    const other = await server.createKey({ scopes: ['read', 'write', 'run'] });
    const without = await server.call('GET', '/metrics');
    expect([without.status, without.json.error.code]).toEqual([401, 'invalid_api_key']);
    const refused = await server.callAs(other.key, 'GET', '/metrics');
    expect([refused.status, refused.json.error.code]).toEqual([403, 'missing_scope']);
    expect(refused.json.error.message).toContain('Missing scopes: admin.');
    const { status, text } = await server.callAs(admin.key, 'GET', '/metrics');
    expect(status).toBe(200);
    expect(text).toContain('http_requests_total');
    expect(text).not.toContain(other.record.id);
  });

  test('are read without a key from an address that is allowed', async () => {
    const server = await start({ flags: ['--metrics-allow', '127.0.0.0/8'] });
    expect((await server.call('GET', '/metrics')).status).toBe(200);
    expect((await server.call('GET', '/v1/assistants')).status).toBe(401);
  });

  test('are read by nobody who says himself that he comes from such an address', async () => {
    const server = await start({ flags: ['--metrics-allow', '10.0.0.0/8'] });
    const names = ['x-forwarded-for', 'x-real-ip', 'forwarded', 'cf-connecting-ip', 'true-client-ip'];
    const headers = Object.fromEntries(
      names.map((name) => [name, name === 'forwarded' ? 'for=10.0.0.1' : '10.0.0.1']),
    );
    expect((await server.call('GET', '/metrics', undefined, headers)).status).toBe(401);
  });
});

test('a server with keys answers under any name: only who has a key gets anything by it', async () => {
  const server = await start();
  const { key } = await server.createKey();
  const headers = { host: 'assistants.example' };
  expect((await server.call('GET', '/v1/assistants', undefined, headers)).status).toBe(401);
  expect((await server.callAs(key, 'GET', '/v1/assistants', undefined, headers)).status).toBe(200);
});

test('a server with keys listens beyond this machine without being told that it is meant', async () => {
  const server = await start({ flags: ['--host', '0.0.0.0'] });
  const { key } = await server.createKey();
  const url = server.url.replace('0.0.0.0', '127.0.0.1');
  const ask = (headers: Record<string, string>) => fetch(`${url}/v1/assistants`, { headers });
  expect((await ask({})).status).toBe(401);
  expect((await ask({ authorization: `Bearer ${key}` })).status).toBe(200);
});

test('what was there before keys were turned on is the project default’s, and of no other', async () => {
  const dataDirectory = await mkdtemp(join(tmpdir(), 'understudy-modes-'));
  try {
    const open = await startServer({ dataDirectory });
    const made = await open.call('POST', '/v1/assistants', { model: 'understudy/rehearsal' });
    await open.stop();
    const server = await start({ dataDirectory });
    const path = `/v1/assistants/${made.json.id}`;
    const own = await server.createKey({ project: 'default' });
    const other = await server.createKey({ project: 'other' });
    expect((await server.callAs(own.key, 'GET', path)).json).toEqual(made.json);
    expect((await server.callAs(other.key, 'GET', path)).status).toBe(404);
    await server.stop();
    const again = await startServer({ dataDirectory });
    running = [again];
    expect((await again.call('GET', path)).json).toEqual(made.json);
  } finally {
    await Promise.all(running.map((server) => server.stop()));
    running = [];
    await rm(dataDirectory, { recursive: true, force: true });
  }
});

test('pages of other origins may read what an answer says of limits', async () => {
  const server = await start({ flags: ['--cors-origin', 'https://app.example'] });
  const { key } = await server.createKey();
  const answer = await server.callAs(key, 'GET', '/v1/assistants', undefined, {
    origin: 'https://app.example',
  });
  expect(answer.headers.get('access-control-expose-headers')).toContain('x-ratelimit-remaining-requests');
  const refused = await server.call('GET', '/v1/assistants', undefined, { origin: 'https://app.example' });
  expect(refused.headers.get('access-control-allow-origin')).toBe('https://app.example');
});
