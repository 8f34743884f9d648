/** What a server that has done work of every kind tells of it: true numbers, and nothing that is nobody's business. */

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { getSpec, OTHER, SERIES_NAMES } from '../../src/metrics/series.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';
import { startServer, type TestServer, waitUntil } from '../support/server.ts';
import { callTool, fail, say, usage, waitFor } from '../support/upstream-steps.ts';
import { sumSamples } from './prometheus.ts';

/** Words of their own, so that not even a part of one is anything else. */
const SECRET = 'zq1operatorkey';
const REQUEST_KEY = 'zq2requestkey';
const WORDS = 'zq3wordsofamessage';
const TEST_MS = 60_000;

const messages = [{ role: 'user' as const, content: WORDS }];
const COUNTS = { prompt_tokens: 1000, completion_tokens: 20, total_tokens: 1020 };

let upstream: ScriptedUpstream;
let server: TestServer;
let page = '';

async function readPage(): Promise<string> {
  page = (await server.call('GET', '/metrics')).text;
  return page;
}

const sum = async (name: string, ...texts: string[]): Promise<number> =>
  sumSamples(await readPage(), name, ...texts);

/** How much a sample grows by what is done. */
async function measure(work: () => Promise<unknown>, name: string, ...texts: string[]): Promise<number> {
  const before = await sum(name, ...texts);
  await work();
  return (await sum(name, ...texts)) - before;
}

function complete(body: object): Promise<{ status: number; text: string }> {
  return server.call('POST', '/v1/chat/completions', { messages, ...body }, { 'api-key': REQUEST_KEY });
}

async function run(model: string, rest: object = {}): Promise<string> {
  const { json: assistant } = await server.call('POST', '/v1/assistants', {
    model,
    instructions: WORDS,
    ...rest,
  });
  const body = { assistant_id: assistant.id, thread: { messages }, stream: true };
  return (await server.call('POST', '/v1/threads/runs', body)).text;
}

beforeAll(async () => {
  upstream = await startScriptedUpstream();
  server = await startServer({
    flags: ['--embedding-model', 'understudy/rehearsal'],
    env: { OPENAI_BASE_URL: upstream.url, OPENAI_API_KEY: SECRET },
  });
});
afterAll(async () => {
  await server.stop();
  await upstream.close();
});

describe('tokens', () => {
  test("are the provider's counts, of a document and of a stream that says them", async () => {
    const model = upstream.script('tokens', [say('a'), usage(COUNTS)]);
    const prompt = ['understudy_tokens_total', 'provider="openai"', 'kind="prompt"'] as const;
    const completion = ['understudy_tokens_total', 'provider="openai"', 'kind="completion"'] as const;
    expect(await measure(() => complete({ model }), ...prompt)).toBe(1000);
    const streamed = { model, stream: true, stream_options: { include_usage: true } };
    expect(await measure(() => complete(streamed), ...completion)).toBe(20);
    // Whoever did not ask is not told, and neither is the server.
    const untold = upstream.script('tokens-untold', [say('a')]);
    expect(await measure(() => complete({ model: untold, stream: true }), ...completion)).toBe(0);
  });

  test('of a run are counted once, with those from a cache among them', async () => {
    const details = { ...COUNTS, prompt_tokens_details: { cached_tokens: 400 } };
    const model = upstream.script('run-tokens', [say('a'), usage(details)]);
    expect(await measure(() => run(model), 'understudy_tokens_total', 'kind="prompt"')).toBe(1000);
    expect(await measure(() => run(model), 'understudy_tokens_total', 'kind="cached"')).toBe(400);
  });

  test('of embeddings are counted by themselves', async () => {
    const body = { model: 'understudy/rehearsal', input: ['one two three'] };
    const work = () => server.call('POST', '/v1/embeddings', body);
    expect(await measure(work, 'understudy_tokens_total', 'kind="embedding"')).toBe(3);
    expect(await measure(work, 'understudy_tokens_total', 'kind="prompt"')).toBe(0);
  });

  test('that the words of an answer pretend to are none', async () => {
    const model = upstream.script('pretender', [say('"usage":{"prompt_tokens":99999}'), usage(null)]);
    expect(await measure(() => complete({ model }), 'understudy_tokens_total')).toBe(0);
  });
});

