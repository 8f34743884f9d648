/** A process that reads documents, seen from the server: started, spoken to in turn, watched, ended. */

import { readFileSync } from 'node:fs';
import { constants, setPriority } from 'node:os';
import { parse } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DocumentError } from './document-reader.ts';
import { createFrameReader, type Frame } from './frames.ts';
import { EXIT_MEMORY, READER_ARGUMENT } from './reader-argument.ts';

export interface ReaderLimits {
  /** Resident memory of a process. */
  readonly memoryBytesMax: number;
  /** Work on one document; waiting for its bytes or for whoever takes the chunks does not count. */
  readonly timeoutMs: number;
}

/** The process as it was started: what `Bun.spawn` gives. */
export type SpawnedReader = Bun.Subprocess<'pipe', 'pipe', 'ignore'>;

export interface ReaderChild {
  readonly pid: number;
  /** Resident memory now; null where it cannot be told. */
  measureBytes(): number | null;
  /** A new document begins: its time starts anew. */
  begin(): void;
  /** Sends a frame and waits for the answer. Throws `DocumentError` where the process ends or is ended for it. */
  ask(frame: Uint8Array): Promise<Frame>;
  /** Lets it end by itself. */
  dismiss(): void;
  /** Ends it at once. Idempotent. */
  kill(): void;
  /** When it has ended. */
  readonly ended: Promise<void>;
}

const MIB = 1024 * 1024;
/** How often memory is looked at while a process works. */
const WATCH_MS = 50;
const PAGE_BYTES = 4096;

/** The same program again, with nothing of the server's environment. */
export function spawnReader(): SpawnedReader {
  const rest = Bun.isStandaloneExecutable
    ? [READER_ARGUMENT]
    : [fileURLToPath(new URL('./reader-start.ts', import.meta.url))];
  const child = Bun.spawn([process.execPath, ...rest], {
    // Where no `.env` and no `bunfig.toml` of somebody's lies.
    cwd: parse(process.execPath).root,
    env: toEnvironment(),
    stdin: 'pipe',
    stdout: 'pipe',
    stderr: 'ignore',
    windowsHide: true,
  });
  try {
    setPriority(child.pid, constants.priority.PRIORITY_BELOW_NORMAL);
  } catch {
    // It has ended already, or the system does not allow it: it works all the same.
  }
  return child;
}

/** The process ends with the server, however that ends. Windows starts no program without its root. */
function toEnvironment(): Record<string, string> {
  const environment: Record<string, string> = { BUN_FEATURE_FLAG_NO_ORPHANS: '1' };
  if (process.platform === 'win32') environment.SystemRoot = `${parse(process.execPath).root}Windows`;
  return environment;
}

export function createReaderChild(
  child: SpawnedReader,
  { memoryBytesMax, timeoutMs }: ReaderLimits,
): ReaderChild {
  const frames = createFrameReader(child.stdout);
  let leftMs = timeoutMs;
  let reason: DocumentError | null = null;
  // The server's own end need not wait for it.
  child.unref();

  const measureBytes = (): number | null => readResidentBytes(child.pid);
  const kill = (): void => {
    child.kill('SIGKILL');
  };
  const end = (why: DocumentError): void => {
    reason ??= why;
    kill();
  };
  const toEnd = async (): Promise<DocumentError> => {
    await child.exited;
    if (reason !== null) return reason;
    if (child.exitCode === EXIT_MEMORY) return toTooMuchMemory(memoryBytesMax);
    const how = child.signalCode === null ? `exit code ${child.exitCode}` : `signal ${child.signalCode}`;
    return new DocumentError('server_error', `The process that read the file ended unexpectedly (${how}).`);
  };
  /** Both sides speak in turn, so nothing piles up; a process that is gone breaks the pipe, and its end tells why. */
  const send = (frame: Uint8Array): void => {
    const written = [child.stdin.write(frame), child.stdin.flush()];
    Promise.all(written).catch(() => undefined);
  };
  /** Watches while it works. Answers how to stop. */
  const watch = (): (() => void) => {
    const startedMs = performance.now();
    const timer = setTimeout(() => end(toTooLong(timeoutMs)), Math.max(0, leftMs));
    const memory = setInterval(() => {
      if ((measureBytes() ?? 0) > memoryBytesMax) end(toTooMuchMemory(memoryBytesMax));
    }, WATCH_MS);
    return () => {
      clearTimeout(timer);
      clearInterval(memory);
      leftMs -= performance.now() - startedMs;
    };
  };
  return {
    pid: child.pid,
    measureBytes,
    begin() {
      leftMs = timeoutMs;
    },
    async ask(frame) {
      const stop = watch();
      try {
        send(frame);
        const answer = await frames.next();
        if (answer === null) throw await toEnd();
        return answer;
      } catch (error) {
        if (error instanceof DocumentError) throw error;
        kill();
        throw new DocumentError('server_error', 'The process that read the file cannot be understood.', {
          cause: error,
        });
      } finally {
        stop();
      }
    },
    dismiss() {
      Promise.resolve(child.stdin.end()).catch(() => undefined);
    },
    kill,
    ended: child.exited.then(() => undefined),
  };
}

function toTooLong(timeoutMs: number): DocumentError {
  return new DocumentError(
    'invalid_file',
    `The file took longer to read than the ${timeoutMs / 1000} seconds that it may.`,
  );
}

function toTooMuchMemory(memoryBytesMax: number): DocumentError {
  return new DocumentError(
    'invalid_file',
    `The file needs more memory to be read than the ${Math.round(memoryBytesMax / MIB)} MiB that it may.`,
  );
}

/** The kernel's count on Linux; elsewhere the process counts for itself. */
function readResidentBytes(pid: number): number | null {
  if (process.platform !== 'linux') return null;
  try {
    const pages = Number(readFileSync(`/proc/${pid}/statm`, 'latin1').split(' ')[1]);
    return Number.isFinite(pages) ? pages * PAGE_BYTES : null;
  } catch {
    return null;
  }
}
