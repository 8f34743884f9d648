/** `examples/multi-tenant`: tenants see nothing of each other, and nobody pays for what nobody reads. */

import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type OpenAI from 'openai';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';
import { startServer, type TestServer, waitUntil } from '../support/server.ts';
import { hang, say } from '../support/upstream-steps.ts';
import { EXAMPLES, type Program, runToEnd, startProgram, TEST_MS } from './programs.ts';

interface Tenant {
  readonly token: string;
  /** With the tenant's own key: what an operator sees of its project. */
  readonly client: OpenAI;
}

const ADD = [process.execPath, join(EXAMPLES, 'multi-tenant/add-tenant.ts')];
const SERVICE = [process.execPath, join(EXAMPLES, 'multi-tenant/service.ts')];

let root: string;
let env: Record<string, string>;
let upstream: ScriptedUpstream;
let server: TestServer;
let service: Program;
let url: string;
let acme: Tenant;
let zeta: Tenant;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'understudy-tenants-'));
  const dataDirectory = join(root, 'data');
  env = { TENANTS: join(root, 'tenants'), UNDERSTUDY_DATA: dataDirectory, HOME: root, PORT: '0' };
  upstream = await startScriptedUpstream();
  server = await startServer({
    dataDirectory,
    flags: ['--auth', 'keys'],
    env: { OPENAI_BASE_URL: upstream.url },
  });
  // A key of the service's own environment must reach nobody's model.
  service = startProgram(SERVICE, { url: server.url, env: { ...env, OPENAI_API_KEY: 'sk-of-the-service' } });
  await service.waitFor('The service listens on ');
  url = /http:\S+?(?=\/\s)/.exec(service.output())?.[0] ?? '';
  acme = await addTenant('acme', { model: 'gpt-acme', modelKeys: { OPENAI_API_KEY: 'sk-of-acme' } });
  zeta = await addTenant('zeta', { model: 'gpt-zeta', modelKeys: { OPENAI_API_KEY: 'sk-of-zeta' } });
}, TEST_MS);

afterAll(async () => {
  await service?.[Symbol.asyncDispose]();
  await server?.stop();
  await upstream?.close();
  await rm(root, { recursive: true, force: true });
});

async function addTenant(name: string, settings: object, flags: readonly string[] = []): Promise<Tenant> {
  const added = await runToEnd([...ADD, name, ...flags], { url: server.url, env });
  expect(added.code, added.errors).toBe(0);
  const token = added.output.trim();
  const path = join(root, 'tenants', `${name}.json`);
  const file = JSON.parse(await readFile(path, 'utf8'));
  await writeFile(path, JSON.stringify({ ...file, ...settings }));
  return { token, client: server.client({ apiKey: file.understudyKey }) };
}

function call(token: string, path: string, body?: object, signal?: AbortSignal): Promise<Response> {
  return fetch(`${url}${path}`, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { authorization: `Bearer ${token}` },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    ...(signal === undefined ? {} : { signal }),
  });
}

async function begin({ token }: Tenant): Promise<string> {
  const answer = await call(token, '/conversations', {});
  expect(answer.status).toBe(201);
  return `/conversations/${((await answer.json()) as { id: string }).id}/messages`;
}

test(
  'each tenant is answered by its own model with its own key, and cannot see, or speak into, the conversation of another',
  async () => {
    const [ours, theirs] = [await begin(acme), await begin(zeta)];
    const [first, second] = await Promise.all([
      call(acme.token, ours, { text: 'The secret of acme' }).then((answer) => answer.text()),
      call(zeta.token, theirs, { text: 'The secret of zeta' }).then((answer) => answer.text()),
    ]);
    for (const stream of [first, second]) {
      expect(stream).toContain('event: text\ndata: {"text":"Hello"}\n\n');
      expect(stream).toMatch(/event: done\ndata: \{"usage":\{.*"total_tokens":\d+.*\}\}\n\n$/);
    }
    for (const name of ['acme', 'zeta']) {
      const asked = upstream.requestsFor(`gpt-${name}`);
      expect(asked).toHaveLength(1);
      expect(asked[0]?.headers.authorization).toBe(`Bearer sk-of-${name}`);
      expect(JSON.stringify(asked[0]?.body)).toContain(`The secret of ${name}`);
    }
    expect(JSON.stringify(upstream.requests)).not.toContain('sk-of-the-service');

    for (const [{ token }, path] of [
      [acme, theirs],
      [zeta, ours],
    ] as const) {
      for (const body of [undefined, { text: 'Hello?' }]) {
        const answer = await call(token, path, body);
        expect(answer.status).toBe(404);
        expect(await answer.json()).toEqual({ error: 'There is no such conversation.' });
      }
    }
    const said = await (await call(zeta.token, theirs)).json();
    expect(said).toEqual([
      { role: 'user', text: 'The secret of zeta' },
      { role: 'assistant', text: 'Hello from the scripted upstream.' },
    ]);
    for (const [tenant, model] of [
      [acme, 'gpt-acme'],
      [zeta, 'gpt-zeta'],
    ] as const) {
      const assistants = await Array.fromAsync(tenant.client.beta.assistants.list());
      expect(assistants.map((one) => one.model)).toEqual([model]);
    }
  },
  TEST_MS,
);

