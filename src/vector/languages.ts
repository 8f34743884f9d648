/** The languages whose words are brought to their stems, and what each needs for it. */

import { DanishStemmer } from './snowball/danish.js';
import { DutchStemmer } from './snowball/dutch.js';
import { EnglishStemmer } from './snowball/english.js';
import { FinnishStemmer } from './snowball/finnish.js';
import { FrenchStemmer } from './snowball/french.js';
import { GermanStemmer } from './snowball/german.js';
import { ItalianStemmer } from './snowball/italian.js';
import { NorwegianStemmer } from './snowball/norwegian.js';
import { PortugueseStemmer } from './snowball/portuguese.js';
import { RussianStemmer } from './snowball/russian.js';
import { SpanishStemmer } from './snowball/spanish.js';
import { SwedishStemmer } from './snowball/swedish.js';
import { STOP_WORDS, type StopWordLanguage } from './stop-words.ts';

/** Takes a word in lower case with its accents. */
export interface Stemmer {
  stemWord(word: string): string;
}

const STEMMERS: Readonly<Record<StopWordLanguage, new () => Stemmer>> = Object.freeze({
  da: DanishStemmer,
  de: GermanStemmer,
  en: EnglishStemmer,
  es: SpanishStemmer,
  fi: FinnishStemmer,
  fr: FrenchStemmer,
  it: ItalianStemmer,
  nl: DutchStemmer,
  no: NorwegianStemmer,
  pt: PortugueseStemmer,
  ru: RussianStemmer,
  sv: SwedishStemmer,
});

/** A stemmer holds the word that it works on, so each caller makes its own. */
export function createStemmer(language: string): Stemmer | null {
  return isStemmed(language) ? new STEMMERS[language]() : null;
}

export function getStopWords(language: string): ReadonlySet<string> | null {
  return isStemmed(language) ? STOP_WORDS[language] : null;
}

function isStemmed(language: string): language is StopWordLanguage {
  return Object.hasOwn(STEMMERS, language);
}
