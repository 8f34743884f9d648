/**
 * The port for reading documents: bytes in, chunks out. Documents come from strangers, so the reading is done in
 * a process of its own, bounded in memory and time.
 */

/** Tokens of a chunk and of what it shares with the one before. */
export interface Chunking {
  readonly tokensMax: number;
  readonly overlapTokens: number;
}

export interface DocumentSource {
  /** The file's name, which tells its type where the content does not. */
  readonly name: string;
  readonly bytes: ReadableStream<Uint8Array>;
  readonly size: number;
}

/**
 * A piece of a document. The chunks of a document cover its text without gaps: each begins at or before the end of
 * the one before, so that the whole text can be put together from them.
 */
export interface DocumentChunk {
  /** Counts from 0. */
  readonly position: number;
  readonly text: string;
  /** Where `text` stands in the document's text: UTF-16 units, `end` exclusive. */
  readonly start: number;
  readonly end: number;
  /** The page that the chunk begins on, from 1; null where the format has no pages. */
  readonly page: number | null;
  /** Title, headings above the text, or a file name that looks like words, one a line; embedded with the text. */
  readonly context: string;
  readonly tokens: number;
  /** The words of text, context and file name, as `encodeTerms` of `vector/analyser.ts` writes them. */
  readonly terms: string;
}

export interface DocumentSummary {
  readonly chunks: number;
  /** ISO 639-1 codes of the languages that the words were analysed for. */
  readonly languages: readonly string[];
}

export type DocumentErrorCode =
  /** Of a type that cannot be read. */
  | 'unsupported_file'
  /** Of a known type, but corrupt, encrypted, empty, without text, too large, or too costly to read. */
  | 'invalid_file'
  /** The reader itself failed. */
  | 'server_error';

/** Why a document cannot be read. `message` is for the user. */
export class DocumentError extends Error {
  override readonly name = 'DocumentError';
  readonly code: DocumentErrorCode;

  constructor(code: DocumentErrorCode, message: string, options: { cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
  }
}

export interface DocumentReader {
  /**
   * Reads a document. Yields chunks in order, in batches, no faster than they are taken; returns when all were taken.
   * The same bytes, name and chunking give the same chunks. Errors: `DocumentError`; after `signal` aborts, its
   * reason. Leaving the loop early ends the reading.
   */
  read(
    source: DocumentSource,
    chunking: Chunking,
    signal: AbortSignal,
  ): AsyncGenerator<readonly DocumentChunk[], DocumentSummary, undefined>;

  /** Starts what reading needs, for a document that will come soon. Nothing where it is there already. */
  warm(): void;

  /** Ends what is being read. Idempotent. */
  close(): Promise<void>;
}
