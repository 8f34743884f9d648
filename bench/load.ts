/**
 * What a server of several workers holds: `bun run bench:load`, Linux with two cores at least, after `npm run build` (without it the
 * source is measured, which starts more slowly). `-- workers`, `-- idle` and `-- soak` are parts of it.
 *
 * Two workers on two cores against one on one, side by side in turns: the cores are those of `taskset`, and the work is all the
 * server's own (the model is the server's rehearsal model, so that no other server takes a part of the machine). The load
 * generator has to live somewhere: beside one worker it has the other core, beside two it shares both of them, as does whatever
 * else this machine does. So both figures are requests a second by the cores that were left to the server: what its cores were
 * idle, and what it used itself (`/proc/stat`). Time in which a worker waits for the other, for a lock or a sync, is idle, and
 * so counts against it. The direct ratio, which charges everything else to the two workers, is printed beside it.
 *
 * Writes alone are shown without an aim: one SQLite database takes one writer at a time, whatever the number of workers.
 *
 * Then what idles: memory of a worker, from the start to the first 200, 10,000 connections. Then the soak: an hour of a program's
 * work (a round a second) in as many minutes as it takes, and by how much memory grows.
 */

import { join } from 'node:path';
import {
  type Aim,
  atLeast,
  atMost,
  below,
  isQuick,
  liftCallLimit,
  openResults,
  toMedian,
} from './harness.ts';
import { soak } from './load/soak.ts';
import { findCommand, type PinnedServer, readBusy, startPinned } from './load/workers.ts';

liftCallLimit();

const results = openResults('load');

const PORT = 8731;
const KINDS = ['mix', 'reads', 'writes', 'runs', 'chats'] as const;
const WHAT: Readonly<Record<(typeof KINDS)[number], string>> = Object.freeze({
  mix: 'reads, writes, runs and chats mixed',
  reads: 'reads alone',
  writes: 'writes alone (a database takes one writer at a time)',
  runs: 'runs alone',
  chats: 'chats alone',
});
const CONNECTIONS = 64;
const SECONDS = isQuick ? 3 : 6;
const TURNS = isQuick ? 2 : 3;
const RATIO_AIM = 1.7;
const STARTS = isQuick ? 3 : 10;
const START_AIM_MS = 300;
const IDLE_MS = 3_000;
const IDLE_AIM_MIB = 120;
const IDLE_CONNECTIONS = 10_000;
const CONNECTIONS_AIM_MIB = 200_000_000 / (1024 * 1024);
/** A round a second is an hour's soak after 3,600. */
const SOAK_SECONDS = isQuick ? 30 : 180;
const SOAK_AIM_MIB_PER_HOUR = 32;
const ROUNDS_PER_HOUR = 3_600;

interface Figures {
  readonly requests: number;
  readonly errors: number;
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly p50: number;
  readonly p99: number;
}

/** Cores by their numbers. */
interface Where {
  readonly cores: readonly number[];
  readonly generator: string;
}

interface Turn extends Figures {
  readonly perSecond: number;
  /** Cores that the server used. */
  readonly used: number;
  /** Cores that were left to it, used or not. */
  readonly left: number;
}

