/** kill -9 amid runs of every kind: what was promised to a client holds, and the parts of every run fit each other. */

import { Database } from 'bun:sqlite';
import { expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  createApi,
  type Json,
  type RunApi,
  toEnvironment,
  toFunction,
  toLastRun,
  toOutputs,
  toRunPath,
} from '../runs/run-fixture.ts';
import { startScriptedUpstream } from '../support/scripted-upstream.ts';
import { startServer, waitUntil } from '../support/server.ts';
import * as steps from '../support/upstream-steps.ts';

const ROUNDS = 6;
const CLIENTS = 24;
/** Begun before the kill in each round. */
const RUNS_BEFORE_KILL = 150;
const TOOLS = [toFunction('get_weather')];

/** What a client was told, and what must therefore hold for ever. */
interface Promised {
  readonly run: Json;
  /** The message that the client added to the thread. */
  messageId: string | null;
  /** The first outputs were accepted. */
  isAnswered: boolean;
  isCancelled: boolean;
  /** The stream announced this status as the last. */
  ending: string | null;
}

/** One run, by one of four kinds of clients. Throws when the server dies under it. */
async function play(api: RunApi, assistantId: string, index: number, promised: Promised[]): Promise<void> {
  const threadId = await api.createThread();
  const { id: messageId } = await api.post(`/v1/threads/${threadId}/messages`, {
    role: 'user',
    content: 'kept',
  });
  const reader = await api.open(`/v1/threads/${threadId}/runs`, { assistant_id: assistantId });
  const [created] = await reader.readTo('thread.run.created');
  const entry: Promised = {
    run: created?.data,
    messageId,
    isAnswered: false,
    isCancelled: false,
    ending: null,
  };
  promised.push(entry);
  if (index % 4 === 0) {
    await reader.readTo('thread.message.delta');
    await api.post(`${toRunPath(entry.run)}/cancel`);
    entry.isCancelled = true;
  }
  if (index % 4 === 1) return reader.leave();
  const seen = await reader.rest();
  // A stream that this server's end broke off has thrown by now.
  const run = seen.some(({ data }) => data.object === 'thread.run') ? toLastRun(seen) : entry.run;
  entry.ending = run.status;
  if (run.status !== 'requires_action' || index % 4 === 2) return;
  // Outputs that are sent may be taken although the answer never comes.
  entry.ending = null;
  const path = `${toRunPath(run)}/submit_tool_outputs`;
  const second = await api.open(path, { tool_outputs: toOutputs(run, () => '-3') });
  entry.isAnswered = true;
  entry.ending = toLastRun(await second.rest()).status;
}

test('what a client was told before a kill still holds after it, and no part of a run is lost or left over', async () => {
  const upstream = await startScriptedUpstream({ requestsMax: 0 });
  const dataDirectory = await mkdtemp(join(tmpdir(), 'understudy-kill-mixed-'));
  const env = toEnvironment(upstream);
  const models = [
    upstream.script('kill-text', [steps.pace(300), steps.say('one two three four five')]),
    upstream.script(
      'kill-calls',
      [
        steps.pace(300),
        steps.say('Let me see'),
        steps.callTool('get_weather', { city: 'Oslo', day: 'tomorrow' }, { id: 'call_1' }),
      ],
      [steps.pace(300), steps.say('It is cold there')],
    ),
  ];
  const promised: Promised[] = [];
  try {
    for (let round = 0; round < ROUNDS; round += 1) {
      const server = await startServer({ dataDirectory, env });
      const api = createApi(server);
      const assistants = await Promise.all(
        models.map((model) => api.createAssistant(model, { tools: TOOLS })),
      );
      const wanted = promised.length + RUNS_BEFORE_KILL;
      let next = 0;
      let isAlive = true;
      const work = async (): Promise<void> => {
        while (isAlive) {
          const index = next;
          next += 1;
          const assistant = assistants[Math.floor(index / 4) % assistants.length] ?? '';
          await play(api, assistant, index, promised);
        }
      };
      const clients = Array.from({ length: CLIENTS }, () => work().catch(() => undefined));
      await waitUntil('enough has begun', () => promised.length >= wanted, 30_000);
      isAlive = false;
      await server.kill();
      await Promise.all(clients);
    }
    const server = await startServer({ dataDirectory, env });
    const api = createApi(server);
    for (const entry of promised) await checkPromise(api, entry);
    expect(await server.stop()).toBe(0);
    checkFile(join(dataDirectory, 'understudy.db'));
  } finally {
    await upstream.close();
    await rm(dataDirectory, { recursive: true, force: true });
  }
}, 240_000);

