/** The DevOps API is somebody else's server: whatever it does, the answer is an error of ours, in time, without the token. */

import { afterEach, expect, test } from 'bun:test';
import { inspect } from 'node:util';
import { createDevOpsClient, type DevOpsClient } from '../../src/astra/devops-client.ts';
import { Secret } from '../../src/secret.ts';
import { catchError, toId } from './fixture.ts';

const TOKEN = 'AstraCS:abcdef:0123456789';
const token = new Secret(TOKEN);
const ID = toId(7);

interface Seen {
  readonly method: string;
  readonly path: string;
  readonly headers: Headers;
  readonly body: string;
}

let stop: (() => Promise<void>) | null = null;
afterEach(async () => {
  await stop?.();
  stop = null;
});

function serve(
  answer: (seen: Seen, origin: string) => Response | Promise<Response>,
  timeouts = { callMs: 2_000, downloadMs: 2_000 },
): { client: DevOpsClient; seen: Seen[]; origin: string } {
  const seen: Seen[] = [];
  const server: Bun.Server<undefined> = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    async fetch(request): Promise<Response> {
      const { pathname, search } = new URL(request.url);
      const { method, headers } = request;
      const call = { method, path: pathname + search, headers, body: await request.text() };
      seen.push(call);
      return await answer(call, server.url.origin);
    },
  });
  stop = () => server.stop(true);
  const { origin } = server.url;
  return {
    client: createDevOpsClient({ fetch, url: origin, timeouts, userAgent: 'understudy/test' }),
    seen,
    origin,
  };
}

function toDatabase(n: number, more: object = {}): object {
  return {
    id: toId(n),
    status: 'ACTIVE',
    creationTime: '2026-11-25T00:00:00Z',
    info: {
      name: `db ${n}`,
      keyspace: 'one',
      additionalKeyspaces: ['two'],
      region: 'us-east1',
      dbType: 'vector',
    },
    ...more,
  };
}

test('every page of the list is read, with the cursor of the last', async () => {
  const all = Array.from({ length: 230 }, (_, n) => toDatabase(n));
  const { client, seen } = serve(({ path }) => {
    const after = new URLSearchParams(path.split('?')[1]).get('starting_after');
    const begin = after === null ? 0 : Number(after.slice(-12)) + 1;
    return Response.json(all.slice(begin, begin + 100));
  });
  const found = await client.listDatabases(token);
  expect(found.length).toBe(230);
  expect(seen.map(({ path }) => path.includes('starting_after'))).toEqual([false, true, true]);
  expect(found[0]).toMatchObject({
    id: toId(0),
    keyspaces: ['one', 'two'],
    isVector: true,
    region: 'us-east1',
  });
});

test('a list that repeats itself for ever ends', async () => {
  const page = Array.from({ length: 100 }, (_, n) => toDatabase(n));
  const { client, seen } = serve(() => Response.json(page));
  await client.listDatabases(token);
  expect(seen.length).toBe(20);
});

test('a database is made for vectors, and its id is read from where it lies', async () => {
  const { client, seen } = serve(
    () => new Response(null, { status: 201, headers: { location: `/v2/databases/${ID}` } }),
  );
  const id = await client.createDatabase(token, {
    name: 'understudy',
    keyspace: 'understudy',
    cloudProvider: 'GCP',
    region: 'us-east1',
  });
  expect(id).toBe(ID);
  expect(JSON.parse(seen[0]?.body ?? '')).toMatchObject({
    dbType: 'vector',
    tier: 'serverless',
    keyspace: 'understudy',
  });
});

test('the bundle is fetched without the token', async () => {
  const { client, seen } = serve(({ path }, origin) =>
    path.startsWith('/v2')
      ? Response.json({ downloadURL: `${origin}/bundle.zip?signature=x` })
      : new Response('PK'),
  );
  expect(new TextDecoder().decode(await client.fetchBundle(token, ID))).toBe('PK');
  expect(seen.map(({ headers }) => headers.get('authorization'))).toEqual([`Bearer ${TOKEN}`, null]);
});

