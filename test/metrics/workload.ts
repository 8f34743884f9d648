/** A server, behind it a model's, and work of every kind that is counted. */

import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';
import { startServer, type TestServer, waitUntil } from '../support/server.ts';
import { fail, say, usage } from '../support/upstream-steps.ts';

export interface Workplace {
  readonly server: TestServer;
  /** Each kind of work once. */
  work(): Promise<void>;
  /** Has the model's server fail until it is left alone: no work with models is of use afterwards. */
  breakModel(): Promise<void>;
  stop(): Promise<void>;
}

/** Failures in a row that open a provider's circuit. */
const FAILURES = 10;
const messages = [{ role: 'user' as const, content: 'Hello' }];
const COUNTS = { prompt_tokens: 1000, completion_tokens: 20, total_tokens: 1020 };

export async function startWorkplace(flags: readonly string[] = []): Promise<Workplace> {
  const upstream = await startScriptedUpstream();
  const server = await startServer({
    flags: ['--embedding-model', 'understudy/rehearsal', ...flags],
    env: { OPENAI_BASE_URL: upstream.url, OPENAI_API_KEY: 'operator' },
  });
  let rounds = 0;
  return {
    server,
    async work() {
      rounds += 1;
      await askModels(server, upstream, rounds);
      await readFiles(server);
      await server.call('GET', '/nowhere');
      await server.call('GET', '/v1/assistants?after=asst_nobody');
    },
    async breakModel() {
      const model = upstream.script('broken', [fail(500)]);
      for (let at = 0; at < FAILURES; at += 1) {
        await server.call('POST', '/v1/chat/completions', { model, messages });
      }
      await waitUntil('the open circuit is told', async () => {
        const { text } = await server.call('GET', '/metrics');
        return text.includes('understudy_provider_circuits_open{provider="openai"} 1');
      });
    },
    async stop() {
      await server.stop();
      await upstream.close();
    },
  };
}

async function askModels(server: TestServer, upstream: ScriptedUpstream, round: number): Promise<void> {
  const details = { ...COUNTS, prompt_tokens_details: { cached_tokens: 400 } };
  const good = upstream.script(`good-${round}`, [say('a', 'b'), usage(details)]);
  const retried = upstream.script(`retried-${round}`, [fail(500, { times: 1 }), say('a')]);
  for (const stream of [true, false]) {
    await server.call('POST', '/v1/chat/completions', { model: good, messages, stream });
  }
  await server.call('POST', '/v1/embeddings', { model: 'understudy/rehearsal', input: 'one' });
  await server.call('POST', '/v1/embeddings', { model: 'any', input: 'one' });
  for (const model of [good, retried]) {
    const { json: assistant } = await server.call('POST', '/v1/assistants', { model });
    const body = { assistant_id: assistant.id, thread: { messages }, stream: true };
    await server.call('POST', '/v1/threads/runs', body);
  }
}

async function readFiles(server: TestServer): Promise<void> {
  const form = new FormData();
  form.set('purpose', 'assistants');
  form.set('file', new File(['The harbour is closed.'], 'harbour.txt'));
  const { json: file } = await server.call('POST', '/v1/files', form);
  const { json: store } = await server.call('POST', '/v1/vector_stores', { file_ids: [file.id] });
  await waitUntil('the file is read', async () => {
    const { json } = await server.call('GET', `/v1/vector_stores/${store.id}`);
    return json.status === 'completed';
  });
  await server.call('POST', `/v1/vector_stores/${store.id}/search`, { query: 'harbour' });
}
