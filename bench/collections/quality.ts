/** How well an index finds what it should: nDCG@10 over the labelled collection. */

import { createAnalyser, detectLanguage } from '../../src/vector/analyser.ts';
import { WEIGHTS_DEFAULT } from '../../src/vector/scoring.ts';
import { encodeTerms } from '../../src/vector/terms.ts';
import type { IndexScope, NewChunk, SearchQuery, VectorIndex } from '../../src/vector/vector-index.ts';
import { type Collection, type CollectionVectors, type Question, toEmbeddedText } from './collection.ts';

export const SIDES = ['keyword', 'vector', 'hybrid'] as const;
export type Side = (typeof SIDES)[number];

export type Quality = Readonly<Record<Side, number>>;

/** Hits that are looked at. */
const DEPTH = 10;

/** Puts each document into a file of its own, in one store. */
export async function fillIndex(
  index: VectorIndex,
  scope: IndexScope,
  collection: Collection,
  vectors: CollectionVectors,
): Promise<void> {
  const analyser = createAnalyser();
  for (const [at, document] of collection.documents.entries()) {
    const { id, title, text } = document;
    const language = detectLanguage(toEmbeddedText(document));
    const chunk: NewChunk = {
      position: 0,
      text,
      start: 0,
      end: text.length,
      page: null,
      context: title,
      terms: encodeTerms(analyser.analyseChunk({ text, context: title, fileName: '', language })),
      tokens: Math.ceil(text.length / 4),
      vector: vectors.documents[at] ?? null,
    };
    await index.stageChunks(scope, id, 'quality', [chunk]);
    const languages = language === null ? [] : [language];
    await index.publishFile(scope, { file: id, attributes: {}, languages }, 'quality');
  }
}

/** nDCG@10 of each side, the mean over the questions of each group, and over all under `all`. */
export async function measureQuality(
  index: VectorIndex,
  scope: IndexScope,
  collection: Collection,
  vectors: CollectionVectors,
): Promise<ReadonlyMap<string, Quality>> {
  const analyser = createAnalyser();
  const { languages } = await index.describe(scope);
  const found = new Map<string, Quality[]>();
  for (const [at, question] of collection.questions.entries()) {
    const terms = analyser.analyseQuery(question.text, languages);
    const vector = vectors.questions[at] ?? null;
    const base = { wanted: DEPTH, weights: WEIGHTS_DEFAULT, filter: null };
    const measure = async (query: Pick<SearchQuery, 'vector' | 'terms'>) => {
      const hits = await index.search(scope, { ...base, ...query });
      return toNdcg(
        hits.map(({ file }) => file),
        question,
      );
    };
    const quality: Quality = {
      keyword: await measure({ vector: null, terms }),
      vector: await measure({ vector, terms: [] }),
      hybrid: await measure({ vector, terms }),
    };
    for (const group of ['all', question.group]) found.set(group, [...(found.get(group) ?? []), quality]);
  }
  return new Map([...found].map(([group, qualities]) => [group, toMean(qualities)]));
}

/** Discounted gain of the files in their order, as a part of the best that there could be. */
export function toNdcg(files: readonly string[], { relevant }: Question): number {
  const toGain = (grades: readonly number[]) =>
    grades.reduce((sum, grade, rank) => sum + grade / Math.log2(rank + 2), 0);
  const best = Object.values(relevant)
    .sort((a, b) => b - a)
    .slice(0, DEPTH);
  return toGain(files.slice(0, DEPTH).map((file) => relevant[file] ?? 0)) / toGain(best);
}

function toMean(qualities: readonly Quality[]): Quality {
  const mean = (side: Side) => qualities.reduce((sum, quality) => sum + quality[side], 0) / qualities.length;
  return { keyword: mean('keyword'), vector: mean('vector'), hybrid: mean('hybrid') };
}
