/**
 * A client that does what a good one does while servers come and go: it tries again on another server, looks for what became of a
 * call whose answer never came, and remembers what it was promised.
 */

import { joinDeltas, openEvents, type SeenEvent } from '../runs/event-reader.ts';
import { type Json, toOutputs, toRunPath } from '../runs/run-fixture.ts';
import type { Answer, TestServer } from '../support/server.ts';

const TRY_EVERY_MS = 200;
/** A call of a client is tried for so long. */
const GIVE_UP_MS = 60_000;
/** Nothing of an answer comes for so long: that is a hang. */
const SILENT_MS = 30_000;
const CHECKS_AT_ONCE = 16;
const ENDS = ['completed', 'incomplete', 'failed', 'cancelled', 'expired'];

export interface Play {
  readonly assistantId: string;
  /** A message that is added before the run. */
  readonly kept: string;
  /** A message that comes with the run. */
  readonly extra: string | null;
}

/** What was promised. */
export interface Played extends Play {
  readonly threadId: string;
  /** Of the message whose addition was answered. */
  readonly messageId: string;
  /** Of a run that was announced. */
  readonly runId: string;
  /** How it ended, as a client was told. */
  readonly status: string;
}

export interface Statistics {
  /** Calls that were made again, by what had come instead of an answer. */
  readonly retries: Record<string, number>;
  /** Answers that say neither yes nor «try again», by their text. */
  readonly brokenAnswers: Record<string, number>;
  /** Streams that came to their end. */
  wholeStreams: number;
  /** Of those, such as did not bring the text of a message that they announced as completed. */
  tornStreams: number;
  /** Streams that did not come to their end, by what was said. */
  readonly brokenStreams: Record<string, number>;
  /** Streams that were refused, since an earlier call had been taken whose answer never came. */
  readonly refusals: Record<string, number>;
  /** Answers or events that did not come. */
  hangs: number;
  slowestMs: number;
  /** How long a thread was taken by a run that was not there. */
  takenMs: number;
}

export interface PersistentClient {
  readonly statistics: Statistics;
  post(path: string, body: object): Promise<Json>;
  get(path: string): Promise<Json>;
  play(play: Play): Promise<Played>;
  /** Says what does not hold of what was promised. */
  check(played: readonly Played[], texts: Readonly<Record<string, string>>): Promise<string[]>;
}

