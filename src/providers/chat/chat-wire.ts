/**
 * A provider's events in the wire format of Chat Completions: one document, or the chunks of a stream.
 *
 * For providers that do not speak OpenAI's protocol themselves. Thoughts are offered as `reasoning_content`, never as content.
 */

import type OpenAI from 'openai';
import type { CallMeter, TokenCounts } from '../call-meter.ts';
import {
  type ChatEvent,
  type ChatMessage,
  type ChatUsage,
  type FinishReason,
  ProviderError,
} from '../provider.ts';

export interface WireHead {
  readonly id: string;
  /** Seconds since the epoch. */
  readonly created: number;
  readonly model: string;
}

type Completion = OpenAI.Chat.ChatCompletion;
type Chunk = OpenAI.Chat.ChatCompletionChunk;
type ChunkChoice = OpenAI.Chat.ChatCompletionChunk.Choice;
type CompletionChoice = OpenAI.Chat.ChatCompletion.Choice;

interface WireCall {
  readonly id: string;
  readonly type: 'function';
  readonly function: { readonly name: string; arguments: string };
  readonly extra_content?: unknown;
}

/** What peers add to OpenAI's message, and what we add so that a turn can be given back whole. */
interface WireExtras {
  readonly reasoning_content?: string;
  readonly provider_metadata?: unknown;
}

export type WireDelta = ChunkChoice['delta'] & WireExtras;
export type WireChoice = CompletionChoice & { message: CompletionChoice['message'] & WireExtras };

/** One choice of a completion, from its events. */
export function toChoice(events: readonly ChatEvent[], index: number): WireChoice {
  const join = (type: 'text' | 'refusal' | 'reasoning'): string =>
    events.flatMap((event) => (event.type === type ? [event.text] : [])).join('');
  const calls: WireCall[] = [];
  let finish: FinishReason = 'stop';
  let metadata: unknown;
  for (const event of events) {
    if (event.type === 'tool_call') calls.push(toWireCall(event));
    else if (event.type === 'tool_arguments') {
      const call = calls[event.index];
      if (call !== undefined) call.function.arguments += event.text;
    } else if (event.type === 'finish') finish = event.reason;
    else if (event.type === 'metadata') metadata = event.value;
  }
  const [text, refusal, thoughts] = [join('text'), join('refusal'), join('reasoning')];
  const hasText = text !== '' || (calls.length === 0 && refusal === '');
  const message: WireChoice['message'] = {
    role: 'assistant',
    content: hasText ? text : null,
    refusal: refusal || null,
    ...(thoughts === '' ? {} : { reasoning_content: thoughts }),
    ...(calls.length === 0 ? {} : { tool_calls: calls }),
    ...(metadata === undefined ? {} : { provider_metadata: metadata }),
  };
  return { index, message, logprobs: null, finish_reason: finish };
}

export function toCompletion(head: WireHead, choices: WireChoice[], usage: ChatUsage | null): Completion {
  const { id, created, model } = head;
  return {
    id,
    object: 'chat.completion',
    created,
    model,
    choices,
    ...(usage === null ? {} : { usage: toWireUsage(usage) }),
  };
}

export function toChunk(
  head: WireHead,
  index: number,
  delta: WireDelta,
  finish: FinishReason | null = null,
): Chunk {
  return toBareChunk(head, [{ index, delta, logprobs: null, finish_reason: finish }]);
}

export function toUsageChunk(head: WireHead, usage: ChatUsage): Chunk {
  return { ...toBareChunk(head, []), usage: toWireUsage(usage) };
}

function toBareChunk({ id, created, model }: WireHead, choices: ChunkChoice[]): Chunk {
  return { id, object: 'chat.completion.chunk', created, model, choices };
}

/** What an event adds to the message; null for events that say nothing in it. */
export function toDelta(event: ChatEvent): WireDelta | null {
  switch (event.type) {
    case 'text':
      return { content: event.text };
    case 'reasoning':
      return { reasoning_content: event.text };
    case 'refusal':
      return { refusal: event.text };
    case 'tool_call':
      return { tool_calls: [{ index: event.index, ...toWireCall(event) }] };
    case 'tool_arguments':
      return { tool_calls: [{ index: event.index, function: { arguments: event.text } }] };
    case 'metadata':
      return { provider_metadata: event.value };
    default:
      return null;
  }
}

function toWireCall({ id, name, extraContent }: Extract<ChatEvent, { type: 'tool_call' }>): WireCall {
  const extra = extraContent === undefined ? {} : { extra_content: extraContent };
  return { id, type: 'function', function: { name, arguments: '' }, ...extra };
}

export function toFrame(value: unknown): string {
  return `data: ${JSON.stringify(value)}\n\n`;
}

export function toErrorFrame({ message, code }: ProviderError): string {
  return toFrame({ error: { message, type: 'server_error', param: null, code: code ?? 'upstream_error' } });
}

