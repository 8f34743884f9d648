/** A server of several workers, pinned to cores, and its processes one by one. */

import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { readProcessCpu, sum } from '../harness.ts';

const ROOT = resolve(import.meta.dir, '../..');
const START_MS = 60_000;
const POLL_MS = 10;
/** Of /proc, on every Linux that we know. */
const TICKS_PER_SECOND = 100;

export interface PinnedServer {
  /** Without a slash at its end. */
  readonly url: string;
  readonly workerPids: readonly number[];
  /** From the start of the program to the first 200, in milliseconds. */
  readonly firstAnswerMs: number;
  /** CPU seconds of all its processes. */
  readCpu(): Promise<number>;
  /** MiB that each worker holds. */
  readWorkersMib(): Promise<number[]>;
  stop(): Promise<void>;
}

export interface PinnedStart {
  readonly port: number;
  readonly workers: number;
  /** As `taskset -c` has it: `0`, `0,1`. Null: wherever the system likes. */
  readonly cores: string | null;
  /** Program and arguments. */
  readonly command: readonly string[];
  /** Beside the path for programs. */
  readonly env?: Readonly<Record<string, string>>;
}

/** The executable where there is one, else the source. */
export async function findCommand(): Promise<{ name: string; command: readonly string[] }> {
  const binary = join(ROOT, 'dist/understudy');
  if (await Bun.file(binary).exists()) return { name: 'dist/understudy', command: [binary] };
  return { name: 'the source', command: [process.execPath, join(ROOT, 'src/main.ts')] };
}

export async function startPinned(start: PinnedStart): Promise<PinnedServer> {
  const { port, workers, cores, command, env = {} } = start;
  const data = await mkdtemp(join(tmpdir(), 'understudy-load-'));
  const pinned = cores === null ? [] : ['taskset', '-c', cores];
  const flags = ['serve', '--port', String(port), '--data', data, '--workers', String(workers)];
  const startedMs = performance.now();
  const child = Bun.spawn([...pinned, ...command, ...flags, '--drain-seconds', '1', '--log-level', 'error'], {
    env: { PATH: process.env.PATH, ...env },
    stdout: 'ignore',
    stderr: 'inherit',
  });
  const url = `http://127.0.0.1:${port}`;
  await waitFor(
    () =>
      fetch(`${url}/health`).then(
        (response) => response.ok,
        () => false,
      ),
    1,
  );
  const firstAnswerMs = performance.now() - startedMs;
  let pids: number[] = [];
  await waitFor(async () => {
    pids = await readChildren(child.pid);
    return pids.length === workers && (await areListening(pids));
  }, POLL_MS);
  return {
    url,
    workerPids: pids,
    firstAnswerMs,
    async readCpu() {
      return sum(await Promise.all([child.pid, ...pids].map(readProcessCpu)));
    },
    readWorkersMib: () => Promise.all(pids.map(readMib)),
    async stop() {
      child.kill();
      await child.exited;
      await rm(data, { recursive: true, force: true });
    },
  };
}

async function waitFor(condition: () => Promise<boolean>, everyMs: number): Promise<void> {
  const deadline = performance.now() + START_MS;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error('The server does not start.');
    await Bun.sleep(everyMs);
  }
}

async function readChildren(pid: number): Promise<number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8');
  return text.trim().split(' ').filter(Boolean).map(Number);
}

/** CPU seconds that these cores have been busy since the machine started, whoever used them. */
export async function readBusy(cores: readonly number[]): Promise<number> {
  const lines = (await readFile('/proc/stat', 'utf8')).split('\n');
  return sum(
    cores.map((core) => {
      const fields =
        lines
          .find((line) => line.startsWith(`cpu${core} `))
          ?.split(/\s+/)
          .slice(1)
          .map(Number) ?? [];
      const [user = 0, nice = 0, system = 0, , , irq = 0, softIrq = 0, steal = 0] = fields;
      return (user + nice + system + irq + softIrq + steal) / TICKS_PER_SECOND;
    }),
  );
}

/** A worker that has opened its store serves: it listens right behind it. */
async function areListening(pids: readonly number[]): Promise<boolean> {
  const stats = await Promise.all(
    pids.map(async (pid) => (await readFile(`/proc/${pid}/maps`, 'utf8')).includes('understudy.db-shm')),
  );
  return stats.every(Boolean);
}

async function readMib(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) / 1024;
}