async function checkPromise(api: RunApi, entry: Promised): Promise<void> {
  const run = await api.waitForRest(entry.run, 30_000);
  const messages = await api.listMessages(run.thread_id);
  expect(messages.map(({ id }) => id)).toContain(entry.messageId);
  if (entry.isCancelled) expect(run.status).toBe('cancelled');
  if (entry.ending !== null && !entry.isCancelled) expect(run.status).toBe(entry.ending);
  if (entry.isAnswered) {
    expect(run.status).not.toBe('requires_action');
    const [call] = (await api.listSteps(run)).filter(({ type }) => type === 'tool_calls');
    expect(call.step_details.tool_calls[0].function.output).toBe('-3');
  }
  if (run.status === 'cancelled') return;
  const answers = messages.filter(({ role }) => role === 'assistant');
  const texts = answers.map((message) => message.content[0].text.value);
  const isPlain = run.model.endsWith('kill-text');
  if (isPlain) expect(texts).toEqual(['one two three four five']);
  else if (run.status === 'requires_action') expect(texts).toEqual(['Let me see']);
  else expect(texts).toEqual(['Let me see', 'It is cold there']);
}

/** What must hold between the records of the file; each is a query that must find nothing. */
const FAULTS: Readonly<Record<string, string>> = {
  'a run that is under way': `runs WHERE json_extract(document, '$.status') IN ('queued', 'in_progress', 'cancelling')`,
  'a lease of a run that has ended': `leases WHERE id NOT IN
    (SELECT id FROM runs WHERE json_extract(document, '$.status') = 'requires_action')`,
  'a run that waits without a lease': `runs WHERE json_extract(document, '$.status') = 'requires_action'
    AND id NOT IN (SELECT id FROM leases)`,
  'a thread that is held by no lease': `threads WHERE json_extract(document, '$.active_run_id') NOT IN (SELECT id FROM leases)`,
  'a lease whose thread is not held': `leases WHERE id NOT IN
    (SELECT json_extract(document, '$.active_run_id') FROM threads
      WHERE json_extract(document, '$.active_run_id') IS NOT NULL)`,
  'an open message': `messages WHERE json_extract(document, '$.status') = 'in_progress'`,
  'an open step of a run that does not wait': `steps WHERE json_extract(document, '$.status') = 'in_progress'
    AND parent NOT IN (SELECT id FROM leases)`,
  'a step without its run': 'steps WHERE parent NOT IN (SELECT id FROM runs)',
  'a message of a run without its step': `messages WHERE json_extract(document, '$.run_id') IS NOT NULL
    AND id NOT IN (SELECT json_extract(document, '$.step_details.message_creation.message_id') FROM steps
      WHERE json_extract(document, '$.type') = 'message_creation')`,
  'a step without its message': `steps WHERE json_extract(document, '$.type') = 'message_creation'
    AND json_extract(document, '$.step_details.message_creation.message_id') NOT IN (SELECT id FROM messages)`,
};

function checkFile(file: string): void {
  const database = new Database(file, { readonly: true });
  const integrity = database.query<{ integrity_check: string }, []>('PRAGMA integrity_check').get();
  expect(integrity?.integrity_check).toBe('ok');
  const found = Object.entries(FAULTS).map(([name, sql]) => {
    const row = database.query<{ n: number }, []>(`SELECT count(*) AS n FROM ${sql}`).get();
    return [name, row?.n ?? -1];
  });
  expect(found).toEqual(Object.keys(FAULTS).map((name) => [name, 0]));
  database.close();
}
