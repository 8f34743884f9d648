/** The one place that is told what each call of a model cost: counters, and limits of tokens, hang on it. */

import type { Counter, Metrics } from './metrics.ts';

export interface ModelUsage {
  readonly tenant: string;
  /** The server's key that the request came with; null where there is none. */
  readonly keyId: string | null;
  /** As in the catalogue or the operator's configuration: `openai`, `groq`. */
  readonly provider: string;
  readonly kind: 'completion' | 'embedding';
  /** Those of `cachedTokens` included. */
  readonly promptTokens: number;
  readonly cachedTokens: number;
  /** 0 for embeddings. */
  readonly completionTokens: number;
  /** Whether nobody has counted, and sizes tell: good for limits, which could be gone around otherwise, and for nothing else. */
  readonly isGuessed?: boolean;
}

export interface UsageMeter {
  /** Called once for each call, when its answer is in. Never throws. */
  note(usage: ModelUsage): void;
}

type TokenKind = 'prompt' | 'cached' | 'completion' | 'embedding';

/** Counts tokens by provider, and tells `others` as well. */
export function createUsageMeter(metrics: Metrics, others: readonly UsageMeter[] = []): UsageMeter {
  const known = new Map<string, Counter>();
  const add = (provider: string, kind: TokenKind, tokens: number): void => {
    if (tokens <= 0) return;
    const key = `${kind} ${provider}`;
    const counter = known.get(key) ?? metrics.counter('understudy_tokens_total', { provider, kind });
    // Names of providers are the catalogue's and the operator's: there are few.
    known.set(key, counter);
    counter.add(tokens);
  };
  return {
    note(usage) {
      const { provider, kind, promptTokens, cachedTokens, completionTokens } = usage;
      for (const other of others) other.note(usage);
      if (usage.isGuessed === true) return;
      if (kind === 'embedding') {
        add(provider, 'embedding', promptTokens);
      } else {
        add(provider, 'prompt', promptTokens);
        add(provider, 'cached', cachedTokens);
        add(provider, 'completion', completionTokens);
      }
    },
  };
}
