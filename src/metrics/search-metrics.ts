import type { Search } from '../retrieval/search.ts';
import type { Metrics } from './metrics.ts';

/** The same search, timed by what it searched by. */
export function meterSearch(search: Search, metrics: Metrics): Search {
  const note = (mode: string, startedMs: number): void => {
    const seconds = (performance.now() - startedMs) / 1000;
    metrics.distribution('understudy_search_duration_seconds', { mode }).observe(seconds);
  };
  return {
    async search(...given) {
      const startedMs = performance.now();
      try {
        const outcome = await search.search(...given);
        note(outcome.mode, startedMs);
        return outcome;
      } catch (error) {
        note('failed', startedMs);
        throw error;
      }
    },
  };
}
