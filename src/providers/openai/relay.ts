/** Requests handed through to an OpenAI-compatible server: the bytes as they come, only ends made sure of. */

import type { CallMeter } from '../call-meter.ts';
import { DocumentReply } from '../document-reply.ts';
import { parseJson, toList, toRecord } from '../json-values.ts';
import { DOCUMENT_BYTES_MAX, type UpstreamAnswer } from '../outbound/upstream-answer.ts';
import { ProviderError } from '../provider.ts';
import { findUsage, findUsageInPieces } from '../usage-scan.ts';
import { type ErrorContext, holdsError, toInlineError } from './error-mapping.ts';
import { createFrameCutter } from './frame-cutter.ts';
import {
  type RepairedDocument,
  type RepairedFrames,
  type RepairOptions,
  repairDocument,
  type StreamRepair,
} from './reply-repair.ts';

/** Documents up to this length are parsed, to find what is cut or odd in them; of longer ones the two ends are looked at. */
const PARSED_CHARACTERS_MAX = 256 * 1024;
/** Pieces in which an end is looked for: the finish, the usage and `[DONE]` may come in three. */
const RECENT_PIECES_MAX = 4;

/** An answer that does not stream. Throws `ProviderError` for HTML, cut JSON, and errors under status 200. */
export async function toPlainReply(answer: UpstreamAnswer, repair: RepairOptions): Promise<DocumentReply> {
  const { text, usage } = readDocument(await answer.readText(DOCUMENT_BYTES_MAX), repair);
  return new DocumentReply(answer.status, text, usage);
}

/** The document, mended where that is called for. Throws `ProviderError` where it is none. */
export function checkDocument(text: string, repair: RepairOptions): string {
  return readDocument(text, repair).text;
}

function readDocument(text: string, repair: RepairOptions): RepairedDocument {
  if (!isBracket(text.charCodeAt(0)) && !/^\s*[{[]/.test(text)) {
    throw new ProviderError('protocol', "The model's server answered with something that is not JSON.");
  }
  if (text.length <= PARSED_CHARACTERS_MAX) return repairDocument(text, repair);
  if (!/[}\]]\s*$/.test(text.slice(-TAIL_CHARACTERS))) {
    throw new ProviderError('protocol', "The model's server answered with JSON that is cut.");
  }
  return { text, usage: findUsage(text) };
}

function isBracket(code: number): boolean {
  return code === 0x7b || code === 0x5b;
}

/** Enough for the white space that a server may put behind its answer. */
const TAIL_CHARACTERS = 64;

/** An answer that streams, or one document (a server that cannot stream) made into a stream. */
export async function toStreamResponse(
  answer: UpstreamAnswer,
  repair: RepairOptions,
  streamRepair: StreamRepair,
): Promise<Response> {
  const contentType = answer.contentType;
  if (contentType.includes('json')) {
    const text = checkDocument(await answer.readText(DOCUMENT_BYTES_MAX), repair);
    return new Response(toEventStream(text, repair.context), STREAM_INIT);
  }
  refuseHtml(answer);
  const stream = createRelayStream(answer, streamRepair, { needsFinish: true, meter: repair.meter });
  return new Response(stream, STREAM_INIT);
}

export function refuseHtml(answer: UpstreamAnswer): void {
  if (!answer.contentType.includes('html')) return;
  answer.close();
  throw new ProviderError('protocol', "The model's server answered with an HTML page.");
}

export const STREAM_INIT: ResponseInit = Object.freeze({
  status: 200,
  headers: Object.freeze({ 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' }),
});

/**
 * Passes on whole events only. Where the upstream dies, its half event is dropped and an error event ends the stream, so that
 * every client can read it to its end and knows. `needsFinish`: a stream that ends without a finish reason has died too. What
 * it cost is found in its last pieces, where the server counts at all.
 */
export function createRelayStream(
  answer: UpstreamAnswer,
  repair: StreamRepair,
  options: { readonly needsFinish: boolean; readonly meter: CallMeter | undefined },
): ReadableStream<Uint8Array> {
  const { needsFinish, meter } = options;
  const frames = createFrameCutter();
  const recent: Uint8Array[] = [];

  const mend = (whole: Uint8Array): RepairedFrames => {
    const mended = repair.push(whole);
    recent.push(mended.bytes);
    if (recent.length > RECENT_PIECES_MAX) recent.shift();
    return mended;
  };

  /** The last pieces: a whole event that lacks its blank line, and what went wrong. */
  const takeEnd = (error: ProviderError | null): Uint8Array => {
    const rest = frames.takeRest();
    const mended = isWholeEvent(rest) ? mend(Buffer.concat([rest, BLANK_LINE])) : null;
    const fault = error ?? mended?.fault ?? null;
    const isBroken = needsFinish ? !hasFinished(recent) : fault !== null;
    const errorFrame = isBroken ? toErrorFrame(fault ?? createEarlyEnd()) : NOTHING;
    return Buffer.concat([mended?.bytes ?? NOTHING, errorFrame]);
  };

  /** The next bytes that can be handed on. */
  const next = async (): Promise<{ readonly bytes: Uint8Array; readonly isLast: boolean }> => {
    try {
      for (;;) {
        const piece = await answer.read();
        if (piece === null) return { bytes: takeEnd(null), isLast: true };
        const whole = frames.push(piece);
        if (whole === null) continue;
        const { bytes, fault } = mend(whole);
        if (fault === null) return { bytes, isLast: false };
        return { bytes: Buffer.concat([bytes, takeEnd(fault)]), isLast: true };
      }
    } catch (error) {
      // Not an error of the upstream: whoever asked has left.
      if (!(error instanceof ProviderError)) throw error;
      return { bytes: takeEnd(error), isLast: true };
    }
  };

  // The first piece is read while the answer's headers are on their way.
  let ahead: ReturnType<typeof next> | null = next();
  // What it fails with is thrown where it is taken.
  ahead.catch(() => undefined);

  return new ReadableStream<Uint8Array>({
    // Bun's own kind of stream: no queue between here and the connection.
    type: 'direct',
    async pull(controller) {
      meter?.stream.begin();
      try {
        for (let isLast = false; !isLast; ) {
          const taken = await (ahead ?? next());
          ahead = null;
          isLast = taken.isLast;
          meter?.stream.piece(taken.bytes.byteLength);
          // A promise where the connection holds as much as it takes for now.
          if (taken.bytes.byteLength > 0) await controller.write(taken.bytes);
        }
        controller.close();
        if (meter !== undefined) noteUsage(meter, recent);
      } finally {
        meter?.stream.end();
        answer.close();
      }
    },
    cancel() {
      meter?.stream.end();
      answer.close();
    },
  });
}

const NOTHING = new Uint8Array();
const BLANK_LINE = new Uint8Array([10, 10]);

/** What a server leaves without a blank line at its end is `[DONE]` as a rule; half an event is no event. */
function isWholeEvent(rest: Uint8Array): boolean {
  const text = new TextDecoder().decode(rest).trim();
  if (!text.startsWith('data:')) return false;
  const data = text.slice(5).trim();
  return data === '[DONE]' || parseJson(data) !== undefined;
}

function noteUsage(meter: CallMeter, recent: readonly Uint8Array[]): void {
  const counts = findUsageInPieces(recent);
  if (counts !== null) meter.usage(counts);
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
