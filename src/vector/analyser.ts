/**
 * What a word is: the terms that a chunk is indexed under and that a question asks for. The same for every engine.
 *
 * A word is in lower case, without accents, and brought to its stem by the language of its chunk. A question is
 * analysed for all languages that the store holds, and as it was written, so that a word is found whatever the language
 * of its chunk was taken for. Stop words are indexed, but neither count in a chunk's length nor are asked for, unless
 * a question has nothing else. Words with digits keep their form. What is joined (`ERR-4471`, `foo_bar()`) is found
 * whole and by its parts; scripts without spaces by pairs of characters.
 */

import { detectLanguage } from './detect-language.ts';
import type { TermCounts } from './terms.ts';
import type { QueryTerm } from './vector-index.ts';
import { createWordForms, type FormFinder, toTerm, type WordForms } from './word-forms.ts';
import { createWordScanner, type WordSink } from './word-scanner.ts';

export { detectLanguage } from './detect-language.ts';

export interface ChunkWords {
  readonly text: string;
  /** Title and headings: words of the chunk too. */
  readonly context: string;
  /** Its words too; empty where there is none. */
  readonly fileName: string;
  /** As `detectLanguage` gives it; null: words keep their form. */
  readonly language: string | null;
}

export interface Analyser {
  /** The terms of a chunk. At most `CHUNK_TERMS_MAX` different ones; what comes later is left out. */
  analyseChunk(chunk: ChunkWords): TermCounts;

  /**
   * The terms that a question asks for, each once; at most `QUERY_TERMS_MAX`. `languages` are those of the store
   * (`IndexStatistics.languages`). Forms of one word share its `word`. Empty where the text has no words.
   */
  analyseQuery(text: string, languages: readonly string[]): readonly QueryTerm[];
}

/** Different terms of a chunk: many times what a chunk of text has. */
export const CHUNK_TERMS_MAX = 16_384;
/** Different terms of a question, all forms together. */
export const QUERY_TERMS_MAX = 1_024;
/** What is read of a question, in UTF-16 units. */
export const QUERY_LENGTH_MAX = 8_192;

/** What the form without accents counts beside the right one: chunks that have the word as it is written have both. */
const PLAIN_SHARE = 0.3;
/** What the forms of other languages count where the question's own is known: `hive` is no French winter. */
const OTHER_LANGUAGE_SHARE = 0.5;
/** What a name made of words counts beside them; one with digits (`ERR-4471`) counts as a word. */
const NAME_SHARE = 0.5;
/** A word that a question repeats counts as often as it stands there, but no more than this. */
const REPETITIONS_MAX = 4;
/** What pairs of Hiragana count: endings and particles, mostly. */
const HIRAGANA_SHARE = 0.5;

const IS_HIRAGANA = /^\p{Script=Hiragana}+$/u;
const HAS_DIGIT = /\p{N}/u;

/** An analyser remembers the words that it has seen (bounded); one serves a whole process. */
export function createAnalyser(): Analyser {
  const scanner = createWordScanner();
  const formsOf = createWordForms();

  function analyseChunk({ text, context, fileName, language }: ChunkWords): TermCounts {
    const counter = createCounter(formsOf(language));
    for (const part of [text, context, fileName]) {
      if (part !== '') scanner.scan(part.normalize('NFKC'), counter.sink);
    }
    return counter.finish();
  }

  function analyseQuery(text: string, languages: readonly string[]): readonly QueryTerm[] {
    const asked = text.slice(0, QUERY_LENGTH_MAX);
    const language = detectLanguage(asked);
    const isHeld = language !== null && languages.includes(language);
    const asWritten = formsOf(null);
    // Languages that are read in the same way are one reading; the first one counts.
    const shares = new Map<FormFinder, number>();
    if (isHeld) shares.set(formsOf(language), 1);
    if (!shares.has(asWritten)) shares.set(asWritten, 1);
    for (const other of languages.map(formsOf)) {
      if (!shares.has(other)) shares.set(other, isHeld ? OTHER_LANGUAGE_SHARE : 1);
    }
    const collector = createCollector(formsOf(language), [...shares]);
    scanner.scan(asked.normalize('NFKC'), collector.sink);
    return collector.finish();
  }

  return { analyseChunk, analyseQuery };
}

