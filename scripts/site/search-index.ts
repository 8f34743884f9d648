/** The index that the site's search works with: which words stand where. */

import { OWN_HEADING, type SearchIndex, toIndexWords } from './browser/search.js';
import type { Rendered } from './render.ts';

const ABOVE = 1;
const IN_TEXT = 0;

export function toSearchIndex(
  pages: readonly { readonly path: string; readonly rendered: Rendered }[],
): SearchIndex {
  const entries: SearchIndex['entries'] = [];
  /** By word, the best place in each entry. */
  const places = new Map<string, Map<number, number>>();
  for (const [number, { rendered }] of pages.entries()) {
    for (const { anchor, headings, text } of rendered.entries) {
      const entry = entries.length;
      entries.push([number, anchor, [...headings], text]);
      const add = (words: readonly string[], kind: number) => {
        for (const word of words) {
          const found = places.get(word) ?? new Map<number, number>();
          found.set(entry, Math.max(found.get(entry) ?? 0, kind));
          places.set(word, found);
        }
      };
      add(toIndexWords(text), IN_TEXT);
      add(toIndexWords(headings.slice(0, -1).join(' ')), ABOVE);
      add(toIndexWords(headings.at(-1) ?? ''), OWN_HEADING);
    }
  }
  const words = [...places.keys()].sort();
  return {
    pages: pages.map(({ path, rendered }) => [rendered.title, path]),
    entries,
    words: words.join(' '),
    places: words.map((word) => [...(places.get(word) ?? [])].map(([entry, kind]) => entry * 4 + kind)),
  };
}