async function prepare(server: PinnedServer): Promise<string> {
  const post = async (path: string, body: unknown): Promise<string> => {
    const response = await fetch(`${server.url}/v1${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    return ((await response.json()) as { id: string }).id;
  };
  const assistantId = await post('/assistants', { model: 'understudy/rehearsal' });
  const messages = Array.from({ length: 20 }, (_, index) => ({ role: 'user', content: `message ${index}` }));
  const threads: string[] = [];
  for (let index = 0; index < CONNECTIONS; index += 1) threads.push(await post('/threads', { messages }));
  return JSON.stringify({ thread_ids: threads, assistant_id: assistantId });
}

async function load(server: PinnedServer, params: string, kind: string, where: Where): Promise<Turn> {
  const generator = join(import.meta.dir, 'load/generator.ts');
  const args = [server.url, kind, String(CONNECTIONS), String(SECONDS), params];
  const child = Bun.spawn(['taskset', '-c', where.generator, process.execPath, generator, ...args], {
    stdout: 'pipe',
    stderr: 'inherit',
  });
  const look = async () => ({
    ms: performance.now(),
    used: await server.readCpu(),
    busy: await readBusy(where.cores),
  });
  const reader = child.stdout.getReader();
  await reader.read();
  const before = await look();
  let text = '';
  for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
    text += new TextDecoder().decode(piece.value);
  }
  const after = await look();
  await child.exited;
  const figures = JSON.parse(text) as Figures;
  if (figures.errors > 0) throw new Error(`${figures.errors} requests failed (${kind})`);
  const seconds = (after.ms - before.ms) / 1_000;
  const used = (after.used - before.used) / seconds;
  const left = where.cores.length - ((after.busy - before.busy) / seconds - used);
  return { ...figures, perSecond: figures.requests / figures.seconds, used, left };
}

async function compareWorkers(command: readonly string[]): Promise<void> {
  const one = await startPinned({ port: PORT, workers: 1, cores: '0', command });
  const two = await startPinned({ port: PORT + 1, workers: 2, cores: '0,1', command });
  const [paramsOfOne, paramsOfTwo] = [await prepare(one), await prepare(two)];
  for (const kind of KINDS) {
    const direct: number[] = [];
    const accounted: number[] = [];
    const seen: { one: Turn; two: Turn }[] = [];
    for (let turn = 0; turn < TURNS; turn += 1) {
      const ofOne = await load(one, paramsOfOne, kind, { cores: [0], generator: '1' });
      const ofTwo = await load(two, paramsOfTwo, kind, { cores: [0, 1], generator: '0,1' });
      seen.push({ one: ofOne, two: ofTwo });
      direct.push(ofTwo.perSecond / ofOne.perSecond);
      accounted.push((2 * (ofTwo.perSecond / ofTwo.left)) / (ofOne.perSecond / ofOne.left));
    }
    const show = (name: 'one' | 'two'): string => {
      const turns = seen.map((turn) => turn[name]);
      const of = (read: (turn: Turn) => number, digits = 0): string =>
        toMedian(turns.map(read)).toFixed(digits);
      return (
        `${of((turn) => turn.perSecond)} a second (p50 ${of((turn) => turn.p50, 1)}, p99 ${of((turn) => turn.p99, 1)} ms; server ` +
        `${of((turn) => turn.used, 2)} of ${of((turn) => turn.left, 2)} cores, generator ${of((turn) => turn.cpuSeconds / turn.seconds, 2)})`
      );
    };
    console.log(`${kind}, 1 worker on 1 core: ${show('one')}`);
    console.log(
      `${kind}, 2 workers on 2 cores: ${show('two')}; ${toMedian(direct).toFixed(2)} times as many directly`,
    );
    results.report({
      id: `two-workers-${kind}`,
      what: `${WHAT[kind]}: requests a second of 2 workers on 2 cores over 1 on 1, by the cores left to them`,
      value: toMedian(accounted),
      unit: '',
      ...(kind === 'writes' ? {} : { aim: atLeast(RATIO_AIM) }),
      beside: [
        { name: 'one worker', value: toMedian(seen.map((turn) => turn.one.perSecond)), unit: 'a second' },
        { name: 'directly', value: toMedian(direct), unit: '×' },
      ],
    });
  }
  await one.stop();
  await two.stop();
}

function reportIdle(id: string, what: string, value: number, unit: string, aim: Aim): void {
  results.report({ id, what, value, unit, aim });
}

async function measureIdle(name: string, command: readonly string[]): Promise<void> {
  const starts: number[] = [];
  for (let count = 0; count < STARTS; count += 1) {
    const server = await startPinned({ port: PORT, workers: 1, cores: null, command });
    starts.push(server.firstAnswerMs);
    await server.stop();
  }
  const startMs = toMedian(starts);
  reportIdle(
    'start',
    `${name}, from its start to the first 200, with one worker`,
    startMs,
    'ms',
    atMost(START_AIM_MS),
  );

  const server = await startPinned({ port: PORT, workers: 2, cores: null, command });
  await Bun.sleep(IDLE_MS);
  const idle = Math.max(...(await server.readWorkersMib()));
  reportIdle('idle-memory', `${name}, idle memory of a worker`, idle, 'MiB', atMost(IDLE_AIM_MIB));
  await server.stop();

  const alone = await startPinned({ port: PORT, workers: 1, cores: null, command });
  const program = join(import.meta.dir, '../test/faults/idle-connections.ts');
  const crowd = Bun.spawn([process.execPath, program, alone.url, String(IDLE_CONNECTIONS)], {
    stdin: 'pipe',
    stdout: 'pipe',
    stderr: 'inherit',
  });
  await crowd.stdout.getReader().read();
  const held = Math.max(...(await alone.readWorkersMib()));
  const what = `${name}, memory of a worker that holds ${IDLE_CONNECTIONS.toLocaleString('en')} idle connections`;
  reportIdle('idle-connections', what, held, 'MiB', below(CONNECTIONS_AIM_MIB));
  crowd.stdin.end();
  await crowd.exited;
  await alone.stop();
}

async function measureSoak(command: readonly string[]): Promise<void> {
  const server = await startPinned({ port: PORT, workers: 1, cores: null, command });
  const { rounds, looks, slope } = await soak(server, SOAK_SECONDS);
  await server.stop();
  const perHour = (slope * ROUNDS_PER_HOUR) / 1_000;
  const quarter = Math.ceil(looks.length / 4);
  console.log(
    `soak: ${rounds} rounds; ${toMedian(looks.slice(0, quarter)).toFixed(0)} MiB in the first quarter after warming up, ` +
      `${toMedian(looks.slice(-quarter)).toFixed(0)} MiB in the last, ${Math.max(...looks).toFixed(0)} MiB at most; ` +
      `${slope.toFixed(1)} MiB for 1,000 rounds`,
  );
  results.report({
    id: 'soak-growth',
    what: `soak: what ${ROUNDS_PER_HOUR.toLocaleString('en')} rounds of a thread, three runs, a file, a store and a search, all deleted, add to the memory`,
    value: perHour,
    unit: 'MiB',
    aim: atMost(SOAK_AIM_MIB_PER_HOUR),
    beside: [{ name: 'rounds', value: rounds, unit: '' }],
  });
}

const { name, command } = await findCommand();
const parts = {
  workers: () => compareWorkers(command),
  idle: () => measureIdle(name, command),
  soak: () => measureSoak(command),
};
const asked = process.argv.slice(2).filter((arg) => !arg.startsWith('-'));
for (const [part, measure] of Object.entries(parts)) {
  if (asked.length === 0 || asked.includes(part)) await measure();
}
