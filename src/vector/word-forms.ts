/** The terms that a word is indexed under and asked for with, by the language that it is taken for. */

import { foldWord } from './folding.ts';
import { createStemmer, getStopWords, type Stemmer } from './languages.ts';
import { TERM_LENGTH_MAX } from './terms.ts';

/** The terms of one word in one language. */
export interface WordForms {
  readonly isStop: boolean;
  /** Empty where nothing is left of the word. */
  readonly term: string;
  /**
   * Where it is another: the form of those who leave accents out; of a stop word, the form that it would have if it were
   * none, which a word has that differs from it by an accent.
   */
  readonly plain: string | null;
}

/** Takes a word in lower case. */
export type FormFinder = (word: string) => WordForms;

/** Words whose forms are remembered, for each language. */
const MEMORY_WORDS_MAX = 32_768;
/** Longer ones are no words of a language. In UTF-16 units. */
const STEMMED_LENGTH_MAX = 48;

/** Languages of other scripts, in whose texts words of Latin letters are English as a rule. */
const BESIDE_LATIN: ReadonlySet<string> = new Set('ar el fa he hi ja km ko lo my ru th zh'.split(' '));
const LATIN_LANGUAGE = 'en';

const HAS_DIGIT = /\p{N}/u;
const IS_ASCII = /^[\0-\x7f]*$/;

/**
 * Gives the finder of a language, the same one each time; languages that nothing is known of share that of null, for
 * which words keep their form. Finders remember words (bounded).
 */
export function createWordForms(): (language: string | null) => FormFinder {
  const finders = new Map<string, FormFinder>();
  return (language) => {
    const isKnown = language !== null && (BESIDE_LATIN.has(language) || getStopWords(language) !== null);
    const key = isKnown ? language : '';
    const found = finders.get(key) ?? createFormFinder(isKnown ? language : null);
    finders.set(key, found);
    return found;
  };
}

/** In lower case and no longer than a term may be; no character is cut in half. */
export function toTerm(text: string): string {
  const lower = text.toLowerCase();
  if (lower.length <= TERM_LENGTH_MAX) return lower;
  return lower.slice(0, TERM_LENGTH_MAX).replace(/[\ud800-\udbff]$/, '');
}

function createFormFinder(language: string | null): FormFinder {
  const beside = language !== null && BESIDE_LATIN.has(language) ? LATIN_LANGUAGE : null;
  const languages = [language, beside].filter((one) => one !== null);
  const stopWords = languages.map(getStopWords).filter((words) => words !== null);
  const own = language === null ? null : createStemmer(language);
  const latin = beside === null ? own : createStemmer(beside);
  let memory = new Map<string, WordForms>();

  function stem(word: string): string {
    const stemmer: Stemmer | null = IS_ASCII.test(word) ? latin : own;
    const isWord = word.length <= STEMMED_LENGTH_MAX && !HAS_DIGIT.test(word);
    const found = stemmer === null || !isWord ? word : stemmer.stemWord(word);
    return toTerm(foldWord(found === '' ? word : found));
  }

  function find(word: string): WordForms {
    const isStop = stopWords.some((words) => words.has(word));
    const term = isStop ? toTerm(foldWord(word)) : stem(word);
    if (!isStop && IS_ASCII.test(word)) return { isStop, term, plain: null };
    const plain = stem(foldWord(word));
    return { isStop, term, plain: plain === term || plain === '' ? null : plain };
  }

  return (word) => {
    const known = memory.get(word);
    if (known !== undefined) return known;
    // Beginning anew bounds the memory; frequent words are back at once.
    if (memory.size >= MEMORY_WORDS_MAX) memory = new Map();
    const forms = find(word);
    memory.set(copyString(word), forms);
    return forms;
  };
}

/** A piece of a string keeps the whole string in memory; a copy does not. */
function copyString(text: string): string {
  return Buffer.from(text, 'utf16le').toString('utf16le');
}