const REFUSALS = [
  [401, 'invalid_api_key', '{"errors":[{"message":"JWT not valid"}]}'],
  [400, 'invalid_api_key', '{"errors":[{"message":"JWT not valid"}]}'],
  [401, 'permission_denied', '{"errors":[{"message":"The user is unauthorized to perform the operation"}]}'],
  [403, 'permission_denied', 'no'],
  [404, 'not_found', 'no'],
  [409, 'service_unavailable', 'database is not in a valid state to perform requested action'],
  [422, 'upstream_error', 'no'],
  [429, 'rate_limit_exceeded', 'slow down'],
  [500, 'service_unavailable', 'broken'],
  [503, 'service_unavailable', '<html>down</html>'],
] as const;

for (const [status, code, body] of REFUSALS) {
  test(`${status} (${body.slice(0, 30)}) is ${code}, and shows nothing of the token`, async () => {
    const headers = { 'retry-after': '7' };
    const { client } = serve(() => new Response(`${body} ${TOKEN}`, { status, headers }));
    const error = await catchError(client.getDatabase(token, ID));
    expect(error.code).toBe(code);
    expect(inspect(error, { depth: 9 })).not.toContain(TOKEN);
    if (code === 'rate_limit_exceeded') expect(error.retryAfterMs).toBe(7_000);
    if (code === 'service_unavailable') expect(error.retryAfterMs).toBeGreaterThan(0);
  });
}

test('a redirect is not followed: nobody else gets the token', async () => {
  const { client, seen } = serve(({ path }, origin) =>
    path === '/elsewhere' ? Response.json([]) : Response.redirect(`${origin}/elsewhere`, 307),
  );
  const error = await catchError(client.listDatabases(token));
  expect(error.code).toBe('upstream_error');
  expect(seen.length).toBe(1);
});

test('a page instead of JSON, and JSON of another shape, are told as such', async () => {
  const answers = ['<html>hello</html>', '{"id":1}', '"text"', '', '[1,null,{"id":7}]'];
  for (const answer of answers) {
    const { client } = serve(() => new Response(answer));
    const error = await catchError(client.getDatabase(token, ID));
    expect(error.code).toBe('upstream_error');
    await stop?.();
  }
});

test('an API that hangs, before its headers or amid its answer, is given up in time', async () => {
  const hangs = [
    () => new Promise<Response>(() => undefined),
    () => new Response(new ReadableStream({ start: (controller) => controller.enqueue(new Uint8Array(1)) })),
  ];
  for (const hang of hangs) {
    const { client } = serve(hang, { callMs: 300, downloadMs: 300 });
    const began = performance.now();
    const error = await catchError(client.listDatabases(token));
    expect(error.code).toBe('service_unavailable');
    expect(error.retryAfterMs).toBeGreaterThan(0);
    expect(performance.now() - began).toBeLessThan(1_500);
    await stop?.();
  }
});

test('an answer without an end takes no memory without an end', async () => {
  const piece = new Uint8Array(1024 * 1024);
  const { client } = serve(
    () => new Response(new ReadableStream({ pull: (controller) => controller.enqueue(piece) })),
  );
  const error = await catchError(client.listDatabases(token));
  expect(error.code).toBe('upstream_error');
});

test('an API that is not there is 503', async () => {
  const client = createDevOpsClient({ fetch, url: 'http://127.0.0.1:9' });
  const error = await catchError(client.listDatabases(token));
  expect(error.code).toBe('service_unavailable');
  expect(inspect(error, { depth: 9 })).not.toContain(TOKEN);
});

test('a bundle is fetched from TLS alone, unless the API has none itself', async () => {
  const answer = (downloadURL: unknown) => async () => Response.json({ downloadURL });
  for (const url of ['http://storage.example/b.zip', 'file:///etc/passwd', 7, null, 'nonsense']) {
    const client = createDevOpsClient({ fetch: answer(url), url: 'https://api.example' });
    expect((await catchError(client.fetchBundle(token, ID))).code).toBe('upstream_error');
  }
});

test('a bundle that is too large, or whose link has run out, is refused', async () => {
  for (const download of [
    () => new Response(new Uint8Array(2 * 1024 * 1024)),
    () => new Response('no', { status: 403 }),
  ]) {
    const { client } = serve(({ path }, origin) =>
      path.startsWith('/v2') ? Response.json({ downloadURL: `${origin}/bundle.zip` }) : download(),
    );
    const error = await catchError(client.fetchBundle(token, ID));
    expect(['upstream_error', 'service_unavailable']).toContain(error.code);
    await stop?.();
  }
});