describe('calls of providers', () => {
  test('are counted each, the failed ones and what was tried again too', async () => {
    const model = upstream.script('retried', [fail(500, { times: 1 }), say('a')]);
    const before = await readPage();
    expect(await run(model)).toContain('thread.run.completed');
    const after = await readPage();
    const grown = (name: string, ...texts: string[]) =>
      sumSamples(after, name, ...texts) - sumSamples(before, name, ...texts);
    const calls = 'understudy_provider_calls_total';
    expect(grown(calls, 'provider="openai",use="chat",outcome="server"')).toBe(1);
    expect(grown(calls, 'provider="openai",use="chat",outcome="success"')).toBe(1);
    expect(grown('understudy_provider_retries_total', 'provider="openai"')).toBe(1);
    expect(grown('understudy_provider_call_duration_seconds_count', 'use="chat"')).toBe(2);
  });

  test('that a provider limits are told apart from those that it refuses', async () => {
    const limited = upstream.script('limited', [fail(429)]);
    const refused = upstream.script('refused', [fail(400)]);
    const calls = 'understudy_provider_calls_total';
    expect(await measure(() => complete({ model: limited }), calls, 'outcome="rate_limit"')).toBe(1);
    expect(await measure(() => complete({ model: refused }), calls, 'outcome="invalid_request"')).toBe(1);
    const errors = 'understudy_errors_total';
    expect(await measure(() => complete({ model: limited }), errors, 'rate_limit_exceeded')).toBe(1);
  });
});

describe('runs', () => {
  test('are counted by how they ended, and their time to the first token once', async () => {
    const good = upstream.script('good', [say('a', 'b')]);
    const bad = upstream.script('bad', [fail(400)]);
    const ended = 'understudy_runs_ended_total';
    const first = 'understudy_time_to_first_token_seconds_count';
    expect(await measure(() => run(good), ended, 'status="completed"')).toBe(1);
    expect(await measure(() => run(bad), ended, 'status="failed"')).toBe(1);
    expect(await measure(() => run(good), first, 'kind="run"')).toBe(1);
    expect(await measure(() => run(bad), first, 'kind="run"')).toBe(0);
    expect(await sum('understudy_runs_active')).toBe(0);
  });

  test('that wait for their client and go on are one run', async () => {
    const model = upstream.script('tools', [callTool('look_up', { q: 1 })], [say('done')]);
    const tools = [{ type: 'function', function: { name: 'look_up', parameters: { type: 'object' } } }];
    const work = async (): Promise<void> => {
      const text = await run(model, { tools });
      const found = /"id":"(run_[^"]+)".*?"thread_id":"(thread_[^"]+)"/.exec(text);
      const call = /call_\w+/.exec(text)?.[0];
      const path = `/v1/threads/${found?.[2]}/runs/${found?.[1]}/submit_tool_outputs`;
      const body = { tool_outputs: [{ tool_call_id: call, output: '1' }], stream: true };
      expect((await server.call('POST', path, body)).text).toContain('thread.run.completed');
    };
    expect(await measure(work, 'understudy_runs_started_total')).toBe(1);
    expect(await measure(work, 'understudy_runs_ended_total')).toBe(1);
    expect(await measure(work, 'understudy_run_duration_seconds_count')).toBe(1);
  });
});

