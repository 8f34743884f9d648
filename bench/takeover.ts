/**
 * A worker is killed (SIGKILL) in the middle of the runs that two workers answer: how soon the other one has taken them over, and when
 * the last has completed. `node scripts/bun.mjs bench/takeover.ts`
 *
 * A model of two seconds answers each run. What a dead worker had of an answer is gone, so the model is asked again: a run that was
 * taken over needs two seconds more at least. Beside it stand the same runs while nobody is killed.
 */

import {
  atMost,
  createAssistant,
  isQuick,
  liftCallLimit,
  openResults,
  type Server,
  startRun,
  startUpstream,
  sum,
  toMedian,
} from './harness.ts';
import { findCommand, startPinned } from './load/workers.ts';

liftCallLimit();

const RUNS = 64;
const ROUNDS = isQuick ? 1 : 5;
const PORT = 8735;
const MODEL = 'paced:100@50';
/** From the first run's creation; all are under way then. */
const KILL_AT_MS = 1000;
const ROUND_MS_MAX = 60_000;
const POLL_MS = 5;
const CALL_MS = 2000;
const TAKEN_AIM_MS = 500;

interface Run {
  readonly id: string;
  readonly thread_id: string;
  readonly status: string;
}

interface Round {
  /** Milliseconds, counted from the kill, or from the moment at which it would have been. */
  readonly firstTakenMs: number | null;
  readonly allCompletedMs: number;
  readonly taken: number;
  readonly lost: number;
}

/** Connections to a worker that dies are cut: what asks only asks again. */
async function ask(url: string): Promise<string | null> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(CALL_MS) });
    return response.ok ? await response.text() : null;
  } catch {
    return null;
  }
}

async function readTaken(url: string): Promise<number> {
  const page = await ask(`${url}/metrics`);
  return sum(
    [...(page ?? '').matchAll(/^understudy_run_takeovers_total(?:\{[^}]*\})? (\d+)/gm)].map(([, value]) =>
      Number(value),
    ),
  );
}

async function waitForFirstTaken(url: string, killedMs: number): Promise<number> {
  while (performance.now() - killedMs < ROUND_MS_MAX) {
    if ((await readTaken(url)) > 0) return performance.now() - killedMs;
    await Bun.sleep(POLL_MS);
  }
  throw new Error('No run was taken over.');
}

/** Answers the runs that have not completed when the time is over. */
async function waitForAll(url: string, runs: readonly Run[], sinceMs: number): Promise<number> {
  let waiting = [...runs];
  while (waiting.length > 0 && performance.now() - sinceMs < ROUND_MS_MAX) {
    const seen = await Promise.all(
      waiting.map(async (run) => {
        const text = await ask(`${url}/v1/threads/${run.thread_id}/runs/${run.id}`);
        return text !== null && (JSON.parse(text) as Run).status === 'completed' ? null : run;
      }),
    );
    waiting = seen.filter((run) => run !== null);
    if (waiting.length > 0) await Bun.sleep(POLL_MS * 10);
  }
  return waiting.length;
}

function toCaller(url: string): Pick<Server, 'post'> {
  const headers = { 'content-type': 'application/json' };
  return {
    post: (path, body) => fetch(`${url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) }),
  };
}

async function playRound(isKilling: boolean): Promise<Round> {
  const server = await startPinned({
    port: PORT,
    workers: 2,
    cores: null,
    command,
    env: { OPENAI_BASE_URL: upstream.url, OPENAI_API_KEY: 'bench' },
  });
  const { url } = server;
  try {
    const assistantId = await createAssistant(toCaller(url), MODEL);
    const beginMs = performance.now();
    const runs = await Promise.all(
      Array.from(
        { length: RUNS },
        async () => (await (await startRun(toCaller(url), assistantId, false)).json()) as Run,
      ),
    );
    await Bun.sleep(Math.max(0, KILL_AT_MS - (performance.now() - beginMs)));
    const sinceMs = performance.now();
    const [victim] = server.workerPids;
    if (victim === undefined) throw new Error('There is no worker to kill.');
    if (isKilling) process.kill(victim, 'SIGKILL');
    const firstTaken = isKilling ? waitForFirstTaken(url, sinceMs) : Promise.resolve(null);
    const lost = await waitForAll(url, runs, sinceMs);
    const allCompletedMs = performance.now() - sinceMs;
    return { firstTakenMs: await firstTaken, allCompletedMs, taken: await readTaken(url), lost };
  } finally {
    await server.stop();
  }
}

const results = openResults('takeover');
const { command } = await findCommand();
const upstream = await startUpstream();
const rounds = { undisturbed: [] as Round[], killed: [] as Round[] };
for (let round = 0; round < ROUNDS; round += 1) {
  rounds.undisturbed.push(await playRound(false));
  rounds.killed.push(await playRound(true));
}
await upstream.stop();
const undisturbed = toMedian(rounds.undisturbed.map((round) => round.allCompletedMs));
const taken = sum(rounds.killed.map((round) => round.taken));
results.report({
  id: 'lost',
  what: `runs that are lost when one of two workers is killed in the middle of ${RUNS} runs`,
  value: sum(rounds.killed.map((round) => round.lost)),
  unit: '',
  aim: atMost(0),
  beside: [
    { name: 'taken over', value: taken, unit: '' },
    { name: 'workers killed', value: ROUNDS, unit: '' },
  ],
});
results.report({
  id: 'first-taken',
  what: 'from the kill until another worker has taken over the first of its runs, p50',
  value: toMedian(rounds.killed.map(({ firstTakenMs }) => firstTakenMs ?? Number.NaN)),
  unit: 'ms',
  aim: atMost(TAKEN_AIM_MS),
});
results.report({
  id: 'all-completed',
  what: 'from the kill until the last of all runs has completed, p50; the model needs 2,000 ms for an answer, and is asked again',
  value: toMedian(rounds.killed.map((round) => round.allCompletedMs)),
  unit: 'ms',
  beside: [{ name: 'nobody killed', value: undisturbed }],
});
