/** What the benchmarks share: the real server and its upstream as processes of their own, and honest numbers. */

import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

export { type Aim, atLeast, atMost, below, openResults } from './support/results.ts';

const ROOT = resolve(import.meta.dir, '..');
/** Ticks a second of /proc, on every Linux that we know. */
const TICKS_PER_SECOND = 100;
const START_MS = 30_000;
const CALLS_VARIABLE = 'BUN_CONFIG_MAX_HTTP_REQUESTS';
/** Calls that a load generator may have under way at once. */
const CALLS_MAX = 4096;

/** Shorter, for a look: `--quick`. */
export const isQuick = process.argv.includes('--quick');

/**
 * To be called first. Bun lets a process have 256 calls under way and reads another number only when the process starts:
 * without it the load generator itself would keep the other clients waiting, and count that as the server's time. So this
 * process starts anew, under the same pid, unless it has that number already.
 */
export function liftCallLimit(): void {
  if (process.env[CALLS_VARIABLE] === String(CALLS_MAX)) return;
  if (process.execve === undefined) throw new Error('This system cannot replace a process: Linux is needed.');
  process.execve(process.execPath, [process.execPath, ...process.execArgv, ...process.argv.slice(1)], {
    ...process.env,
    [CALLS_VARIABLE]: String(CALLS_MAX),
  });
}

export interface Upstream {
  /** With its version. */
  readonly url: string;
  stop(): Promise<void>;
}

/** The scripted upstream: `paced:COUNT@RATE` is a model of COUNT tokens, RATE a second (0: at once). */
export async function startUpstream(): Promise<Upstream> {
  const child = Bun.spawn([process.execPath, join(ROOT, 'test/support/upstream-server.ts'), '--port', '0'], {
    stdout: 'pipe',
  });
  const { value } = await child.stdout.getReader().read();
  return {
    url: new TextDecoder().decode(value).trim(),
    async stop() {
      child.kill();
      await child.exited;
    },
  };
}

export interface Server {
  /** Without a slash at its end. */
  readonly url: string;
  /** CPU seconds of all its processes, since they started. */
  readCpu(): Promise<number>;
  /** KiB of memory of all its processes: shared pages divided among those that share them, and counted for each. */
  readMemory(): Promise<{ pss: number; rss: number }>;
  post(path: string, body: unknown): Promise<Response>;
  stop(): Promise<void>;
}

export interface ServerStart {
  readonly upstreamUrl?: string;
  /** Kept after `stop` where it is given. */
  readonly dataDirectory?: string;
  /** Program and arguments; the source as a rule. */
  readonly command?: readonly string[];
}

