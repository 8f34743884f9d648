/** Lists of models, remembered for a moment: programs ask for them again and again, and providers are slow to tell. */

import type { Clock } from '../../clock.ts';
import type { ModelInfo, Provider } from '../provider.ts';

/** Long enough for a page that asks for each model by itself, short enough for a model that was pulled just now. */
export const LIST_MS = 15_000;
const LISTS_MAX = 128;

export interface ModelCache {
  /** The same provider, its list remembered under `key`. Only for the operator's own credentials. */
  wrap(provider: Provider, key: string): Provider;
}

interface KeptList {
  readonly sinceMs: number;
  readonly models: readonly ModelInfo[];
}

export function createModelCache(clock: Clock): ModelCache {
  const lists = new Map<string, KeptList>();
  return {
    wrap(provider, key) {
      return {
        ...provider,
        async listModels(options) {
          const kept = lists.get(key);
          if (kept !== undefined && clock.nowMs() - kept.sinceMs < LIST_MS) return kept.models;
          const models = await provider.listModels(options);
          lists.delete(key);
          lists.set(key, { sinceMs: clock.nowMs(), models });
          const [oldest] = lists.keys();
          if (lists.size > LISTS_MAX && oldest !== undefined) lists.delete(oldest);
          return models;
        },
      };
    },
  };
}
