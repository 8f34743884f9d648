/**
 * The document reader: a few processes that are started when they are needed, used for many documents, and ended when
 * they have nothing to do. One that was ended for its document is replaced by the next.
 */

import { type Log, toLogFields } from '../log.ts';
import {
  type Chunking,
  type DocumentChunk,
  DocumentError,
  type DocumentErrorCode,
  type DocumentReader,
  type DocumentSource,
  type DocumentSummary,
} from './document-reader.ts';
import {
  DATA_BYTES_MAX,
  decodeJson,
  encodeFrame,
  encodeJsonFrame,
  FRAME,
  type Frame,
  type StartPayload,
} from './frames.ts';
import type { ReaderChild } from './reader-child.ts';
import { createReaderPool, type ReaderPool, type ReaderPoolOptions } from './reader-pool.ts';

export type DocumentReaderOptions = ReaderPoolOptions;

/** Processes that are tried for a document before one takes it. */
const START_ATTEMPTS_MAX = 3;

export function createDocumentReader(options: DocumentReaderOptions): DocumentReader {
  const pool = createReaderPool(options);
  return {
    read: (source, chunking, signal) => readWith(pool, options, source, chunking, signal),
    warm: () => pool.warm(),
    close: () => pool.close(),
  };
}

async function* readWith(
  pool: ReaderPool,
  { log, memoryBytesMax }: DocumentReaderOptions,
  source: DocumentSource,
  chunking: Chunking,
  signal: AbortSignal,
): AsyncGenerator<readonly DocumentChunk[], DocumentSummary, undefined> {
  const bytes = createByteFeed(source.bytes, signal);
  const start: StartPayload = { name: source.name, size: source.size, ...chunking, memoryBytesMax };
  let session: Session | null = null;
  let isIntact = false;
  const stop = (): void => session?.child.kill();
  try {
    session = await openSession(pool, start, signal);
    signal.addEventListener('abort', stop);
    const { child } = session;
    let { answer } = session;
    while (answer.kind === FRAME.want) answer = await child.ask(await bytes.next());
    await bytes.cancel();
    while (answer.kind === FRAME.batch) {
      yield decodeJson(answer.payload) as readonly DocumentChunk[];
      signal.throwIfAborted();
      answer = await child.ask(encodeFrame(FRAME.next));
    }
    isIntact = answer.kind === FRAME.done || answer.kind === FRAME.failed;
    return toSummary(answer, log);
  } catch (error) {
    // A process that was ended because of the signal has no reason of its own.
    signal.throwIfAborted();
    if (!isIntact) log.warn('a process that read a document was ended', toLogFields(error));
    throw error;
  } finally {
    signal.removeEventListener('abort', stop);
    await bytes.cancel();
    if (session !== null) pool.release(session.child, isIntact);
  }
}

interface Session {
  readonly child: ReaderChild;
  /** What it said to the document's beginning. */
  readonly answer: Frame;
}

/** A process that ended unnoticed while it had nothing to do is no fault of the document: another takes it. */
async function openSession(pool: ReaderPool, start: StartPayload, signal: AbortSignal): Promise<Session> {
  for (let attempt = 1; ; attempt += 1) {
    const child = await pool.acquire(signal);
    const stop = (): void => child.kill();
    signal.addEventListener('abort', stop);
    try {
      signal.throwIfAborted();
      child.begin();
      return { child, answer: await child.ask(encodeJsonFrame(FRAME.start, start)) };
    } catch (error) {
      pool.release(child, false);
      signal.throwIfAborted();
      const isUnexpected = error instanceof DocumentError && error.code === 'server_error';
      if (!isUnexpected || attempt >= START_ATTEMPTS_MAX) throw error;
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }
}

function toSummary(answer: Frame, log: Log): DocumentSummary {
  if (answer.kind === FRAME.done) return decodeJson(answer.payload) as DocumentSummary;
  if (answer.kind !== FRAME.failed)
    throw new DocumentError('server_error', 'The process that read the file cannot be understood.');
  const { code, message, fault } = decodeJson(answer.payload) as {
    code: DocumentErrorCode;
    message: string;
    fault: string;
  };
  log.info('a document cannot be read', { code, fault });
  throw new DocumentError(code, message);
}

interface ByteFeed {
  /** The next frame: data, or the end. */
  next(): Promise<Uint8Array>;
  cancel(): Promise<void>;
}

/** Cuts a stream into frames; waiting for it ends with the signal. */
function createByteFeed(stream: ReadableStream<Uint8Array>, signal: AbortSignal): ByteFeed {
  const reader = stream.getReader();
  const aborted = Promise.withResolvers<never>();
  aborted.promise.catch(() => undefined);
  const abort = (): void => aborted.reject(signal.reason);
  signal.addEventListener('abort', abort);
  let rest: Uint8Array = new Uint8Array(0);
  let isOver = false;
  return {
    async next() {
      while (rest.length === 0) {
        const { done, value } = await Promise.race([reader.read().catch(throwUnloadable), aborted.promise]);
        if (done) {
          isOver = true;
          return encodeFrame(FRAME.end);
        }
        rest = value;
      }
      const data = rest.subarray(0, DATA_BYTES_MAX);
      rest = rest.subarray(data.length);
      return encodeFrame(FRAME.data, data);
    },
    async cancel() {
      signal.removeEventListener('abort', abort);
      if (isOver) return;
      isOver = true;
      // What is left of the file is not wanted; where it comes from may fail as it likes.
      await reader.cancel().catch(() => undefined);
    },
  };
}

/** Where the bytes come from has failed: nothing that is wrong with the document. */
function throwUnloadable(error: unknown): never {
  throw new DocumentError('server_error', 'The bytes of the file could not be loaded.', { cause: error });
}
