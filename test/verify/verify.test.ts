/** `understudy verify`, as people call it: against the real server, against one whose answers are spoilt, against others. */

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Line } from '../../src/verify/outcome.ts';
import { runProgram } from '../check/program.ts';
import { AUTHORITY, CERTIFICATE, CERTIFICATE_KEY } from '../support/certificate.ts';
import { startServer, type TestServer, waitUntil } from '../support/server.ts';
import { type Spoiling, startSpoilingProxy, withFrames, without, withStatus } from './spoiling-proxy.ts';

let server: TestServer;

beforeAll(async () => {
  server = await startServer();
});

afterAll(() => server?.stop());

async function verify(url: string, ...flags: string[]) {
  const ended = await runProgram(['verify', '--base-url', url, '--json', ...flags]);
  const report = ended.stdout === '' ? null : JSON.parse(ended.stdout);
  const lines: readonly Line[] = report?.lines ?? [];
  return { ...ended, report, lines };
}

/** `POST /threads/runs, streamed: done` of the lines that failed. */
function toFailed(lines: readonly Line[]): string[] {
  return lines
    .filter(({ outcome }) => outcome === 'failed')
    .map(({ title, event }) => (event === null ? title : `${title}: ${event}`));
}

async function expectNothingLeft(): Promise<void> {
  for (const list of ['assistants', 'threads', 'files', 'vector_stores']) {
    const { json } = await server.call('GET', `/v1/${list}`);
    expect({ list, data: json.data }).toEqual({ list, data: [] });
  }
}

describe('the real server', () => {
  test('holds in every line, and has nothing left afterwards', async () => {
    const { code, stderr, report, lines } = await verify(`${server.url}/v1`);
    expect(stderr).toBe('');
    expect(lines.filter(({ outcome }) => outcome !== 'ok')).toEqual([]);
    expect(lines.length).toBeGreaterThan(150);
    expect(report).toMatchObject({ model: 'understudy/rehearsal', left: [], counts: { ok: lines.length } });
    expect(code).toBe(0);
    await expectNothingLeft();
  });

  test('is shown as a table with a summary, and as Markdown', async () => {
    const table = await runProgram(['verify', '--base-url', server.url]);
    expect(table.stdout).toMatch(/^ok +POST \/threads\/\{thread_id\}\/runs, streamed +\d+ ms$/m);
    expect(table.stdout).toMatch(/^ok +thread\.run\.completed +\d+ ms$/m);
    expect(table.stdout).toMatch(/^\d+ ok, 0 failed, 0 not there, 0 skipped\.$/m);
    const markdown = await runProgram(['verify', '--base-url', server.url, '--markdown']);
    expect(markdown.stdout).toMatch(/^\| `POST \/threads` +\| `createThread` +\| ok +\|/m);
  });
});

const STREAMED = 'POST /threads/{thread_id}/runs, streamed';
const STREAM: Omit<Spoiling, 'spoil'> = {
  request: /^POST \/v1\/threads\/[^/]+\/runs$/,
  body: /"stream":true/,
  which: 0,
};

function isEvent(frame: string, name: string): boolean {
  return frame.startsWith(`event: ${name}\n`);
}

