/** Requests handed through to an OpenAI-compatible server: the bytes as they come, only ends made sure of. */

import { parseJson, toList, toRecord } from '../json-values.ts';
import { ProviderError } from '../provider.ts';
import type { UpstreamAnswer } from '../upstream-answer.ts';
import { type ErrorContext, holdsError, toInlineError } from './error-mapping.ts';

/** Bytes of an answer that does not stream: 2,048 embeddings of 3,072 numbers are about 80 MB. */
export const RELAY_BYTES_MAX = 128 * 1024 * 1024;
/** Bytes of one event of a stream, which is held until it is whole. */
export const FRAME_BYTES_MAX = 8 * 1024 * 1024;
/** Pieces in which an end is looked for: the finish, the usage and `[DONE]` may come in three. */
const RECENT_PIECES_MAX = 4;

/** An answer that does not stream. Throws `ProviderError` for HTML and the like. */
export async function toPlainResponse(answer: UpstreamAnswer): Promise<Response> {
  const contentType = answer.headers.get('content-type') ?? '';
  const text = await answer.readText(RELAY_BYTES_MAX);
  if (!contentType.includes('json') && !/^\s*[{[]/.test(text)) {
    throw new ProviderError('protocol', "The model's server answered with something that is not JSON.");
  }
  return new Response(text, { status: answer.status, headers: { 'content-type': 'application/json' } });
}

/** An answer that streams, or one document (a server that cannot stream) made into a stream. */
export async function toStreamResponse(answer: UpstreamAnswer, context: ErrorContext): Promise<Response> {
  const contentType = answer.headers.get('content-type') ?? '';
  if (contentType.includes('json')) {
    return new Response(toEventStream(await answer.readText(RELAY_BYTES_MAX), context), STREAM_INIT);
  }
  if (contentType.includes('html')) {
    answer.close();
    throw new ProviderError('protocol', "The model's server answered with an HTML page.");
  }
  return new Response(createRelayStream(answer), STREAM_INIT);
}

const STREAM_INIT: ResponseInit = Object.freeze({
  status: 200,
  headers: Object.freeze({ 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' }),
});

/**
 * Passes on whole events only. Where the upstream dies, its half event is dropped and an error event ends the
 * stream, so that every client can read it to its end and knows.
 */
function createRelayStream(answer: UpstreamAnswer): ReadableStream<Uint8Array> {
  const frames = createFrameCutter();
  const recent: Uint8Array[] = [];

  const remember = (piece: Uint8Array): void => {
    recent.push(piece);
    if (recent.length > RECENT_PIECES_MAX) recent.shift();
  };

  const end = (
    controller: ReadableStreamDefaultController<Uint8Array>,
    error: ProviderError | null,
  ): void => {
    answer.close();
    const rest = frames.takeRest();
    const isWholeRest = isWholeEvent(rest);
    if (isWholeRest) remember(rest);
    if (isWholeRest) controller.enqueue(Buffer.concat([rest, BLANK_LINE]));
    if (!hasFinished(recent)) controller.enqueue(toErrorFrame(error ?? createEarlyEnd()));
    controller.close();
  };

  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        for (;;) {
          const piece = await answer.read();
          if (piece === null) return end(controller, null);
          const whole = frames.push(piece);
          if (whole === null) continue;
          remember(whole);
          controller.enqueue(whole);
          return;
        }
      } catch (error) {
        // Not an error of the upstream: whoever asked has left.
        if (!(error instanceof ProviderError)) {
          answer.close();
          controller.error(error);
          return;
        }
        end(controller, error);
      }
    },
    cancel() {
      answer.close();
    },
  });
}

interface FrameCutter {
  /** The bytes up to the last blank line; null where no event is whole yet. Throws beyond the bound. */
  push(piece: Uint8Array): Uint8Array | null;
  takeRest(): Uint8Array;
}