export async function startServer(start: ServerStart = {}): Promise<Server> {
  const data = start.dataDirectory ?? (await mkdtemp(join(tmpdir(), 'understudy-bench-')));
  const command = start.command ?? [process.execPath, join(ROOT, 'src/main.ts')];
  const child = Bun.spawn([...command, 'serve', '--port', '0', '--data', data, '--drain-seconds', '1'], {
    env: {
      PATH: process.env.PATH,
      ...(start.upstreamUrl === undefined
        ? {}
        : { OPENAI_BASE_URL: start.upstreamUrl, OPENAI_API_KEY: 'bench' }),
    },
    stdout: 'pipe',
    stderr: 'inherit',
  });
  const { url, pid } = await readListening(child.stdout);
  const pids = [child.pid, pid];
  return {
    url,
    async readCpu() {
      return sum(await Promise.all(pids.map(readProcessCpu)));
    },
    async readMemory() {
      const rows = await Promise.all(pids.map((id) => readFile(`/proc/${id}/smaps_rollup`, 'utf8')));
      const read = (name: string) =>
        sum(rows.map((row) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(row)?.[1])));
      return { pss: read('Pss'), rss: read('Rss') };
    },
    post: (path, body) =>
      fetch(`${url}${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      }),
    async stop() {
      child.kill();
      await child.exited;
      if (start.dataDirectory === undefined) await rm(data, { recursive: true, force: true });
    },
  };
}

async function readListening(stream: ReadableStream<Uint8Array>): Promise<{ url: string; pid: number }> {
  const reader = stream.getReader();
  const deadline = performance.now() + START_MS;
  let text = '';
  while (performance.now() < deadline) {
    const { value, done } = await reader.read();
    if (done) break;
    text += new TextDecoder().decode(value);
    const line = text.split('\n').find((candidate) => candidate.includes('"event":"listening"'));
    if (line === undefined) continue;
    void drain(reader);
    const { url, pid } = JSON.parse(line);
    return { url: String(url).replace(/\/$/, ''), pid };
  }
  throw new Error(`the server did not listen:\n${text}`);
}

async function drain(reader: { read(): Promise<{ done: boolean }> }): Promise<void> {
  for (let done = false; !done; ) ({ done } = await reader.read());
}

/** CPU seconds of a process since its start. */
export async function readProcessCpu(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

export function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** `part` from 0 to 1. */
export function toQuantile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
}

export function toMedian(values: readonly number[]): number {
  return toQuantile(values, 0.5);
}

export interface StreamTimes {
  /** Milliseconds from the request to the first token. */
  readonly firstTokenMs: number;
  readonly tokens: number;
  readonly totalMs: number;
}

/** A token is a frame that holds this. */
export const RUN_TOKEN = 'event: thread.message.delta\n';
export const CHAT_TOKEN = '"content":"';

/** Reads a stream to its end. */
export async function readStream(request: () => Promise<Response>, token: string): Promise<StreamTimes> {
  const start = performance.now();
  const response = await request();
  if (!response.ok || response.body === null) throw new Error(`${response.status} ${await response.text()}`);
  const decoder = new TextDecoder();
  let firstTokenMs = Number.NaN;
  let tokens = 0;
  let rest = '';
  for await (const chunk of response.body) {
    rest += decoder.decode(chunk, { stream: true });
    let end = rest.indexOf('\n\n');
    while (end !== -1) {
      // Chat streams open with an empty content.
      const frame = rest.slice(0, end);
      if (frame.includes(token) && !frame.includes('"content":""')) {
        tokens += 1;
        if (tokens === 1) firstTokenMs = performance.now() - start;
      }
      rest = rest.slice(end + 2);
      end = rest.indexOf('\n\n');
    }
  }
  return { firstTokenMs, tokens, totalMs: performance.now() - start };
}

export function askDirectly(upstream: Upstream, model: string): Promise<Response> {
  return fetch(`${upstream.url}/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: 'Bearer bench' },
    body: JSON.stringify(toChatBody(model)),
  });
}

export function toChatBody(model: string) {
  return { model, messages: [{ role: 'user', content: 'Hello, how are you?' }], stream: true };
}

export async function createAssistant(server: Pick<Server, 'post'>, model: string): Promise<string> {
  const { id } = (await (await server.post('/v1/assistants', { model })).json()) as { id: string };
  return id;
}

export function startRun(
  server: Pick<Server, 'post'>,
  assistantId: string,
  stream: boolean,
): Promise<Response> {
  return server.post('/v1/threads/runs', {
    assistant_id: assistantId,
    stream,
    thread: { messages: [{ role: 'user', content: 'Hello, how are you?' }] },
  });
}

/** The percentiles of a latency, in milliseconds. */
export function toPercentiles(values: readonly number[]): {
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly max: number;
} {
  return {
    p50: toMedian(values),
    p95: toQuantile(values, 0.95),
    p99: toQuantile(values, 0.99),
    max: toQuantile(values, 1),
  };
}

/** Calls `work` `count` times, `concurrency` at once. */
export async function repeat(
  count: number,
  concurrency: number,
  work: (index: number) => Promise<unknown>,
): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) {
      const index = next;
      next += 1;
      await work(index);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
}