test(
  'a token opens its own tenant alone, and the files of tenants are for the service alone',
  async () => {
    const secret = zeta.token.split('.')[1] ?? '';
    for (const token of ['', 'acme', `acme.${secret}`, `../tenants/acme.${secret}`, `nobody.${secret}`]) {
      expect((await call(token, '/conversations', {})).status).toBe(401);
    }
    const { mode } = await stat(join(root, 'tenants/acme.json'));
    if (process.platform !== 'win32') expect(mode & 0o077).toBe(0);
    expect(await readFile(join(root, 'tenants/acme.json'), 'utf8')).not.toContain(acme.token.split('.')[1]);
    const twice = await runToEnd([...ADD, 'acme'], { url: server.url, env });
    expect({ code: twice.code, output: twice.output }).toEqual({ code: 1, output: '' });
    expect((await runToEnd([...ADD, '../x'], { url: server.url, env })).code).toBe(2);
  },
  TEST_MS,
);

test(
  'a client that leaves ends its run; beyond the tenant’s limit a request waits for its turn, and then is told when to come again',
  async () => {
    const model = upstream.script('for-nobody', [say('Listen: '), hang()]);
    const busy = await addTenant('busy', { model }, ['--concurrent-runs', '1']);
    // All at once: the assistant of a tenant that comes for the first time is made once.
    const paths = await Promise.all(Array.from({ length: 12 }, () => begin(busy)));
    expect(await Array.fromAsync(busy.client.beta.assistants.list())).toHaveLength(1);
    const [first = '', second = '', third = ''] = paths;

    const leaving = new AbortController();
    const held = await call(busy.token, first, { text: 'Tell me' }, leaving.signal);
    const reader = held.body?.getReader();
    expect(new TextDecoder().decode((await reader?.read())?.value)).toContain('Listen:');

    const refused = await call(busy.token, second, { text: 'Me too' });
    expect(refused.status).toBe(429);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    // Nothing of it is left: said again, it is there once.
    expect(await (await call(busy.token, second)).json()).toEqual([]);

    const waiting = call(busy.token, third, { text: 'And me' }, AbortSignal.timeout(TEST_MS));
    leaving.abort();
    expect(await upstream.requestsFor(model)[0]?.ended).toBe('aborted');
    const [, threadId = ''] = /(thread_\w+)/.exec(first) ?? [];
    await waitUntil('the run is cancelled', async () => {
      const { data } = await busy.client.beta.threads.runs.list(threadId);
      return data[0]?.status === 'cancelled';
    });
    const turn = await waiting;
    expect(turn.status).toBe(200);
    await turn.body?.cancel();
  },
  TEST_MS,
);

test('what a client sends wrongly is refused before anything is asked of the server', async () => {
  const path = await begin(acme);
  for (const body of [{}, { text: '' }, { text: 1 }, { text: 'x'.repeat(20_001) }]) {
    expect((await call(acme.token, path, body)).status).toBe(400);
  }
  const headers = { authorization: `Bearer ${acme.token}` };
  expect((await fetch(`${url}${path}`, { method: 'POST', headers, body: '{' })).status).toBe(400);
  expect((await fetch(`${url}${path}`, { method: 'DELETE', headers })).status).toBe(405);
  expect((await call(acme.token, '/elsewhere')).status).toBe(404);
  expect(await (await call(acme.token, path)).json()).toEqual([]);
});