describe('one answer that is spoilt fails the line that it belongs to, and no other', () => {
  const cases: readonly (readonly [string, Spoiling, string, RegExp])[] = [
    [
      'a wrong status of success',
      { request: /^GET \/v1\/assistants\/asst/, which: 0, spoil: withStatus(201) },
      'GET /assistants/{assistant_id}',
      /status 201/,
    ],
    [
      'a server error',
      { request: /^GET \/v1\/vector_stores\/[^/]+\/files$/, spoil: withStatus(500) },
      'GET /vector_stores/{vector_store_id}/files',
      /500/,
    ],
    [
      'an object that is not found where it should be',
      {
        request: /^POST \/v1\/threads\/thread_[^/]+$/,
        spoil: (response) => {
          const id = new URL(response.url).pathname.split('/').at(-1);
          return Response.json(
            { error: { message: `No thread found with id '${id}'.`, type: 'invalid_request_error' } },
            { status: 404 },
          );
        },
      },
      'POST /threads/{thread_id}',
      /404/,
    ],
    [
      'a missing field',
      { request: /^POST \/v1\/assistants$/, spoil: without('tools') },
      'POST /assistants',
      /a field is missing: 'tools'/,
    ],
    [
      'an error that is none',
      { request: /^GET \/v1\/threads\/thread_0+$/, spoil: withStatus(200) },
      'GET /threads/{thread_id}, of an id that nothing has',
      /taken for right/,
    ],
    [
      'an event out of order',
      {
        ...STREAM,
        spoil: withFrames((frames) => {
          const created = frames.findIndex((frame) => isEvent(frame, 'thread.message.created'));
          const [frame = ''] = frames.splice(created, 1);
          return frames.toSpliced(created + 1, 0, frame);
        }),
      },
      `${STREAMED}: thread.message.in_progress`,
      /^$|before/,
    ],
    [
      'an event that is left out',
      {
        ...STREAM,
        spoil: withFrames((frames) => frames.filter((frame) => !isEvent(frame, 'thread.run.queued'))),
      },
      `${STREAMED}: thread.run.queued`,
      /did not come/,
    ],
    [
      'an event that lacks a field',
      {
        ...STREAM,
        spoil: withFrames((frames) =>
          frames.map((frame) =>
            isEvent(frame, 'thread.run.step.completed')
              ? frame.replace('"step_details"', '"details"')
              : frame,
          ),
        ),
      },
      `${STREAMED}: thread.run.step.completed`,
      /step_details/,
    ],
    [
      'a delta that is lost',
      {
        ...STREAM,
        spoil: withFrames((frames) => {
          const last = frames.findLastIndex((frame) => isEvent(frame, 'thread.message.delta'));
          return frames.toSpliced(last, 1);
        }),
      },
      `${STREAMED}: thread.message.completed`,
      /text is not that of its deltas/,
    ],
    [
      'an ending that claims another status',
      {
        ...STREAM,
        spoil: withFrames((frames) =>
          frames.map((frame) =>
            isEvent(frame, 'thread.run.completed')
              ? frame.replace('"status":"completed"', '"status":"in_progress"')
              : frame,
          ),
        ),
      },
      `${STREAMED}: thread.run.completed`,
      /its status is in_progress/,
    ],
    [
      'a stream that is cut off',
      { ...STREAM, spoil: withFrames((frames) => frames.slice(0, -3)) },
      `${STREAMED}: done`,
      /ended after thread\.message\.completed, without its end/,
    ],
    [
      'a stream of chat that is cut off',
      {
        request: /^POST \/v1\/chat\/completions$/,
        body: /"stream":true/,
        spoil: withFrames((frames) => frames.slice(0, -1)),
      },
      'POST /chat/completions, streamed: done',
      /without its end/,
    ],
  ];

  test.each(cases)('%s', async (_name, spoiling, title, detail) => {
    const proxy = startSpoilingProxy(server.url, spoiling);
    try {
      const { code, lines } = await verify(proxy.url);
      expect(proxy.spoilt()).toBeGreaterThan(0);
      expect(toFailed(lines)).toEqual([title]);
      expect(lines.find(({ outcome }) => outcome === 'failed')?.detail).toMatch(detail);
      expect(code).toBe(1);
    } finally {
      await proxy.stop();
    }
    await expectNothingLeft();
  });

  test('one that was made and never told of is found again and taken away', async () => {
    const proxy = startSpoilingProxy(server.url, {
      request: /^POST \/v1\/(assistants|vector_stores|files)$/,
      spoil: withStatus(500),
    });
    const hidden = startSpoilingProxy(proxy.url, {
      request: /^POST \/v1\/(assistants|vector_stores|files)$/,
      spoil: without('id'),
    });
    try {
      const { code, lines } = await verify(hidden.url);
      expect(toFailed(lines)).toContain('POST /assistants');
      expect(lines.filter(({ outcome }) => outcome === 'skipped').length).toBeGreaterThan(10);
      expect(code).toBe(1);
    } finally {
      await Promise.all([hidden.stop(), proxy.stop()]);
    }
    await expectNothingLeft();
  });
});

