/**
 * The real server, in a process of its own: from the source, or the executable that UNDERSTUDY_TEST_BINARY names.
 * Nothing of the environment reaches it but what a test says.
 */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import OpenAI from 'openai';
import { useServerKeyspaces } from './cassandra/server-keyspaces.ts';
import { readTestEngine } from './test-engine.ts';

const ROOT = resolve(import.meta.dir, '../..');
/** How long a server may take until it listens; machines that run tests are busy. */
const START_MS = 30_000;
const STOP_MS = 20_000;
/** Characters of output that are kept for a failing test's message. */
const OUTPUT_MAX = 64_000;

export interface ServerOptions {
  /** Kept after `stop` where it is given. */
  readonly dataDirectory?: string;
  /** Flags after `serve`. */
  readonly flags?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** A program, with its arguments, that starts the server: it decides what the server sees of this machine. */
  readonly within?: readonly string[];
}

export interface TestServer {
  /** `http://127.0.0.1:PORT`, without a slash at its end. */
  readonly url: string;
  readonly dataDirectory: string;
  /** The primary. */
  readonly pid: number;
  /** The process that serves. */
  readonly workerPid: number;
  /** What the server has printed so far. */
  output(): string;
  /** An official client of this server, without retries. */
  client(options?: Partial<ConstructorParameters<typeof OpenAI>[0]>): OpenAI;
  /** Calls the server without a client's help. `path` begins with a slash. A form goes out as one, anything else as JSON. */
  call(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
  /** SIGTERM, and waits for the end. Answers the exit code. Removes the data unless the test named the folder. */
  stop(): Promise<number>;
  /** SIGKILL to all processes of the server, and waits for their end. The data stays. */
  kill(): Promise<void>;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of any shape.
  readonly json: any;
  readonly text: string;
}

export async function startServer(options: ServerOptions = {}): Promise<TestServer> {
  const dataDirectory = options.dataDirectory ?? (await mkdtemp(join(tmpdir(), 'understudy-test-')));
  const place = await takePlace(dataDirectory, options.flags ?? []);
  const child = Bun.spawn(
    [
      ...(options.within ?? []),
      ...toCommand(),
      'serve',
      '--port',
      '0',
      '--data',
      dataDirectory,
      ...place.flags,
      ...(options.flags ?? []),
    ],
    {
      cwd: ROOT,
      env: { PATH: process.env.PATH ?? '', HOME: dataDirectory, ...place.env, ...options.env },
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'pipe',
    },
  );
  void child.exited.then(() => place.leave());
  let output = '';
  const take = (text: string): void => {
    output = (output + text).slice(-OUTPUT_MAX);
  };
  const listening = Promise.withResolvers<{ url: string; pid: number }>();
  const reading = [
    readLines(child.stdout, (line) => {
      take(`${line}\n`);
      const found = toListening(line);
      if (found !== null) listening.resolve(found);
    }),
    readLines(child.stderr, (line) => take(`${line}\n`)),
  ];
  const timer = setTimeout(() => listening.reject(new Error('the server did not listen in time')), START_MS);
  void child.exited.then(async (code) => {
    await Promise.all(reading);
    listening.reject(new Error(`the server ended with code ${code} before it listened`));
  });
  try {
    const { url, pid } = await listening.promise;
    return toTestServer({ child, url, workerPid: pid, dataDirectory, output: () => output, options });
  } catch (error) {
    child.kill('SIGKILL');
    throw new Error(`${error instanceof Error ? error.message : String(error)}\n${output}`);
  } finally {
    clearTimeout(timer);
  }
}

interface Place {
  readonly flags: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Called when the server has ended. */
  leave(): void;
}

/**
 * With UNDERSTUDY_TEST_STORE=cassandra or astra every server has a keyspace, the same one for the same data directory; unless the
 * test says itself where its data is.
 */
async function takePlace(dataDirectory: string, flags: readonly string[]): Promise<Place> {
  if (readTestEngine() === 'sqlite' || flags.includes('--store')) {
    return { flags: [], env: {}, leave: () => undefined };
  }
  const keyspaces = await useServerKeyspaces();
  const place = await keyspaces.join(dataDirectory);
  return { flags: place.flags, env: place.env, leave: () => keyspaces.leave(dataDirectory) };
}

function toCommand(): string[] {
  const binary = process.env.UNDERSTUDY_TEST_BINARY;
  return binary === undefined || binary === ''
    ? [process.execPath, join(ROOT, 'src/main.ts')]
    : [resolve(ROOT, binary)];
}

/** The log says where the server listens: `--port 0` leaves the choice to the system. */
function toListening(line: string): { url: string; pid: number } | null {
  if (!line.startsWith('{')) return null;
  try {
    const entry = JSON.parse(line);
    if (entry.event !== 'listening') return null;
    return { url: String(entry.url).replace(/\/$/, ''), pid: Number(entry.pid) };
  } catch {
    return null;
  }
}

async function readLines(stream: ReadableStream<Uint8Array>, onLine: (line: string) => void): Promise<void> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) onLine(line);
  }
  if (rest !== '') onLine(rest);
}

interface Running {
  readonly child: Bun.Subprocess;
  readonly url: string;
  readonly workerPid: number;
  readonly dataDirectory: string;
  readonly output: () => string;
  readonly options: ServerOptions;
}

function toTestServer({ child, url, workerPid, dataDirectory, output, options }: Running): TestServer {
  return {
    url,
    dataDirectory,
    pid: child.pid,
    workerPid,
    output,
    client: (given) => new OpenAI({ baseURL: `${url}/v1`, apiKey: 'understudy', maxRetries: 0, ...given }),
    async call(method, path, body, headers = {}) {
      const isJson = body !== undefined && !(body instanceof FormData);
      const response = await fetch(`${url}${path}`, {
        method,
        headers: { ...(isJson ? { 'content-type': 'application/json' } : {}), ...headers },
        ...(body === undefined ? {} : { body: toBody(body) }),
      });
      const text = await response.text();
      return { status: response.status, headers: response.headers, text, json: toJson(text) };
    },
    async stop() {
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
      const code = await child.exited;
      clearTimeout(timer);
      if (options.dataDirectory === undefined) await rm(dataDirectory, { recursive: true, force: true });
      return code;
    },
    async kill() {
      child.kill('SIGKILL');
      killIfAlive(workerPid);
      await child.exited;
      await waitUntil('the worker has ended', () => !isAlive(workerPid), STOP_MS);
    },
  };
}

function toBody(body: unknown): string | FormData {
  if (body instanceof FormData) return body;
  return typeof body === 'string' ? body : JSON.stringify(body);
}

function toJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function killIfAlive(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // Gone already.
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

const POLL_MS = 10;

/** Waits for a condition, never for a time. Errors: the condition's name, after `withinMs`. */
export async function waitUntil(
  what: string,
  condition: () => boolean | Promise<boolean>,
  withinMs = 10_000,
): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`waited ${withinMs} ms in vain until ${what}`);
    await Bun.sleep(POLL_MS);
  }
}
