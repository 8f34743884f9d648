/** One answer to a chat request, read piece by piece into the port's events. */

import { parseJson, toRecord } from '../json-values.ts';
import type { UpstreamAnswer } from '../outbound/upstream-answer.ts';
import { type ChatEvent, ProviderError } from '../provider.ts';
import { createChatMapper, type MapperOptions } from './chat-mapper.ts';
import { toInlineError } from './error-mapping.ts';
import { createSseParser, type SseEvent } from './sse-parser.ts';

/** Bytes of an answer that comes as one JSON document. */
export const REPLY_BYTES_MAX = 32 * 1024 * 1024;

/** After a finish reason only usage and `[DONE]` can come; a server that leaves both out is waited for no longer. */
export const TRAILER_MS = 5_000;

export interface ChatReply {
  /** The events of the next piece, never an empty list; null at the end. Throws `ProviderError`. */
  nextBatch(): Promise<readonly ChatEvent[] | null>;
  close(): void;
}

export interface ReplyOptions extends MapperOptions {
  readonly trailerMs: number;
}

export function createChatReply(answer: UpstreamAnswer, options: ReplyOptions): ChatReply {
  const parser = createSseParser();
  const mapper = createChatMapper(options);
  let hasEnded = false;
  let isFirst = true;
  /** What is left after `[DONE]` is read in the background, so that the connection serves again. */
  let isDraining = false;
  let fault: unknown = null;

  /** True when the data was the end of the answer. */
  const takeEvent = ({ name, data }: SseEvent, events: ChatEvent[]): boolean => {
    const text = data.trim();
    if (text === '[DONE]') return true;
    if (name === 'error') throw toInlineError(parseJson(text) ?? text, options.errorContext());
    if (text === '') return false;
    const chunk = parseJson(text);
    if (chunk === undefined) {
      throw new ProviderError(
        'protocol',
        "The model's server sent a chunk that is not JSON, or only half of one.",
      );
    }
    mapper.push(chunk, events);
    return false;
  };

  const finish = (events: ChatEvent[]): void => {
    hasEnded = true;
    mapper.end(events);
  };

  const takePiece = (piece: Uint8Array | null, events: ChatEvent[]): void => {
    for (const event of piece === null ? parser.end() : parser.push(piece)) {
      if (!takeEvent(event, events)) continue;
      isDraining = true;
      void drain(answer, options.trailerMs);
      finish(events);
      return;
    }
    if (piece === null) finish(events);
  };

  /** The first piece that holds more than space tells a stream from one document, or an HTML page. */
  const takeFirst = async (piece: Uint8Array, events: ChatEvent[]): Promise<void> => {
    const begin = toFirstCharacter(piece);
    if (begin === '') return;
    isFirst = false;
    if (isEventStream(answer) || begin === 'other') {
      takePiece(piece, events);
    } else {
      mapper.push(await readDocument(begin, piece, answer), events);
      finish(events);
    }
  };

  return {
    async nextBatch() {
      if (fault !== null) throw fault;
      while (!hasEnded) {
        const events: ChatEvent[] = [];
        try {
          const piece = mapper.hasFinished
            ? await readTrailer(answer, options.trailerMs)
            : await answer.read();
          if (isFirst && piece !== null) await takeFirst(piece, events);
          else takePiece(piece, events);
        } catch (error) {
          hasEnded = true;
          // What came before the fault is said first.
          if (events.length === 0) throw error;
          fault = error;
        }
        if (events.length > 0) return events;
      }
      return null;
    },
    close() {
      if (!isDraining) answer.close();
    },
  };
}

function isEventStream(answer: UpstreamAnswer): boolean {
  return answer.contentType.includes('text/event-stream');
}

type FirstCharacter = '' | '{' | '<' | 'other';

/** Servers mislabel their answers; the first character tells JSON and HTML from a stream. */
function toFirstCharacter(piece: Uint8Array): FirstCharacter {
  for (const byte of piece) {
    if (byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09) continue;
    return byte === 0x7b ? '{' : byte === 0x3c ? '<' : 'other';
  }
  return '';
}

/** A server that does not stream answers with one document, which is as good. */
async function readDocument(
  begin: FirstCharacter,
  first: Uint8Array,
  answer: UpstreamAnswer,
): Promise<unknown> {
  if (begin === '<') throw new ProviderError('protocol', "The model's server answered with an HTML page.");
  const decoder = new TextDecoder();
  const text = decoder.decode(first, { stream: true }) + (await readRest(decoder, first.byteLength, answer));
  const document = parseJson(text);
  if (toRecord(document) === null) {
    throw new ProviderError('protocol', "The model's server answered with JSON that is cut or malformed.");
  }
  return document;
}

async function readRest(decoder: TextDecoder, taken: number, answer: UpstreamAnswer): Promise<string> {
  let text = '';
  let bytes = taken;
  for (let piece = await answer.read(); piece !== null; piece = await answer.read()) {
    bytes += piece.byteLength;
    if (bytes > REPLY_BYTES_MAX) {
      throw new ProviderError('protocol', `The model's server answered more than ${REPLY_BYTES_MAX} bytes.`);
    }
    text += decoder.decode(piece, { stream: true });
  }
  return text + decoder.decode();
}

/** The answer is whole already: a connection that breaks or stalls from here on takes nothing from it. */
async function readTrailer(answer: UpstreamAnswer, trailerMs: number): Promise<Uint8Array | null> {
  let timer: Timer | undefined;
  const timeout = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), trailerMs);
  });
  try {
    const piece = await Promise.race([answer.read(), timeout]);
    return piece;
  } catch (error) {
    if (error instanceof ProviderError) return null;
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** Reads what follows `[DONE]`, which is the end of the body as a rule; a connection is only used again after that. */
async function drain(answer: UpstreamAnswer, trailerMs: number): Promise<void> {
  const timer = setTimeout(() => answer.close(), trailerMs);
  try {
    let piece = await answer.read();
    while (piece !== null) piece = await answer.read();
  } catch {
    // Nobody waits for these bytes.
  } finally {
    clearTimeout(timer);
    answer.close();
  }
}