describe('other servers', () => {
  test('one that has chat completions alone holds there, and lacks the rest', async () => {
    const other = Bun.serve({
      port: 0,
      hostname: '127.0.0.1',
      async fetch(request) {
        const { pathname } = new URL(request.url);
        if (pathname !== '/v1/chat/completions')
          return Response.json({ detail: 'Not Found' }, { status: 404 });
        const answer = await server.call('POST', pathname, await request.text(), {
          'content-type': 'application/json',
        });
        return new Response(answer.text, { status: answer.status, headers: answer.headers });
      },
    });
    try {
      const { code, lines } = await verify(
        `http://127.0.0.1:${other.port}`,
        '--model',
        'understudy/rehearsal',
      );
      const ok = lines.filter(({ outcome }) => outcome === 'ok');
      expect(new Set(ok.map(({ operation }) => operation))).toEqual(new Set(['createChatCompletion']));
      expect(toFailed(lines)).toEqual([]);
      const outcomeOf = (operation: string) => lines.find((line) => line.operation === operation)?.outcome;
      expect(['listModels', 'createAssistant', 'createThread', 'createFile'].map(outcomeOf)).toEqual(
        Array(4).fill('not there'),
      );
      expect(outcomeOf('createRun')).toBe('skipped');
      expect(code).toBe(0);
    } finally {
      await other.stop(true);
    }
  });

  test('one that has nothing of the API fails, and one that nobody answers at is named', async () => {
    const empty = Bun.serve({
      port: 0,
      hostname: '127.0.0.1',
      fetch: () => new Response('', { status: 404 }),
    });
    const nothing = await verify(`http://127.0.0.1:${empty.port}`, '--model', 'm');
    expect(nothing).toMatchObject({ code: 1, stderr: 'understudy: nothing of the API is there.\n' });
    await empty.stop(true);
    const gone = await verify(`http://127.0.0.1:${empty.port}`, '--model', 'm');
    expect(gone).toMatchObject({ code: 1, stdout: '' });
    expect(gone.stderr).toContain(`http://127.0.0.1:${empty.port}/v1: `);
  });

  test('one that hangs fails after --timeout-seconds, and what it made unsaid is taken away', async () => {
    const proxy = startSpoilingProxy(server.url, {
      request: /^POST \/v1\/threads\/runs$/,
      which: 0,
      spoil: () => new Promise<Response>(() => undefined),
    });
    try {
      const { lines, code } = await verify(proxy.url, '--timeout-seconds', '2');
      const failed = lines.filter(({ outcome }) => outcome === 'failed');
      expect(failed.map(({ title, detail }) => [title, detail])).toEqual([
        ['POST /threads/runs', 'not done after 2 seconds'],
      ]);
      expect(code).toBe(1);
    } finally {
      await proxy.stop();
    }
    await expectNothingLeft();
  });
});

describe('a deployment of your own', () => {
  test('with keys holds with one, and is told of without', async () => {
    const deployed = await startServer({ flags: ['--auth', 'keys', '--store', 'sqlite'] });
    try {
      const made = await runProgram(['keys', 'create', '--project', 'p', '--data', deployed.dataDirectory]);
      const { code, lines } = await verify(deployed.url, '--api-key', made.stdout.trim());
      expect(lines.filter(({ outcome }) => outcome !== 'ok')).toEqual([]);
      expect(code).toBe(0);
      const without = await verify(deployed.url);
      expect(without).toMatchObject({ code: 1, stdout: '' });
      expect(without.stderr).toContain('the server refuses the key');
    } finally {
      await deployed.stop();
    }
  });

  test('with a certificate that nobody vouches for, or of another name, is told of and not spoken to', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'understudy-verify-'));
    const cert = join(folder, 'cert.pem');
    const key = join(folder, 'key.pem');
    const authority = join(folder, 'authority.pem');
    await Bun.write(cert, CERTIFICATE);
    await Bun.write(key, CERTIFICATE_KEY);
    await Bun.write(authority, AUTHORITY);
    const deployed = await startServer({
      flags: ['--store', 'sqlite', '--tls-cert', cert, '--tls-key', key],
    });
    try {
      const args = ['verify', '--base-url', deployed.url.replace('127.0.0.1', 'localhost')];
      const refused = await runProgram(args);
      expect(refused).toMatchObject({ code: 1, stdout: '' });
      expect(refused.stderr).toContain('unable to verify the first certificate');
      // The authority is believed then, and the name, `model.example`, is looked at.
      const named = await runProgram(args, { env: { NODE_EXTRA_CA_CERTS: authority } });
      expect(named).toMatchObject({ code: 1, stdout: '' });
      expect(named.stderr).toMatch(/ALTNAME|altnames|not match|hostname/i);
    } finally {
      await deployed.stop();
      await rm(folder, { recursive: true });
    }
  });
});

