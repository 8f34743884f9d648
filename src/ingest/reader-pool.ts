/** The processes that read documents: started when they are needed, handed out, ended when they have nothing to do. */

import { type Log, toLogFields } from '../log.ts';
import { DocumentError } from './document-reader.ts';
import { createReaderChild, type ReaderChild, type SpawnedReader, spawnReader } from './reader-child.ts';

export interface ReaderPoolOptions {
  /** Documents that are read at a time. */
  readonly processesMax: number;
  /** Resident memory of a process; a document that needs more fails. */
  readonly memoryBytesMax: number;
  /** Work on one document; waiting for its bytes or for the taker of its chunks does not count. */
  readonly timeoutMs: number;
  /** A process that had nothing to do for so long ends. */
  readonly idleMs: number;
  readonly log: Log;
  /** Starts a process; the default is this program again. */
  readonly spawn?: () => SpawnedReader;
}

/** Documents that wait for a process. */
const WAITING_MAX = 10_000;
/** A process that holds more than this part of its memory after a document is replaced. */
const REUSE_MEMORY_MAX = 0.5;
/** A process is replaced after so many documents: whatever leaks, stays small. */
const DOCUMENTS_MAX = 500;

export interface ReaderPool {
  /** Throws the signal's reason, or a `DocumentError` where the reader is closed. */
  acquire(signal: AbortSignal): Promise<ReaderChild>;
  /** `isIntact`: whether it waits for the next document. */
  release(child: ReaderChild, isIntact: boolean): void;
  /** Has a process ready, if there is none at all. */
  warm(): void;
  close(): Promise<void>;
}

const toClosed = (): DocumentError => new DocumentError('server_error', 'The server is stopping.');

export function createReaderPool(options: ReaderPoolOptions): ReaderPool {
  const { processesMax, idleMs, spawn = spawnReader, log, ...limits } = options;
  const documents = new Map<ReaderChild, number>();
  const idle = new Map<ReaderChild, Timer>();
  const waiting: PromiseWithResolvers<ReaderChild>[] = [];
  let isClosed = false;

  const start = (): ReaderChild => {
    const child = createReaderChild(spawn(), limits);
    documents.set(child, 0);
    child.ended.then(() => {
      documents.delete(child);
      clearTimeout(idle.get(child));
      idle.delete(child);
      serveNext();
    });
    log.debug('a process that reads documents starts', { pid: child.pid });
    return child;
  };
  const takeIdle = (): ReaderChild | null => {
    const [first] = idle;
    if (first === undefined) return null;
    const [child, timer] = first;
    clearTimeout(timer);
    idle.delete(child);
    return child;
  };
  /** Hands a process to whoever has waited longest, if there is one and there may be one more. */
  const serveNext = (): void => {
    if (isClosed || waiting.length === 0) return;
    const child = takeIdle();
    if (child === null && documents.size >= processesMax) return;
    const place = waiting.shift();
    try {
      place?.resolve(child ?? start());
    } catch (error) {
      place?.reject(
        new DocumentError('server_error', 'No process can be started to read the file.', { cause: error }),
      );
    }
  };
  const isWornOut = (child: ReaderChild): boolean =>
    (documents.get(child) ?? 0) >= DOCUMENTS_MAX ||
    (child.measureBytes() ?? 0) > limits.memoryBytesMax * REUSE_MEMORY_MAX;
  const rest = (child: ReaderChild): void => {
    const timer = setTimeout(() => {
      idle.delete(child);
      child.dismiss();
    }, idleMs);
    timer.unref();
    idle.set(child, timer);
  };

  return {
    async acquire(signal) {
      if (isClosed) throw toClosed();
      if (waiting.length >= WAITING_MAX)
        throw new DocumentError('server_error', `More than ${WAITING_MAX} files wait to be read.`);
      const place = Promise.withResolvers<ReaderChild>();
      const abort = (): void => {
        const at = waiting.indexOf(place);
        if (at < 0) return;
        waiting.splice(at, 1);
        place.reject(signal.reason);
      };
      signal.addEventListener('abort', abort);
      waiting.push(place);
      serveNext();
      try {
        return await place.promise;
      } finally {
        signal.removeEventListener('abort', abort);
      }
    },
    release(child, isIntact) {
      if (!documents.has(child)) return;
      documents.set(child, (documents.get(child) ?? 0) + 1);
      if (!isIntact || isClosed || isWornOut(child)) {
        child.kill();
        return;
      }
      rest(child);
      serveNext();
    },
    warm() {
      if (isClosed || documents.size > 0) return;
      try {
        rest(start());
      } catch (error) {
        // The first document meets the same, and says so.
        log.warn('no process that reads documents can be started', toLogFields(error));
      }
    },
    async close() {
      isClosed = true;
      for (const place of waiting.splice(0)) place.reject(toClosed());
      const children = [...documents.keys()];
      for (const child of children) child.kill();
      await Promise.all(children.map(({ ended }) => ended));
    },
  };
}