export function createFrameCutter(bytesMax: number = FRAME_BYTES_MAX): FrameCutter {
  let held: Uint8Array[] = [];
  let heldBytes = 0;

  return {
    push(piece) {
      if (heldBytes === 0 && endsWithBlankLine(piece)) return piece;
      const tail = toTail(held);
      const joined = tail.byteLength === 0 ? piece : Buffer.concat([tail, piece]);
      const end = findLastFrameEnd(joined) - tail.byteLength;
      if (end <= 0) {
        held.push(piece);
        heldBytes += piece.byteLength;
        if (heldBytes > bytesMax) {
          throw new ProviderError('protocol', "The model's server sent an event that is too long.");
        }
        return null;
      }
      const whole = Buffer.concat([...held, piece.subarray(0, end)]);
      held = end === piece.byteLength ? [] : [piece.subarray(end)];
      heldBytes = piece.byteLength - end;
      return whole;
    },
    takeRest() {
      const rest = Buffer.concat(held);
      held = [];
      heldBytes = 0;
      return rest;
    },
  };
}

const LF = 10;
const BLANK_LINE = new Uint8Array([LF, LF]);
const FRAME_ENDS = Object.freeze(['\n\n', '\r\n\r\n', '\r\r']);
/** A frame's end of four bytes may lie across pieces: three of them in the earlier ones. */
const TAIL_BYTES = 3;

function endsWithBlankLine(piece: Uint8Array): boolean {
  return piece.at(-1) === LF && piece.at(-2) === LF;
}

function toTail(held: readonly Uint8Array[]): Uint8Array {
  const latest: Uint8Array[] = [];
  let bytes = 0;
  for (let i = held.length - 1; i >= 0 && bytes < TAIL_BYTES; i -= 1) {
    const part = (held[i] ?? new Uint8Array()).subarray(-(TAIL_BYTES - bytes));
    latest.unshift(part);
    bytes += part.byteLength;
  }
  return Buffer.concat(latest);
}

/** The position after the last blank line; 0 where there is none. */
function findLastFrameEnd(bytes: Uint8Array): number {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let end = 0;
  for (const mark of FRAME_ENDS) {
    const at = buffer.lastIndexOf(mark);
    if (at !== -1) end = Math.max(end, at + mark.length);
  }
  return end;
}

/** What a server leaves without a blank line at its end is `[DONE]` as a rule; half an event is no event. */
function isWholeEvent(rest: Uint8Array): boolean {
  const text = new TextDecoder().decode(rest).trim();
  if (!text.startsWith('data:')) return false;
  const data = text.slice(5).trim();
  return data === '[DONE]' || parseJson(data) !== undefined;
}

function hasFinished(recent: readonly Uint8Array[]): boolean {
  const text = new TextDecoder().decode(Buffer.concat([...recent]));
  return text.includes('[DONE]') || /"finish_reason"\s*:\s*"/.test(text) || /"error"\s*:\s*[{"]/.test(text);
}

function createEarlyEnd(): ProviderError {
  return new ProviderError('protocol', "The model's server ended its answer without a finish reason.");
}

function toErrorFrame({ message }: ProviderError): Uint8Array {
  const error = { message, type: 'server_error', param: null, code: 'upstream_error' };
  return new TextEncoder().encode(`data: ${JSON.stringify({ error })}\n\n`);
}

/** A whole completion as the chunks of a stream: everything in one, then the usage, then the end. */
export function toEventStream(text: string, context: ErrorContext): string {
  const completion = toRecord(parseJson(text));
  if (completion === null) {
    throw new ProviderError('protocol', "The model's server answered with JSON that is cut or malformed.");
  }
  if (holdsError(completion)) throw toInlineError(completion, context);
  const { choices, usage, ...rest } = completion;
  const head = { ...rest, object: 'chat.completion.chunk' };
  const chunk = { ...head, choices: toList(choices).map(toChunkChoice) };
  const frames = [chunk, ...(toRecord(usage) === null ? [] : [{ ...head, choices: [], usage }])];
  return `${frames.map((frame) => `data: ${JSON.stringify(frame)}\n\n`).join('')}data: [DONE]\n\n`;
}

function toChunkChoice(value: unknown): unknown {
  const { message, ...rest } = toRecord(value) ?? {};
  const delta = toRecord(message) ?? {};
  const calls = delta.tool_calls;
  if (!Array.isArray(calls)) return { ...rest, delta };
  return {
    ...rest,
    delta: { ...delta, tool_calls: calls.map((call, index) => ({ index, ...toRecord(call) })) },
  };
}
