/**
 * Replies of servers that write Chat Completions in ways of their own, as OpenAI would have written them.
 *
 * Most pieces of a stream need nothing and stay the bytes that they are; they are told by what they do not hold.
 */

import type { CallMeter, TokenCounts } from '../call-meter.ts';
import { type JsonRecord, parseJson, toList, toRecord, toText } from '../json-values.ts';
import { type ChatEvent, ProviderError } from '../provider.ts';
import { findUsage, toTokenCounts } from '../usage-scan.ts';
import { takeContent, toFinishReason, toMatchingReason } from './chat-mapper.ts';
import { type ErrorContext, holdsError, redactSecrets, toInlineError } from './error-mapping.ts';
import { type AssemblerOptions, createToolCallAssembler, type ToolCallAssembler } from './tool-calls.ts';

export interface RepairOptions extends AssemblerOptions {
  /** The server is what others are measured by: only what it says of errors is looked at. */
  readonly isExact: boolean;
  readonly context: ErrorContext;
  /** Of a stream. */
  readonly meter?: CallMeter | undefined;
}

export interface RepairedFrames {
  readonly bytes: Uint8Array;
  /** What ends the stream behind these bytes; null where it goes on. */
  readonly fault: ProviderError | null;
}

export interface StreamRepair {
  /** Takes whole events. */
  push(frames: Uint8Array): RepairedFrames;
}

const ERROR_MARKS: readonly string[] = Object.freeze(['"error"', 'event: error', 'event:error']);
const ODD_MARKS: readonly string[] = Object.freeze([
  ...ERROR_MARKS,
  '"tool_calls"',
  '"finish_reason":"',
  '"finish_reason": "',
  '"content":[',
  '"content": [',
]);

export function createStreamRepair(options: RepairOptions): StreamRepair {
  const { isExact } = options;
  const marks = isExact ? ERROR_MARKS : ODD_MARKS;
  const assemblers = new Map<number, ToolCallAssembler>();
  const findAssembler = (index: number): ToolCallAssembler => {
    const found = assemblers.get(index) ?? createToolCallAssembler(options);
    assemblers.set(index, found);
    return found;
  };

  const repairFrame = (frame: string): string => {
    const data = /^data:[ ]?(.*)$/m.exec(frame)?.[1];
    const chunk = data === undefined ? null : toRecord(parseJson(data));
    if (/^event:[ ]?error\s*$/m.test(frame) || (chunk !== null && holdsError(chunk))) {
      return redactSecrets(frame, options.context);
    }
    if (chunk === null || data === undefined || isExact) return frame;
    const choices = toList(chunk.choices);
    const repaired = choices.map((choice) => repairChoice(toRecord(choice) ?? {}, findAssembler));
    if (repaired.every((choice, at) => choice === choices[at])) return frame;
    return frame.replace(data, () => JSON.stringify({ ...chunk, choices: repaired }));
  };

  return {
    push(frames) {
      const buffer = Buffer.from(frames.buffer, frames.byteOffset, frames.byteLength);
      if (!marks.some((mark) => buffer.includes(mark))) return { bytes: frames, fault: null };
      const parts: string[] = [];
      try {
        for (const frame of splitFrames(buffer.toString('utf8'))) parts.push(repairFrame(frame));
        return { bytes: Buffer.from(parts.join('')), fault: null };
      } catch (error) {
        if (!(error instanceof ProviderError)) throw error;
        return { bytes: Buffer.from(parts.join('')), fault: error };
      }
    },
  };
}

/** Each with the blank line at its end. */
function splitFrames(text: string): readonly string[] {
  return text.match(/[\s\S]*?(?:\r\n\r\n|\n\n|\r\r|$)/g)?.filter((frame) => frame !== '') ?? [];
}

/** The choice itself where nothing is to be mended. */
function repairChoice(choice: JsonRecord, findAssembler: (index: number) => ToolCallAssembler): JsonRecord {
  const delta = toRecord(choice.delta) ?? {};
  const finish = toText(choice.finish_reason);
  const calls = toList(delta.tool_calls);
  const content = toPlainContent(delta.content);
  const index = typeof choice.index === 'number' ? choice.index : 0;
  const assembler = calls.length > 0 || finish !== null ? findAssembler(index) : null;
  const events: ChatEvent[] = [];
  if (assembler !== null && calls.length > 0) assembler.push(calls, events);
  if (assembler !== null && finish !== null) assembler.end(events);
  const reason = finish === null ? null : toMatchingReason(toFinishReason(finish), assembler?.count ?? 0);
  if (content === null && calls.length === 0 && events.length === 0 && reason === finish) return choice;
  const { tool_calls: _, ...rest } = delta;
  return {
    ...choice,
    delta: { ...rest, ...content, ...(events.length === 0 ? {} : { tool_calls: toCallDeltas(events) }) },
    finish_reason: reason,
  };
}

