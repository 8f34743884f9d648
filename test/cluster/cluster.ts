/** Starts `cluster-program.ts`, and ends all of its processes with the test. */

import { readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Balance } from '../../src/cluster/door.ts';
import { waitUntil } from '../support/server.ts';
import type { Behaviour } from './cluster-program.ts';

const PROGRAM = join(import.meta.dir, 'cluster-program.ts');

export interface Cluster extends AsyncDisposable {
  readonly pid: number;
  /** The exit code. */
  readonly exited: Promise<number>;
  /** Waits until every worker is ready. Answers the address, with a slash at its end. */
  waitUntilUp(): Promise<string>;
  /** What was logged, line by line. */
  log(): readonly Readonly<Record<string, unknown>>[];
  errors(): string;
  /** The processes that started an app, in order. */
  readStarts(): Promise<readonly number[]>;
  signal(name: NodeJS.Signals): void;
  closeTerminal(): void;
}

export interface ClusterOptions {
  readonly port?: number;
  readonly workers?: number;
  readonly behaviour?: Behaviour;
  readonly balance?: Balance;
  /** A program, with its arguments, that starts the server. */
  readonly within?: readonly string[];
  /** Gives the server a terminal of its own; `closeTerminal` closes it, as a window does. */
  readonly hasTerminal?: boolean;
}

export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const {
    port = 0,
    workers = 1,
    behaviour = 'good',
    balance = 'auto',
    within = [],
    hasTerminal = false,
  } = options;
  const folder = await mkdtemp(join(tmpdir(), 'understudy-cluster-'));
  const program = [process.execPath, PROGRAM, String(port), String(workers), folder, behaviour, balance];
  const command = [...within, ...program];
  let output = '';
  let errors = '';
  const onOutput = (text: string): void => {
    output += text;
  };
  const child = hasTerminal
    ? Bun.spawn(command, { terminal: { data: (_, bytes) => onOutput(new TextDecoder().decode(bytes)) } })
    : Bun.spawn(command, { stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' });
  const reading = [
    readText(child.stdout ?? null, onOutput),
    readText(child.stderr ?? null, (text) => {
      errors += text;
    }),
  ];
  const log = () =>
    output
      .split('\n')
      .slice(0, -1)
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line));
  const readStarts = async (): Promise<number[]> => {
    const text = await readFile(join(folder, 'starts'), 'utf8').catch(() => '');
    return text.split('\n').filter(Boolean).map(Number);
  };
  return {
    pid: child.pid,
    exited: child.exited.then(async (code) => {
      // A worker that outlives a killed primary holds the pipes open.
      if (child.signalCode === null) await Promise.all(reading);
      return code;
    }),
    async waitUntilUp() {
      await waitUntil(`the cluster is up: ${errors}`, () => log().some((line) => line.event === 'up'));
      return String(log().find((line) => line.event === 'up')?.url);
    },
    log,
    errors: () => errors,
    readStarts,
    signal: (name) => child.kill(name),
    closeTerminal: () => child.terminal?.close(),
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await child.exited;
      for (const pid of await readStarts()) await endProcess(pid);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Whether the process runs. One that has ended and waits to be collected by its parent does not. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return process.platform !== 'linux' || !isZombie(pid);
  } catch {
    return false;
  }
}

/** In a container the process that inherits orphans may never collect them. */
function isZombie(pid: number): boolean {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The state follows the name, which is in brackets and may hold brackets itself.
  return stat.slice(stat.lastIndexOf(')') + 2).startsWith('Z');
}

async function endProcess(pid: number): Promise<void> {
  if (!isRunning(pid)) return;
  process.kill(pid, 'SIGKILL');
  await waitUntil(`process ${pid} has ended`, () => !isRunning(pid));
}

async function readText(
  stream: ReadableStream<Uint8Array> | null,
  onText: (text: string) => void,
): Promise<void> {
  if (stream === null) return;
  const decoder = new TextDecoder();
  for await (const chunk of stream) onText(decoder.decode(chunk, { stream: true }));
}
