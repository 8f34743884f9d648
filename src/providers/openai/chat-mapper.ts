/** Chunks of a chat completion, as any OpenAI-compatible server writes them, to the port's events. */

import { createThoughtTeller } from '../chat/thought-tags.ts';
import { type JsonRecord, toList, toRecord, toText } from '../json-values.ts';
import { type ChatEvent, type ChatUsage, type FinishReason, ProviderError } from '../provider.ts';
import { type ErrorContext, holdsError, toInlineError } from './error-mapping.ts';
import { type AssemblerOptions, createToolCallAssembler } from './tool-calls.ts';

export interface ChatMapper {
  /** Takes a parsed chunk. Throws `ProviderError` for an error that it holds. */
  push(chunk: unknown, events: ChatEvent[]): void;
  /** Whether a finish reason has come. What follows can be usage, or another finish reason, which then counts. */
  readonly hasFinished: boolean;
  /** Says what was held back, the finish and the usage. Throws `ProviderError` (`protocol`) without a finish. */
  end(events: ChatEvent[]): void;
}

export interface MapperOptions extends AssemblerOptions {
  /** Whose metadata it is that is to come back. */
  readonly provider: string;
  readonly errorContext: () => ErrorContext;
}

export function createChatMapper(options: MapperOptions): ChatMapper {
  const toolCalls = createToolCallAssembler(options);
  const thoughts = createThoughtTeller();
  let reason: FinishReason | null = null;
  let usage: ChatUsage | null = null;

  const takeDelta = (delta: JsonRecord, events: ChatEvent[]): void => {
    const thought = toText(delta.reasoning_content) ?? toText(delta.reasoning);
    if (thought !== null) events.push({ type: 'reasoning', text: thought });
    takeContent(delta.content, events);
    const refusal = toText(delta.refusal);
    if (refusal !== null) events.push({ type: 'refusal', text: refusal });
    if (Array.isArray(delta.tool_calls)) toolCalls.push(delta.tool_calls, events);
    // The form before tools: one call, without id and index.
    const legacyCall = toRecord(delta.function_call);
    if (legacyCall !== null) toolCalls.push([{ function: legacyCall }], events);
  };

  const takeChoice = (value: unknown, events: ChatEvent[]): void => {
    const choice = toRecord(value);
    // Only one choice is ever asked for.
    if (choice === null || (typeof choice.index === 'number' && choice.index !== 0)) return;
    const delta = toRecord(choice.delta) ?? toRecord(choice.message);
    if (delta !== null) takeDelta(delta, events);
    const finish = toText(choice.finish_reason);
    if (finish !== null) reason = toFinishReason(finish);
  };

  return {
    push(value, events) {
      const chunk = toRecord(value);
      if (chunk === null)
        throw new ProviderError('protocol', "The model's server sent a chunk that is no object.");
      if (holdsError(chunk)) throw toInlineError(chunk, options.errorContext());
      // Servers may count with every chunk; the last count is the whole.
      usage = toUsage(chunk.usage) ?? toUsage(toRecord(chunk.x_groq)?.usage) ?? usage;
      const { choices } = chunk;
      const from = events.length;
      if (Array.isArray(choices)) for (const choice of choices) takeChoice(choice, events);
      thoughts.sift(events, from);
    },
    get hasFinished() {
      return reason !== null;
    },
    end(events) {
      if (reason === null) {
        throw new ProviderError('protocol', "The model's server ended its answer without a finish reason.", {
          isRetryable: true,
        });
      }
      const from = events.length;
      toolCalls.end(events);
      const metadata = toMetadata(options.provider, toolCalls.extraContents);
      if (metadata !== null) events.push({ type: 'metadata', value: metadata });
      events.push({ type: 'finish', reason: toMatchingReason(reason, toolCalls.count) });
      if (usage !== null) events.push({ type: 'usage', usage });
      thoughts.sift(events, from);
    },
  };
}

/** What of the calls has to come back with them. Null: nothing. `request-quirks.ts` reads it. */
function toMetadata(provider: string, extraContents: ReadonlyMap<string, unknown>): unknown {
  return extraContents.size === 0 ? null : { provider, extra_content: Object.fromEntries(extraContents) };
}

/** Content is text, or a list of parts in which some servers put thoughts as well. */
export function takeContent(content: unknown, events: ChatEvent[]): void {
  if (typeof content === 'string') {
    if (content !== '') events.push({ type: 'text', text: content });
    return;
  }
  for (const value of toList(content)) {
    const part = toRecord(value);
    const text = toText(part?.text);
    if (text !== null) events.push({ type: 'text', text });
    const thinking = part?.thinking;
    const thought = toText(thinking) ?? toList(thinking).map(toPartText).join('');
    if (thought !== '') events.push({ type: 'reasoning', text: thought });
  }
}

function toPartText(value: unknown): string {
  return toText(toRecord(value)?.text) ?? '';
}

const FINISH_REASONS: Readonly<Record<string, FinishReason>> = Object.freeze({
  stop: 'stop',
  eos: 'stop',
  eos_token: 'stop',
  end_turn: 'stop',
  stop_sequence: 'stop',
  length: 'length',
  model_length: 'length',
  max_tokens: 'length',
  tool_calls: 'tool_calls',
  tool_use: 'tool_calls',
  function_call: 'tool_calls',
  content_filter: 'content_filter',
  safety: 'content_filter',
  guardrail_intervened: 'content_filter',
});

const FAILED_REASONS: ReadonlySet<string> = new Set(['error', 'abort', 'insufficient_system_resource']);

/** Reasons of no known meaning count as `stop`: the model did end, in some way of its own. */
export function toFinishReason(text: string): FinishReason {
  const name = text.toLowerCase();
  if (FAILED_REASONS.has(name)) {
    throw new ProviderError('server', "The model's server gave up amid its answer.", { isRetryable: true });
  }
  return FINISH_REASONS[name] ?? 'stop';
}

/** Calls that were made are to be answered whatever the server calls its end, and none are to be waited for. */
export function toMatchingReason(reason: FinishReason, toolCallCount: number): FinishReason {
  if (reason === 'stop' && toolCallCount > 0) return 'tool_calls';
  return reason === 'tool_calls' && toolCallCount === 0 ? 'stop' : reason;
}

function toUsage(value: unknown): ChatUsage | null {
  const usage = toRecord(value);
  if (usage === null) return null;
  const promptTokens = toCount(usage.prompt_tokens);
  const completionTokens = toCount(usage.completion_tokens);
  if (promptTokens === null && completionTokens === null) return null;
  const sum = (promptTokens ?? 0) + (completionTokens ?? 0);
  const cachedTokens = toCount(toRecord(usage.prompt_tokens_details)?.cached_tokens);
  const reasoningTokens = toCount(toRecord(usage.completion_tokens_details)?.reasoning_tokens);
  return {
    promptTokens: promptTokens ?? 0,
    completionTokens: completionTokens ?? 0,
    // Some totals hold thoughts that the parts leave out: the server's own total counts.
    totalTokens: toCount(usage.total_tokens) ?? sum,
    ...(cachedTokens === null ? {} : { cachedTokens }),
    ...(reasoningTokens === null ? {} : { reasoningTokens }),
  };
}

function toCount(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? Math.round(value) : null;
}