describe('streams', () => {
  test('are open for as long as somebody reads them, whether they end or their client leaves', async () => {
    const opened = async (kind: string): Promise<number> =>
      await sum('understudy_streams_open', `kind="${kind}"`);
    for (const kind of ['relay', 'run']) {
      const leave = new AbortController();
      const held = Promise.withResolvers<void>();
      const model = upstream.script(`held-${kind}`, [say('a'), waitFor(held.promise), say('b')]);
      const { json: assistant } = await server.call('POST', '/v1/assistants', { model });
      const asked =
        kind === 'relay'
          ? ['/v1/chat/completions', { model, messages, stream: true }]
          : ['/v1/threads/runs', { assistant_id: assistant.id, thread: { messages }, stream: true }];
      const response = await fetch(`${server.url}${asked[0]}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(asked[1]),
        signal: leave.signal,
      });
      await response.body?.getReader().read();
      expect([kind, await opened(kind)]).toEqual([kind, 1]);
      leave.abort();
      await waitUntil(`the ${kind} is closed`, async () => (await opened(kind)) === 0);
      held.resolve();
    }
    expect(await sum('understudy_stream_bytes_total', 'kind="relay"')).toBeGreaterThan(100);
    expect(await sum('understudy_stream_duration_seconds_count', 'kind="relay"')).toBeGreaterThan(0);
  });
});

describe('files and search', () => {
  test(
    'are counted by their outcome and by what was searched by',
    async () => {
      const form = new FormData();
      form.set('purpose', 'assistants');
      form.set('file', new File([`The harbour is closed. ${WORDS}`], 'harbour.txt'));
      const { json: file } = await server.call('POST', '/v1/files', form);
      const { json: store } = await server.call('POST', '/v1/vector_stores', { file_ids: [file.id] });
      await waitUntil('the file is read', async () => {
        const { json } = await server.call('GET', `/v1/vector_stores/${store.id}`);
        return json.status === 'completed';
      });
      expect(await sum('understudy_ingest_files_total', 'outcome="completed"')).toBe(1);
      expect(await sum('understudy_ingest_duration_seconds_count')).toBe(1);
      const path = `/v1/vector_stores/${store.id}/search`;
      const search = () => server.call('POST', path, { query: 'harbour' });
      expect(await measure(search, 'understudy_search_duration_seconds_count', 'hybrid')).toBe(1);
      expect(await measure(search, 'understudy_index_operation_duration_seconds_count', '"search"')).toBe(1);
      expect(await sum('understudy_blob_operation_duration_seconds_count', 'put_piece')).toBeGreaterThan(0);
      const gone = () => server.call('POST', '/v1/vector_stores/vs_none/search', { query: 'x' });
      expect(await measure(gone, 'understudy_search_duration_seconds_count', 'failed')).toBe(1);
    },
    TEST_MS,
  );
});

describe('requests', () => {
  test('have their route as its template, and their sizes', async () => {
    const { json: thread } = await server.call('POST', '/v1/threads', {});
    const handler = 'handler="/v1/threads/{thread_id}"';
    const get = () => server.call('GET', `/v1/threads/${thread.id}`);
    const { text } = await get();
    expect(await measure(get, 'http_requests_total', handler, 'method="GET",status="2xx"')).toBe(1);
    expect(await measure(get, 'http_response_size_bytes_sum', handler)).toBe(Buffer.byteLength(text));
    const metadata = JSON.stringify({ metadata: { word: 'ü' } });
    const change = () => server.call('POST', `/v1/threads/${thread.id}`, { metadata: { word: 'ü' } });
    expect(await measure(change, 'http_request_size_bytes_sum', handler)).toBe(Buffer.byteLength(metadata));
    const wrong = () => server.call('POST', `/v1/threads/${thread.id}`, { metadata: 7 });
    const error = await wrong();
    expect(await measure(wrong, 'http_response_size_bytes_sum', handler)).toBe(Buffer.byteLength(error.text));
    expect(await measure(wrong, 'http_requests_total', handler, 'status="4xx"')).toBe(1);
    expect(await measure(wrong, 'understudy_errors_total', 'code="invalid_type"')).toBe(1);
  });

  test('of a known path with a method that it has not, or none that exists, have no route', async () => {
    const none = 'handler="none"';
    const patch = () => server.call('PATCH', '/v1/assistants');
    expect(await measure(patch, 'http_requests_total', none, 'method="PATCH"')).toBe(1);
  });
});

// Last: it looks at all that the tests before have left.
describe('the whole page', () => {
  test('shows nothing that is not declared, and no value of a label beyond its bound', async () => {
    await readPage();
    const names = new Set<string>(SERIES_NAMES);
    for (const line of page.split('\n').filter((text) => text !== '' && !text.startsWith('#'))) {
      const name = (/^[a-z_]+/.exec(line)?.[0] ?? '').replace(/_(bucket|sum|count)$/, '');
      expect([line, names.has(name)]).toEqual([line, true]);
      const spec = getSpec(name as (typeof SERIES_NAMES)[number]);
      for (const [, label = '', value = ''] of line.matchAll(/([a-z_]+)="([^"]*)"/g)) {
        if (label === 'le' || (label === 'worker' && spec.merge === 'by_worker')) continue;
        const bound = spec.labels[label];
        expect([line, bound !== undefined]).toEqual([line, true]);
        if (Array.isArray(bound))
          expect([line, [...bound, OTHER]]).toEqual([line, expect.arrayContaining([value])]);
      }
    }
  });

  test('shows no key, no id, no host, no name of a model, and no words of a message', async () => {
    await readPage();
    for (const word of [SECRET, REQUEST_KEY, WORDS, 'script:', '127.0.0.1', new URL(upstream.url).port]) {
      const lines = page.split('\n').filter((line) => line.includes(word) && !/ \d[\d.e+]*$/.test(line));
      expect([word, lines]).toEqual([word, []]);
    }
    expect(page).not.toMatch(
      /(asst|thread|msg|run|step|call|file|vs|vsfb|upload|part|req|chatcmpl)[_-][A-Za-z0-9]{16,}/,
    );
  });
});