export function toWireUsage(usage: ChatUsage): OpenAI.CompletionUsage {
  const { cachedTokens, reasoningTokens } = usage;
  return {
    prompt_tokens: usage.promptTokens,
    completion_tokens: usage.completionTokens,
    total_tokens: usage.totalTokens,
    ...(cachedTokens === undefined ? {} : { prompt_tokens_details: { cached_tokens: cachedTokens } }),
    ...(reasoningTokens === undefined
      ? {}
      : { completion_tokens_details: { reasoning_tokens: reasoningTokens } }),
  };
}

export function toTokenCounts({ promptTokens, completionTokens, cachedTokens = 0 }: ChatUsage): TokenCounts {
  return { promptTokens, completionTokens, cachedTokens };
}

/** The usage of several choices together; null where none was counted. `choices` have one prompt each. */
export function sumUsage(choices: readonly ChatUsage[]): ChatUsage | null {
  if (choices.length === 0) return null;
  const sum = (count: (usage: ChatUsage) => number | undefined): number =>
    choices.reduce((total, usage) => total + (count(usage) ?? 0), 0);
  const has = (count: (usage: ChatUsage) => number | undefined): boolean =>
    choices.some((usage) => count(usage) !== undefined);
  return {
    promptTokens: sum((usage) => usage.promptTokens),
    completionTokens: sum((usage) => usage.completionTokens),
    totalTokens: sum((usage) => usage.totalTokens),
    ...(has((usage) => usage.cachedTokens) ? { cachedTokens: sum((usage) => usage.cachedTokens) } : {}),
    ...(has((usage) => usage.reasoningTokens)
      ? { reasoningTokens: sum((usage) => usage.reasoningTokens) }
      : {}),
  };
}

export type ChoiceEvents = AsyncGenerator<ChatEvent, void, undefined>;

export interface ChatAnswer {
  readonly head: WireHead;
  /** One stream of events a choice; in a stream they are told one after the other. */
  readonly choices: readonly ChoiceEvents[];
  readonly isStream: boolean;
  /** Whether a stream ends with the usage; a document always has it. */
  readonly includesUsage: boolean;
  readonly toUsage: (choices: readonly ChatUsage[]) => ChatUsage | null;
  /** Called where whoever asked leaves amid a stream. */
  readonly onLeave: () => void;
  /** Of a stream. */
  readonly meter?: CallMeter | undefined;
}

/** Throws what the choices throw, where the answer is a document; a stream ends with an error event instead. */
export async function toChatResponse(answer: ChatAnswer): Promise<Response> {
  if (answer.isStream) {
    return new Response(toByteStream(toFrames(answer), answer), {
      headers: { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' },
    });
  }
  const lists = await Promise.all(answer.choices.map((events) => Array.fromAsync(events)));
  const usages = lists.flat().flatMap((event) => (event.type === 'usage' ? [event.usage] : []));
  return Response.json(toCompletion(answer.head, lists.map(toChoice), answer.toUsage(usages)));
}

async function* toFrames(answer: ChatAnswer): AsyncGenerator<string, void, undefined> {
  const { head, choices } = answer;
  const usages: ChatUsage[] = [];
  try {
    for (const [index, events] of choices.entries()) {
      yield toFrame(toChunk(head, index, { role: 'assistant', content: '', refusal: null }));
      for await (const event of events) {
        if (event.type === 'usage') usages.push(event.usage);
        if (event.type === 'finish') yield toFrame(toChunk(head, index, {}, event.reason));
        const delta = toDelta(event);
        if (delta !== null) yield toFrame(toChunk(head, index, delta));
      }
    }
  } catch (error) {
    if (!(error instanceof ProviderError)) throw error;
    yield toErrorFrame(error);
    return;
  }
  const usage = answer.toUsage(usages);
  if (usage !== null) answer.meter?.usage(toTokenCounts(usage));
  if (usage !== null && answer.includesUsage) yield toFrame(toUsageChunk(head, usage));
  yield 'data: [DONE]\n\n';
}

function toByteStream(
  frames: AsyncGenerator<string, void, undefined>,
  { onLeave, meter }: Pick<ChatAnswer, 'onLeave' | 'meter'>,
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      meter?.stream.begin();
      try {
        const { done, value } = await frames.next();
        if (done === true) {
          meter?.stream.end();
          controller.close();
          return;
        }
        const bytes = encoder.encode(value);
        meter?.stream.piece(bytes.byteLength);
        controller.enqueue(bytes);
      } catch (error) {
        meter?.stream.end();
        throw error;
      }
    },
    cancel() {
      meter?.stream.end();
      onLeave();
    },
  });
}

/** The messages without what only the provider that made it may see; the same list where none carries it. */
export function withoutMetadata(messages: readonly ChatMessage[]): readonly ChatMessage[] {
  if (!messages.some((message) => 'provider_metadata' in message)) return messages;
  return messages.map(({ provider_metadata: _, ...message }) => message);
}
