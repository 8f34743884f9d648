/**
 * Models that cannot call tools: how their servers say so, and which have said so lately. Searches are made for them.
 */

import type { Clock } from '../clock.ts';
import { ProviderError, type ResolvedModel } from '../providers/provider.ts';

/** How long a refusal counts: servers are restarted with other flags. */
export const REFUSAL_MS = 60 * 60 * 1000;
/** Models that are remembered, the newest ones. */
const MODELS_MAX = 256;

/** A bounded memory, so that a model's server is not asked in vain with each run. */
export interface ToollessModels {
  /** Whether the model has refused tools lately. */
  has(resolved: ResolvedModel): boolean;
  add(resolved: ResolvedModel): void;
}

export function createToollessModels(clock: Clock): ToollessModels {
  const refusedAtMs = new Map<string, number>();
  return {
    has(resolved) {
      const atMs = refusedAtMs.get(toKey(resolved));
      return atMs !== undefined && clock.nowMs() - atMs < REFUSAL_MS;
    },
    add(resolved) {
      const key = toKey(resolved);
      refusedAtMs.delete(key);
      refusedAtMs.set(key, clock.nowMs());
      const [oldest] = refusedAtMs.keys();
      if (refusedAtMs.size > MODELS_MAX && oldest !== undefined) refusedAtMs.delete(oldest);
    },
  };
}

function toKey({ provider, model, credentials }: ResolvedModel): string {
  return JSON.stringify([provider.id, credentials.baseUrl, model]);
}

const TOOLS = /\b(tools?|functions?|tool[ _-]?(calls?|calling|choice|use)|function[ _-]?(calls?|calling))\b/i;
const REFUSAL =
  /(not|n't) (be )?(support|enabled|allowed|permitted|available)|unsupported|no endpoints found|requires? --/i;

/**
 * Whether an error says that the model, or its server as it was started, takes no tools. Ollama: `… does not support
 * tools` (400); vLLM: `"auto" tool choice requires --enable-auto-tool-choice` (400); llama.cpp: `tools param requires
 * --jinja flag`, `Unsupported param: tools` (500); OpenRouter: `No endpoints found that support tool use` (404); OpenAI:
 * `Unsupported parameter: 'tools' is not supported with this model` (400).
 */
export function refusesTools(error: unknown): boolean {
  if (!(error instanceof ProviderError) || error.status === null) return false;
  if (error.kind !== 'invalid_request' && error.kind !== 'server' && error.kind !== 'model_not_found')
    return false;
  return TOOLS.test(error.message) && REFUSAL.test(error.message);
}