describe('the key', () => {
  const KEY = 'sk-verify-0123456789';
  const refusing = () =>
    Bun.serve({
      port: 0,
      hostname: '127.0.0.1',
      fetch: (request) =>
        Response.json(
          { error: { message: `Wrong key: ${request.headers.get('authorization')}`, type: 'auth' } },
          { status: 401 },
        ),
    });

  test.each([
    ['--api-key', ['--api-key', KEY], {}],
    ['UNDERSTUDY_API_KEY', [], { UNDERSTUDY_API_KEY: KEY }],
  ] as const)(
    'of %s is sent, and never shown, even where the server repeats it',
    async (_name, flags, env) => {
      const other = refusing();
      const url = `http://127.0.0.1:${other.port}`;
      const { code, stdout, stderr } = await runProgram(['verify', '--base-url', url, ...flags], { env });
      expect(stderr).toContain('refuses the key: 401 Wrong key: Bearer [key]');
      expect(stdout + stderr).not.toContain(KEY);
      expect(code).toBe(1);
      await other.stop(true);
    },
  );

  test('of OpenAI that lies in the environment goes to no other server', async () => {
    const other = refusing();
    const env = { OPENAI_API_KEY: KEY, OPENAI_ADMIN_KEY: KEY, OPENAI_ORG_ID: 'org-of-mine' };
    const { stderr } = await runProgram(['verify', '--base-url', `http://127.0.0.1:${other.port}`], { env });
    expect(stderr).toContain('Bearer understudy');
    await other.stop(true);
  });
});

test('an interruption ends it with 130, and takes away what was made', async () => {
  const proxy = startSpoilingProxy(server.url, {
    request: /^POST \/v1\/threads\/runs$/,
    spoil: (response) => response,
  });
  const child = Bun.spawn([...toCommand(), 'verify', '--base-url', proxy.url], {
    env: { PATH: process.env.PATH ?? '' },
    stdout: 'pipe',
    stderr: 'pipe',
  });
  try {
    await waitUntil('a run on a thread of its own has begun', () => proxy.spoilt() > 0);
    child.kill('SIGINT');
    expect(await child.exited).toBe(130);
    expect(await new Response(child.stdout).text()).toMatch(/^ok +POST \/assistants/m);
    expect(proxy.seen.some((name) => name.startsWith('DELETE /v1/assistants/'))).toBe(true);
  } finally {
    child.kill('SIGKILL');
    await proxy.stop();
  }
  await expectNothingLeft();
});

function toCommand(): string[] {
  const binary = process.env.UNDERSTUDY_TEST_BINARY;
  return binary ? [binary] : [process.execPath, `${import.meta.dir}/../../src/main.ts`];
}

test.each([
  [[], 'verify needs --base-url URL'],
  [['--base-url', 'localhost:8700'], '--base-url must begin with'],
  [['--base-url', 'http://u:p@127.0.0.1'], '--base-url must begin with'],
  [['--base-url', 'http://127.0.0.1', '--timeout-seconds', '0'], '--timeout-seconds must be'],
  [['--base-url', 'http://127.0.0.1', '--json', '--markdown'], 'exclude each other'],
] as const)('misuse %p ends with 2, and calls nobody', async (flags, problem) => {
  const { code, stdout, stderr } = await runProgram(['verify', ...flags]);
  expect(stderr).toContain(problem);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
});
