/** How replies end, and what they cost, in the port's words. */

import type { LanguageModelV4FinishReason, LanguageModelV4Usage } from '@ai-sdk/provider';
import { type ChatUsage, type FinishReason, ProviderError } from '../provider.ts';

/** Throws `ProviderError` where the reply has not come to its end. */
export function toFinishReason(
  { unified, raw }: LanguageModelV4FinishReason,
  callCount: number,
): FinishReason {
  switch (unified) {
    case 'stop':
      return callCount > 0 ? 'tool_calls' : 'stop';
    case 'tool-calls':
      return callCount > 0 ? 'tool_calls' : 'stop';
    case 'length':
    case 'content-filter':
      return unified === 'length' ? 'length' : 'content_filter';
    case 'error':
      throw createFailure(raw);
    case 'interrupted':
      throw createEarlyEnd();
    case 'other':
      return toOtherReason(raw, callCount);
  }
}

const FILTERED = /safety|prohibited|block|filter|guardrail|armor|toxic|refus|recitation|spii|moderat/i;
const CUT = /max_tokens|length|limit|context_window/i;
const FAILED = /error|malformed|timeout|unexpected_tool|too_many_tool|missing_thought/i;

/** Reasons that the packages do not know; without any, the stream was cut where a proxy could not tell. */
function toOtherReason(raw: string | undefined, callCount: number): FinishReason {
  if (raw === undefined) throw createEarlyEnd();
  if (FILTERED.test(raw)) return 'content_filter';
  if (CUT.test(raw)) return 'length';
  if (FAILED.test(raw)) throw createFailure(raw);
  return callCount > 0 ? 'tool_calls' : 'stop';
}

export function createEarlyEnd(): ProviderError {
  return new ProviderError('protocol', "The model's server ended its answer without a finish reason.", {
    isRetryable: true,
  });
}

function createFailure(raw: string | undefined): ProviderError {
  // A reason is a word of the provider's own; anything longer is none.
  const detail = raw !== undefined && /^[\w-]{1,60}$/.test(raw) ? ` (${raw})` : '';
  return new ProviderError('server', `The model's server gave up amid its answer${detail}.`, {
    isRetryable: true,
  });
}

/** Null: nothing was counted. */
export function toUsage({ inputTokens, outputTokens, raw }: LanguageModelV4Usage): ChatUsage | null {
  if (inputTokens.total === undefined && outputTokens.total === undefined) return null;
  const promptTokens = inputTokens.total ?? 0;
  const completionTokens = outputTokens.total ?? 0;
  // Cohere's are passed over by its package.
  const cachedTokens = inputTokens.cacheRead ?? toCount(raw?.cached_tokens);
  const reasoningTokens = outputTokens.reasoning;
  return {
    promptTokens,
    completionTokens,
    totalTokens: promptTokens + completionTokens,
    ...(cachedTokens === undefined ? {} : { cachedTokens }),
    ...(reasoningTokens === undefined ? {} : { reasoningTokens }),
  };
}

function toCount(value: unknown): number | undefined {
  return typeof value === 'number' && value >= 0 ? value : undefined;
}
