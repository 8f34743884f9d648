/** What the tests of reading share: a reader with its processes, documents as sources, chunks put together. */

import {
  type Chunking,
  type DocumentChunk,
  DocumentError,
  type DocumentReader,
  type DocumentSource,
  type DocumentSummary,
} from '../../src/ingest/document-reader.ts';
import { createDocumentReader, type DocumentReaderOptions } from '../../src/ingest/reader-process.ts';
import { createLog, type Log } from '../../src/log.ts';

export const AUTO: Chunking = { tokensMax: 800, overlapTokens: 400 };

export const silentLog: Log = createLog('silent', () => undefined);

export function createTestReader(options: Partial<DocumentReaderOptions> = {}): DocumentReader {
  return createDocumentReader({
    processesMax: 1,
    memoryBytesMax: 1024 * 1024 * 1024,
    timeoutMs: 60_000,
    idleMs: 60_000,
    log: silentLog,
    ...options,
  });
}

export function toSource(name: string, content: Uint8Array | string): DocumentSource {
  const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content;
  return { name, size: bytes.length, bytes: new Blob([bytes as Uint8Array<ArrayBuffer>]).stream() };
}

export interface ReadResult {
  readonly chunks: readonly DocumentChunk[];
  readonly summary: DocumentSummary;
  /** The whole text, put together from the chunks. */
  readonly text: string;
}

export async function readAll(
  reader: DocumentReader,
  source: DocumentSource,
  chunking: Chunking = AUTO,
  signal: AbortSignal = new AbortController().signal,
): Promise<ReadResult> {
  const chunks: DocumentChunk[] = [];
  const reading = reader.read(source, chunking, signal);
  for (;;) {
    const step = await reading.next();
    if (step.done === true) return { chunks, summary: step.value, text: putTogether(chunks) };
    chunks.push(...step.value);
  }
}

/** The text that the chunks cover; throws where they leave a gap, or say two things of one place. */
export function putTogether(chunks: readonly Pick<DocumentChunk, 'text' | 'start' | 'end'>[]): string {
  const parts: string[] = [];
  let previous = { text: '', start: 0, end: 0 };
  for (const chunk of chunks) {
    if (chunk.start > previous.end) throw new Error(`There is a gap from ${previous.end} to ${chunk.start}.`);
    const shared = previous.end - chunk.start;
    if (previous.text.slice(chunk.start - previous.start) !== chunk.text.slice(0, shared)) {
      throw new Error(`The chunk at ${chunk.start} says something else than the one before.`);
    }
    parts.push(chunk.text.slice(shared));
    previous = chunk;
  }
  return parts.join('');
}

/** The error that reading ends with. */
export async function readToError(
  reader: DocumentReader,
  source: DocumentSource,
  chunking: Chunking = AUTO,
): Promise<DocumentError> {
  try {
    await readAll(reader, source, chunking);
  } catch (error) {
    if (error instanceof DocumentError) return error;
    throw error;
  }
  throw new Error(`${source.name} was read.`);
}
