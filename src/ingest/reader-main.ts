/**
 * The process that reads documents, one after the other, for the server that started it. It has no secrets, opens no
 * connection and writes no file. It ends when its standard input does.
 */

import { writeSync } from 'node:fs';
import { createAnalyser } from '../vector/analyser.ts';
import { type ChunkMakers, makeChunks } from './document-chunks.ts';
import { DocumentError } from './document-reader.ts';
import {
  createFrameReader,
  decodeJson,
  encodeFrame,
  encodeJsonFrame,
  FRAME,
  type FrameReader,
  type StartPayload,
} from './frames.ts';
import { readDocument } from './read-document.ts';
import { toReadText } from './read-text.ts';
import { EXIT_MEMORY } from './reader-argument.ts';
import { createTokenizer } from './tokenizer.ts';

/** What is written to a pipe that is full waits so long before it tries again. */
const WRITE_RETRY_MS = 1;
const MEMORY_CHECK_MS = 100;

/** Answers the exit code. */
export async function serveReader(): Promise<number> {
  silence();
  const frames = createFrameReader(Bun.stdin.stream());
  // Made now, so that they are ready for a document that comes later.
  const makers: ChunkMakers = { tokenizer: await createTokenizer(), analyser: createAnalyser() };
  let next = frames.next();
  await exercise(next, makers);
  for (;;) {
    const frame = await next;
    if (frame === null) return 0;
    if (frame.kind !== FRAME.start) throw new Error('A document must come first.');
    const start = decodeJson(frame.payload) as StartPayload;
    const stopWatching = watchMemory(start.memoryBytesMax);
    try {
      if (!(await serveOne(frames, start, makers))) return 0;
    } finally {
      stopWatching();
    }
    // What one document left behind must not count for the next.
    Bun.gc(true);
    next = frames.next();
  }
}

/** Documents that come at once are not kept waiting by the exercise. */
const EXERCISE_AFTER_MS = 30;
const EXERCISE_LINES = 1_500;

/** Code that has not run yet runs several times slower: the first document should not be the one that meets it. */
async function exercise(first: Promise<unknown>, makers: ChunkMakers): Promise<void> {
  const isExpected = await Promise.race([
    first.then(() => true),
    Bun.sleep(EXERCISE_AFTER_MS).then(() => false),
  ]);
  if (isExpected) return;
  const line = (_: unknown, at: number) =>
    `Line ${at} of the text says that some words, like these, are read.\n`;
  const text = toReadText(Array.from({ length: EXERCISE_LINES }, line).join(''));
  for (const batch of makeChunks(text, 'exercise.txt', { tokensMax: 400, overlapTokens: 200 }, makers)) {
    encodeJsonFrame(FRAME.batch, batch);
  }
}

/** Libraries warn on the console, which is where the chunks go; and a promise of theirs that nobody waits for is no crash. */
function silence(): void {
  const drop = (): void => undefined;
  for (const name of ['log', 'info', 'debug', 'warn', 'error', 'trace', 'dir', 'table', 'group'] as const)
    console[name] = drop;
  process.on('unhandledRejection', drop);
}

/** On Linux the server watches. Elsewhere the process does, whenever it waits: long loops are bounded in time only. */
function watchMemory(memoryBytesMax: number): () => void {
  if (process.platform === 'linux') return () => undefined;
  const timer = setInterval(() => {
    if (process.memoryUsage.rss() > memoryBytesMax) process.exit(EXIT_MEMORY);
  }, MEMORY_CHECK_MS);
  return () => clearInterval(timer);
}

/** Reads a document and hands its chunks on. False where the server is gone. */
async function serveOne(frames: FrameReader, start: StartPayload, makers: ChunkMakers): Promise<boolean> {
  let isGone = false;
  const ask = async (frame: Uint8Array): Promise<Uint8Array | null> => {
    write(frame);
    const reply = await frames.next();
    if (reply === null) {
      isGone = true;
      throw new Error('The server is gone.');
    }
    return reply.kind === FRAME.end ? null : reply.payload;
  };
  const { name, size, tokensMax, overlapTokens } = start;
  try {
    const document = await readDocument({ name, size, next: () => ask(encodeFrame(FRAME.want)) }).catch(
      (error: unknown) => {
        throw isGone ? error : toDocumentError(error);
      },
    );
    const batches = makeChunks(document, name, { tokensMax, overlapTokens }, makers);
    for (let result = batches.next(); ; result = batches.next()) {
      if (result.done === true) {
        write(encodeJsonFrame(FRAME.done, result.value));
        return true;
      }
      await ask(encodeJsonFrame(FRAME.batch, result.value));
    }
  } catch (error) {
    if (isGone) return false;
    const { code, message } =
      error instanceof DocumentError
        ? error
        : new DocumentError('server_error', 'The file could not be cut into chunks.');
    write(encodeJsonFrame(FRAME.failed, { code, message, fault: toFaultName(error) }));
    return true;
  }
}

/** A parser that stumbles does so over the document. */
function toDocumentError(error: unknown): DocumentError {
  if (error instanceof DocumentError) return error;
  const message =
    error instanceof RangeError
      ? 'The file is too deeply nested, or too large, to be read.'
      : 'The file cannot be read: it is corrupt, or not of the type that it seems to be.';
  return new DocumentError('invalid_file', message, { cause: error });
}

/** For the log: what kind of fault it was and where, without a word of the document. */
function toFaultName(error: unknown): string {
  const fault = error instanceof DocumentError ? error.cause : error;
  if (!(fault instanceof Error)) return '';
  const place = /\bat ([\w.$<> ]{1,60})/.exec(fault.stack?.split('\n')[1] ?? '')?.[1] ?? '';
  return `${fault.name} ${place}`.trim();
}

function write(frame: Uint8Array): void {
  for (let at = 0; at < frame.length; ) {
    try {
      at += writeSync(1, frame, at, frame.length - at);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      Bun.sleepSync(WRITE_RETRY_MS);
    }
  }
}
