/** The rehearsal model's events in OpenAI's wire format: one document, or the chunks of a stream. */

import type OpenAI from 'openai';
import type { ChatEvent, ChatUsage, ProviderError } from '../provider.ts';

export interface WireHead {
  readonly id: string;
  /** Seconds since the epoch. */
  readonly created: number;
  readonly model: string;
}

type Choice = OpenAI.Chat.ChatCompletion.Choice;
type ChunkDelta = OpenAI.Chat.ChatCompletionChunk.Choice.Delta;
type FinishText = Choice['finish_reason'];

/** One choice of a completion, from its events. */
export function toChoice(events: readonly ChatEvent[], index: number): Choice {
  const join = (type: 'text' | 'refusal'): string =>
    events.flatMap((event) => (event.type === type ? [event.text] : [])).join('');
  const calls: { id: string; type: 'function'; function: { name: string; arguments: string } }[] = [];
  let finish: FinishText = 'stop';
  for (const event of events) {
    if (event.type === 'tool_call') {
      calls.push({ id: event.id, type: 'function', function: { name: event.name, arguments: '' } });
    } else if (event.type === 'tool_arguments') {
      const call = calls[event.index];
      if (call !== undefined) call.function.arguments += event.text;
    } else if (event.type === 'finish') {
      finish = event.reason;
    }
  }
  const text = join('text');
  const hasText = text !== '' || (calls.length === 0 && join('refusal') === '');
  const message: Choice['message'] = {
    role: 'assistant',
    content: hasText ? text : null,
    refusal: join('refusal') || null,
    ...(calls.length === 0 ? {} : { tool_calls: calls }),
  };
  return { index, message, logprobs: null, finish_reason: finish };
}

export function toCompletion(
  head: WireHead,
  choices: Choice[],
  usage: ChatUsage,
): OpenAI.Chat.ChatCompletion {
  const { id, created, model } = head;
  return { id, object: 'chat.completion', created, model, choices, usage: toWireUsage(usage) };
}

export function toChunk(head: WireHead, index: number, delta: ChunkDelta, finish: FinishText | null = null) {
  const choice = { index, delta, logprobs: null, finish_reason: finish };
  return toBareChunk(head, [choice]);
}

export function toUsageChunk(head: WireHead, usage: ChatUsage) {
  return { ...toBareChunk(head, []), usage: toWireUsage(usage) };
}

function toBareChunk(
  { id, created, model }: WireHead,
  choices: OpenAI.Chat.ChatCompletionChunk.Choice[],
): OpenAI.Chat.ChatCompletionChunk {
  return { id, object: 'chat.completion.chunk', created, model, choices };
}

/** What an event adds to the message; null for events that say nothing in it. */
export function toDelta(event: ChatEvent): ChunkDelta | null {
  switch (event.type) {
    case 'text':
      return { content: event.text };
    case 'refusal':
      return { refusal: event.text };
    case 'tool_call': {
      const fn = { name: event.name, arguments: '' };
      return { tool_calls: [{ index: event.index, id: event.id, type: 'function', function: fn }] };
    }
    case 'tool_arguments':
      return { tool_calls: [{ index: event.index, function: { arguments: event.text } }] };
    default:
      return null;
  }
}

export function toFrame(value: unknown): string {
  return `data: ${JSON.stringify(value)}\n\n`;
}

export function toErrorFrame({ message, code }: ProviderError): string {
  return toFrame({ error: { message, type: 'server_error', param: null, code: code ?? 'upstream_error' } });
}

export function toWireUsage(usage: ChatUsage): OpenAI.CompletionUsage {
  return {
    prompt_tokens: usage.promptTokens,
    completion_tokens: usage.completionTokens,
    total_tokens: usage.totalTokens,
  };
}