interface CallDelta {
  readonly index: number;
  readonly id?: string;
  readonly type?: 'function';
  readonly function: { readonly name?: string; arguments: string };
  readonly extra_content?: unknown;
}

/** One entry a call: clients expect no more in a chunk. */
function toCallDeltas(events: readonly ChatEvent[]): readonly CallDelta[] {
  const deltas = new Map<number, CallDelta>();
  for (const event of events) {
    if (event.type === 'tool_call') {
      const { index, id, name, extraContent } = event;
      const extra = extraContent === undefined ? {} : { extra_content: extraContent };
      deltas.set(index, { index, id, type: 'function', function: { name, arguments: '' }, ...extra });
    } else if (event.type === 'tool_arguments') {
      const known = deltas.get(event.index);
      if (known === undefined)
        deltas.set(event.index, { index: event.index, function: { arguments: event.text } });
      else known.function.arguments += event.text;
    }
  }
  return [...deltas.values()];
}

/** A list of parts as text, thoughts apart; null where it is no list. */
function toPlainContent(content: unknown): { content: string; reasoning_content?: string } | null {
  if (!Array.isArray(content)) return null;
  const events: ChatEvent[] = [];
  takeContent(content, events);
  const join = (type: 'text' | 'reasoning'): string =>
    events.map((event) => (event.type === type ? event.text : '')).join('');
  const thoughts = join('reasoning');
  return { content: join('text'), ...(thoughts === '' ? {} : { reasoning_content: thoughts }) };
}

export interface RepairedDocument {
  readonly text: string;
  /** What it says of its tokens; null where it says nothing. */
  readonly usage: TokenCounts | null;
}

/**
 * A whole completion; the text itself where nothing is to be mended. Throws `ProviderError` for one that is cut, or that is an
 * error although its status was 200.
 */
export function repairDocument(text: string, options: RepairOptions): RepairedDocument {
  const document = toRecord(parseJson(text));
  if (document === null) {
    throw new ProviderError('protocol', "The model's server answered with JSON that is cut or malformed.");
  }
  if (holdsError(document)) throw toInlineError(document, options.context);
  const choices = toList(document.choices);
  const repaired = choices.map((choice) => repairWholeChoice(toRecord(choice) ?? {}, options));
  const usage = toTokenCounts(toRecord(document.usage)) ?? findUsage(text);
  if (repaired.every((choice, at) => choice === choices[at])) return { text, usage };
  return { text: JSON.stringify({ ...document, choices: repaired }), usage };
}

function repairWholeChoice(choice: JsonRecord, options: RepairOptions): JsonRecord {
  const message = toRecord(choice.message);
  // Azure leaves it out where its filter took the reply.
  if (message === null && 'text' in choice) return choice;
  if (message === null) return { ...choice, message: { role: 'assistant', content: null, refusal: null } };
  const finish = toText(choice.finish_reason);
  const calls = toList(message.tool_calls);
  const content = toPlainContent(message.content);
  const reason = finish === null ? null : toMatchingReason(toFinishReason(finish), calls.length);
  if ((content === null && calls.every(isWholeCall) && reason === finish) || options.isExact) return choice;
  return {
    ...choice,
    message: {
      ...message,
      ...content,
      ...(calls.length === 0 ? {} : { tool_calls: assembleCalls(calls, options) }),
    },
    finish_reason: reason,
  };
}

function isWholeCall(value: unknown): boolean {
  const call = toRecord(value);
  return (
    toText(call?.id) !== null &&
    call?.type === 'function' &&
    toText(toRecord(call.function)?.arguments) !== null
  );
}

function assembleCalls(calls: readonly unknown[], options: AssemblerOptions): readonly unknown[] {
  const assembler = createToolCallAssembler(options);
  const events: ChatEvent[] = [];
  // Each is whole: an index of its own keeps them apart.
  assembler.push(
    calls.map((call, index) => ({ ...toRecord(call), index })),
    events,
  );
  assembler.end(events);
  return toCallDeltas(events).map(({ index: _, ...call }) => call);
}