/** `getServers`: those that may be up now. */
export function createPersistentClient(getServers: () => readonly TestServer[]): PersistentClient {
  const statistics: Statistics = {
    retries: {},
    brokenAnswers: {},
    wholeStreams: 0,
    tornStreams: 0,
    brokenStreams: {},
    refusals: {},
    hangs: 0,
    slowestMs: 0,
    takenMs: 0,
  };
  let turn = 0;
  const next = (): TestServer => {
    const servers = getServers();
    turn += 1;
    const server = servers[turn % servers.length];
    if (server === undefined) throw new Error('There is no server.');
    return server;
  };
  const count = (counts: Record<string, number>, name: string): void => {
    counts[name] = (counts[name] ?? 0) + 1;
  };

  /** Until an answer comes that is no «try again». */
  const persist = async <T>(what: string, call: (server: TestServer) => Promise<T>): Promise<T> => {
    const deadline = performance.now() + GIVE_UP_MS;
    for (;;) {
      const startedMs = performance.now();
      try {
        return await call(next());
      } catch (error) {
        if (performance.now() > deadline) throw new Error(`given up: ${what}: ${error}`);
        if (error instanceof Hang) statistics.hangs += 1;
        count(statistics.retries, toReason(error));
        await Bun.sleep(TRY_EVERY_MS);
      } finally {
        statistics.slowestMs = Math.max(statistics.slowestMs, Math.round(performance.now() - startedMs));
      }
    }
  };

  const call = async (method: string, path: string, body?: object): Promise<Answer> =>
    await persist(`${method} ${path}`, async (server) => {
      const answer = await orHang(server.call(method, path, body));
      if (answer.status === 503) {
        if (answer.headers.get('retry-after') === null || answer.json?.error?.type !== 'server_error') {
          count(statistics.brokenAnswers, `503 ${answer.text}`);
        }
        throw new Error('503');
      }
      if (answer.status >= 500) {
        count(statistics.brokenAnswers, `${answer.status} ${method} ${toForm(path)} ${answer.text}`);
        throw new Error(String(answer.status));
      }
      return answer;
    });

  const expectOk = (answer: Answer, what: string): Json => {
    if (answer.status === 200) return answer.json;
    throw new Error(`${what} answered ${answer.status}: ${answer.text}`);
  };
  const post = async (path: string, body: object): Promise<Json> =>
    expectOk(await call('POST', path, body), `POST ${path}`);
  const get = async (path: string): Promise<Json> => expectOk(await call('GET', path), `GET ${path}`);

  /** The run as the stream announced it last; null where the call was refused for what stands in the thread. */
  const stream = async (path: string, body: object): Promise<Json | null> =>
    await persist(`stream ${path}`, async (server) => {
      let seen: Json = null;
      const events: SeenEvent[] = [];
      try {
        const reader = await orHang(
          openEvents({ url: `${server.url}${path}`, body: { ...body, stream: true } }),
        );
        for (;;) {
          const { value, done } = await orHang<IteratorResult<SeenEvent, void>>(reader.events.next());
          if (done === true || value === undefined) break;
          if (value.data.object === 'thread.run') seen = value.data;
          if (value.event === 'error') count(statistics.brokenStreams, value.data.message);
          events.push(value);
        }
        statistics.wholeStreams += 1;
        if (isTorn(events)) statistics.tornStreams += 1;
        return seen;
      } catch (error) {
        if (seen !== null) {
          if (error instanceof Hang) statistics.hangs += 1;
          count(statistics.brokenStreams, toReason(error));
          return seen;
        }
        if (String(error).startsWith('Error: no stream, but 400')) {
          count(statistics.refusals, toReason(error));
          return null;
        }
        if (/^Error: no stream, but 5(?!03)/.test(String(error))) {
          count(statistics.brokenAnswers, `${toForm(path)} ${error}`);
        }
        throw error;
      }
    });

  const listRuns = async (threadId: string): Promise<Json[]> =>
    (await get(`/v1/threads/${threadId}/runs?limit=100&order=asc`)).data;

  /**
   * The run that is announced; or, where it is refused, the one that an earlier call has made. There may be none for a while: the
   * thread was taken, and the server died before it made the run.
   */
  const begin = async (threadId: string, body: object): Promise<Json> => {
    const startedMs = performance.now();
    let refusedMs = 0;
    for (;;) {
      const run = (await stream(`/v1/threads/${threadId}/runs`, body)) ?? (await listRuns(threadId)).at(-1);
      if (run !== undefined) return run;
      refusedMs ||= performance.now();
      statistics.takenMs = Math.max(statistics.takenMs, Math.round(performance.now() - refusedMs));
      if (performance.now() - startedMs > GIVE_UP_MS) throw new Error(`no run can be made on ${threadId}`);
      await Bun.sleep(TRY_EVERY_MS);
    }
  };

  /** Until the run has ended; else answers it as it is. */
  const follow = async (run: Json): Promise<Json> => {
    const deadline = performance.now() + GIVE_UP_MS;
    for (let found = run; ; found = await get(toRunPath(run))) {
      if (ENDS.includes(found.status) || performance.now() > deadline) return found;
      if (found.status === 'requires_action') {
        const outputs = { tool_outputs: toOutputs(found, () => '-3') };
        await stream(`${toRunPath(run)}/submit_tool_outputs`, outputs);
      }
      await Bun.sleep(TRY_EVERY_MS);
    }
  };

  const play = async (asked: Play): Promise<Played> => {
    const { id: threadId } = await post('/v1/threads', {});
    const message = await post(`/v1/threads/${threadId}/messages`, { role: 'user', content: asked.kept });
    const extra =
      asked.extra === null ? {} : { additional_messages: [{ role: 'user', content: asked.extra }] };
    const run = await follow(await begin(threadId, { assistant_id: asked.assistantId, ...extra }));
    return { ...asked, threadId, messageId: message.id, runId: run.id, status: run.status };
  };

  const checkOne = async (one: Played, text: string): Promise<string[]> => {
    const faults: string[] = [];
    const expectThat = (holds: boolean, fault: string): void => {
      if (!holds) faults.push(`${one.threadId} ${one.runId}: ${fault}`);
    };
    expectThat(ENDS.includes(one.status), `the run was still ${one.status} when its client gave up`);
    const runs = await listRuns(one.threadId);
    const messages: Json[] = (await get(`/v1/threads/${one.threadId}/messages?limit=100&order=asc`)).data;
    const toText = (message: Json): string => message.content[0]?.text?.value ?? '';
    const ids = messages.map(({ id }) => id);
    expectThat(new Set(ids).size === ids.length, 'a message twice');
    expectThat(ids.includes(one.messageId), 'an acknowledged message is lost');
    expectThat(
      runs.some(({ id }) => id === one.runId),
      'an announced run is lost',
    );
    const extras = messages.filter((message) => toText(message) === one.extra).length;
    expectThat(
      one.extra === null || extras === runs.length,
      `${extras} extra messages of ${runs.length} runs`,
    );
    const answers = messages.filter(({ role }) => role === 'assistant');
    expectThat(
      answers.every((message) => runs.some(({ id }) => id === message.run_id)),
      'an answer of no run',
    );
    for (const run of runs) {
      if (run.status !== 'completed') {
        expectThat(false, `the run ${run.id} is ${run.status}: ${JSON.stringify(run.last_error)}`);
        continue;
      }
      const own = answers.filter((message) => message.run_id === run.id);
      expectThat(own.length === 1, `${own.length} answers of ${run.id}`);
      expectThat(
        own.every((message) => message.status === 'completed' && toText(message) === text),
        `answers ${JSON.stringify(own.map((message) => [message.status, toText(message)]))}`,
      );
      const made: Json[] = (await get(`${toRunPath(run)}/steps?limit=100&order=asc`)).data;
      const shape = made.map(({ type, status }) => `${type} ${status}`).join(', ');
      const calls = run.tools.length > 0 && text.startsWith('it is') ? 'tool_calls completed, ' : '';
      expectThat(shape === `${calls}message_creation completed`, `steps of ${run.id}: ${shape}`);
      expectThat(new Set(made.map(({ id }) => id)).size === made.length, 'a step twice');
      expectThat(
        made.at(-1)?.step_details.message_creation?.message_id === own[0]?.id,
        'a step of another message',
      );
      for (const step of made.filter(({ type }) => type === 'tool_calls')) {
        const outputs = step.step_details.tool_calls.map((made: Json) => made.function.output);
        expectThat(JSON.stringify(outputs) === '["-3"]', `outputs ${JSON.stringify(outputs)}`);
      }
      for (const field of ['prompt_tokens', 'completion_tokens', 'total_tokens']) {
        const sum = made.reduce((total, step) => total + (step.usage?.[field] ?? 0), 0);
        expectThat(
          run.usage?.[field] === sum,
          `${field} ${run.usage?.[field]} of the run, ${sum} of its steps`,
        );
      }
    }
    // Free: a message can be added.
    const added = await call('POST', `/v1/threads/${one.threadId}/messages`, {
      role: 'user',
      content: 'free?',
    });
    expectThat(added.status === 200, `the thread is taken: ${added.text}`);
    return faults;
  };

  const check = async (
    played: readonly Played[],
    texts: Readonly<Record<string, string>>,
  ): Promise<string[]> => {
    const waiting = [...played];
    const faults: string[] = [];
    const lane = async (): Promise<void> => {
      for (let one = waiting.pop(); one !== undefined; one = waiting.pop()) {
        faults.push(...(await checkOne(one, texts[one.assistantId] ?? '')));
      }
    };
    await Promise.all(Array.from({ length: CHECKS_AT_ONCE }, lane));
    return faults;
  };

  return { statistics, post, get, play, check };
}

/** Whether a completed message holds another text than its deltas. */
function isTorn(events: readonly SeenEvent[]): boolean {
  const texts = joinDeltas(events);
  const completed = events.filter(({ event }) => event === 'thread.message.completed');
  return completed.some(({ data }) => data.content[0]?.text?.value !== texts.get(data.id));
}

class Hang extends Error {}

async function orHang<T>(work: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Hang(`silent for ${SILENT_MS} ms`)), SILENT_MS);
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** Without what is different each time. */
function toReason(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return toForm(text).slice(0, 200);
}

function toForm(text: string): string {
  return text.replace(/\b(thread|run|msg|asst|step|req|call)_\w+/g, '$1_…').replace(/:\d{4,5}\b/g, ':…');
}
