import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { systemClock } from '../../../src/clock.ts';
import { createIds } from '../../../src/ids.ts';
import { PICTURE_BYTES_MAX, PICTURES_MAX } from '../../../src/providers/ai-sdk/pictures.ts';
import { createAiSdkProviders } from '../../../src/providers/ai-sdk/providers.ts';
import { createAddressCheck } from '../../../src/providers/outbound/address-check.ts';
import { createUpstream } from '../../../src/providers/outbound/upstream.ts';
import {
  createProtocolProviders,
  type ProtocolProviders,
  toProtocolCall,
} from '../../support/protocols/protocol-calls.ts';
import { type ProtocolServer, startProtocolServer } from '../../support/protocols/protocol-server.ts';
import { collectEvents } from '../../support/provider-calls.ts';
import { say } from '../../support/upstream-steps.ts';

let server: ProtocolServer;
let host: ReturnType<typeof Bun.serve>;
let guarded: ProtocolProviders;
let local: ProtocolProviders;
let count = 0;
const asked: { path: string; headers: Record<string, string> }[] = [];

beforeAll(async () => {
  server = await startProtocolServer();
  host = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    fetch(request) {
      const { pathname } = new URL(request.url);
      asked.push({ path: pathname, headers: Object.fromEntries(request.headers) });
      const image = { headers: { 'content-type': 'image/png; charset=binary' } };
      if (pathname === '/red.png') return new Response(Buffer.from('red picture'), image);
      if (pathname === '/huge.png') return new Response(new Uint8Array(PICTURE_BYTES_MAX + 1), image);
      if (pathname === '/moved.png')
        return new Response(null, { status: 302, headers: { location: '/red.png' } });
      if (pathname === '/page') return new Response('<html>', { headers: { 'content-type': 'text/html' } });
      return new Response('none', { status: 404 });
    },
  });
  guarded = createProtocolProviders();
  // As on a server of whoever sits at this machine.
  const policy = { allowLoopback: true, isNamed: () => false };
  local = createAiSdkProviders({
    upstream: createUpstream({ fetch, addressCheck: createAddressCheck({ policy }) }),
    clock: systemClock,
    ids: createIds(systemClock),
  });
});
afterAll(async () => {
  await host.stop(true);
  await server.close();
});

async function show(
  id: 'gemini' | 'bedrock' | 'anthropic' | 'cohere' | 'mistral',
  paths: readonly string[],
  providers = local,
) {
  count += 1;
  const model = server.script(`picture-${count}`, [say('Red.')]);
  const content = paths.map((path) => ({
    type: 'image_url' as const,
    image_url: { url: path.startsWith('/') ? `http://127.0.0.1:${host.port}${path}` : path },
  }));
  const request = { model, messages: [{ role: 'user' as const, content }] };
  const { error } = await collectEvents(providers[id].chat(request, toProtocolCall(id, server.origin)));
  return { error, sent: server.requestsFor(model)[0] };
}

const RED = Buffer.from('red picture').toString('base64');

describe.each(['gemini', 'bedrock'] as const)('%s', (id) => {
  test('is shown a picture at an address, which is fetched for it, without any key', async () => {
    const { error, sent } = await show(id, ['/red.png', '/red.png']);
    expect(error).toBeNull();
    expect(sent?.text).toContain(RED);
    const fetched = asked.filter(({ path }) => path === '/red.png').at(-1);
    for (const name of ['authorization', 'x-goog-api-key', 'x-amz-date'])
      expect(fetched?.headers[name]).toBeUndefined();
  });

  test.each(['/huge.png', '/page', '/missing.png', '/moved.png'])('is not shown %s', async (path) => {
    const { error, sent } = await show(id, [path]);
    expect(error).toMatchObject({ kind: 'invalid_request', status: 400, code: 'invalid_image_url' });
    expect(sent).toBeUndefined();
  });

  test.each([
    '/red.png',
    'http://169.254.169.254/latest/meta-data',
    'http://10.0.0.1/a.png',
    'http://[::1]/a.png',
  ])('makes this server fetch nothing from inside: %s', async (path) => {
    const before = asked.length;
    const { error, sent } = await show(id, [path], guarded);
    expect(error).toMatchObject({ kind: 'invalid_request', status: 400, code: 'invalid_image_url' });
    expect([asked.length, sent]).toEqual([before, undefined]);
  });

  test('is shown a bounded number of them', async () => {
    const { error } = await show(
      id,
      Array.from({ length: PICTURES_MAX + 1 }, (_, at) => `/red.png?${at}`),
    );
    expect(error).toMatchObject({ kind: 'invalid_request', code: 'invalid_image_url' });
  });
});

test.each(['anthropic', 'cohere', 'mistral'] as const)('%s fetches pictures itself', async (id) => {
  const url = 'https://pictures.example/red.png';
  const { error, sent } = await show(id, [url], guarded);
  expect(error).toBeNull();
  expect(sent?.text).toContain(url);
});