/** Counts what a chunk holds. */
function createCounter(formsOf: FormFinder) {
  const counts = new Map<string, number>();
  let length = 0;

  function count(term: string): void {
    const before = counts.get(term);
    if (before !== undefined) counts.set(term, before + 1);
    else if (counts.size < CHUNK_TERMS_MAX) counts.set(term, 1);
  }

  function countForms({ isStop, term, plain }: WordForms): void {
    if (term !== '') count(term);
    if (plain !== null && !isStop) count(plain);
  }

  const sink: WordSink = {
    onWord(word) {
      const forms = formsOf(word.toLowerCase());
      if (!forms.isStop && forms.term !== '') length += 1;
      countForms(forms);
    },
    onName: (name) => countForms(formsOf(toTerm(name))),
    onCharacter(character, isAlone) {
      if (isAlone) length += 1;
      count(character);
    },
    onPair(pair) {
      length += 1;
      count(pair);
    },
  };
  return { sink, finish: (): TermCounts => ({ length, counts }) };
}

/**
 * Collects what a question asks for. `readings` are the ways in which its words are understood (in a language of the
 * store, as they are written) with what their forms count; a form that several readings give counts as in the first.
 */
function createCollector(ofQuestion: FormFinder, readings: readonly (readonly [FormFinder, number])[]) {
  const terms = new Map<string, QueryTerm>();
  const stopTerms = new Map<string, QueryTerm>();
  let words = 0;

  function ask(asked: Map<string, QueryTerm>, term: string, weight: number, word: number | null): void {
    const before = asked.get(term);
    if (term === '' || (before === undefined && asked.size >= QUERY_TERMS_MAX)) return;
    if (before !== undefined) {
      // Asked again by another word, or by the same word later on.
      asked.set(term, { ...before, weight: Math.min(REPETITIONS_MAX, before.weight + weight) });
      return;
    }
    asked.set(term, word === null ? { term, weight } : { term, weight, word });
  }

  function askAll(asked: Map<string, QueryTerm>, forms: ReadonlyMap<string, number>, isName: boolean): void {
    if (isName) {
      for (const [term, weight] of forms) ask(asked, term, weight, null);
      return;
    }
    // A word that shares a form with an earlier one is that word again.
    const known = [...forms.keys()].map((term) => asked.get(term)?.word).find((word) => word !== undefined);
    const word = known ?? words;
    if (known === undefined) words += 1;
    for (const [term, weight] of forms) ask(asked, term, weight, word);
  }

  function askForms(text: string, weight: number, isName: boolean): void {
    const lower = toTerm(text);
    const read = readings.map(([formsOf, share]) => ({ ...formsOf(lower), share: share * weight }));
    // The reading as written knows no stop words; a word that all others hold for one is one.
    const stops = read.filter(({ isStop }) => isStop).length;
    const isStopWord = ofQuestion(lower).isStop || (stops > 0 && stops === read.length - 1);
    const forms = new Map<string, number>();
    const add = (term: string, share: number) => forms.set(term, forms.get(term) ?? share);
    for (const { isStop, term, plain, share } of read) {
      if (isStop && !isStopWord) continue;
      add(term, share);
      if (plain !== null) add(plain, share * PLAIN_SHARE);
    }
    askAll(isStopWord ? stopTerms : terms, forms, isName);
  }

  const sink: WordSink = {
    onWord: (word) => askForms(word, 1, false),
    onName: (name) => askForms(name, HAS_DIGIT.test(name) ? 1 : NAME_SHARE, true),
    onCharacter(character, isAlone) {
      if (isAlone) ask(terms, character, 1, null);
    },
    onPair: (pair) => ask(terms, pair, IS_HIRAGANA.test(pair) ? HIRAGANA_SHARE : 1, null),
  };
  return {
    sink,
    finish: (): readonly QueryTerm[] => [...(terms.size > 0 ? terms : stopTerms).values()],
  };
}
