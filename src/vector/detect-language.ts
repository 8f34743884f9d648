/** Which language a text is in, by its script and its most frequent words: enough to choose a stemmer. */

import { STOP_WORDS } from './stop-words.ts';

/** What is looked at: so much at the beginning, in the middle and at the end. In UTF-16 units. */
const WINDOW_LENGTH = 4_000;

/** One letter in so many is enough of a script to decide by. */
const SCRIPT_PART_MIN = 0.3;
/** Of the words of a text that is written out, at least this part are stop words of its language. */
const STOP_WORD_PART_MIN = 0.12;
/** How far the best language has to lead. */
const LEAD_MIN = 1.25;
/** Stop words that no other language has count 1; this much has to come together. */
const EVIDENCE_MIN = 1;
/** Few words tell these apart, and one stemmer does nearly as well for the other: the better guess is good enough. */
const SIBLINGS: ReadonlySet<string> = new Set(['da', 'no']);

const IS_ASCII = /^[\0-\x7f]*$/;
const WORD = /\p{L}[\p{L}\p{M}]*/gu;

/** Scripts that tell the language, in the order in which they are tried. */
const SCRIPTS: readonly (readonly [language: string, letters: RegExp])[] = [
  ['ko', /\p{Script=Hangul}/gu],
  ['th', /\p{Script=Thai}/gu],
  ['lo', /\p{Script=Lao}/gu],
  ['km', /\p{Script=Khmer}/gu],
  ['my', /\p{Script=Myanmar}/gu],
  ['el', /\p{Script=Greek}/gu],
  ['he', /\p{Script=Hebrew}/gu],
  ['hi', /\p{Script=Devanagari}/gu],
];
const KANA = /[\p{Script=Hiragana}\p{Script=Katakana}]/gu;
const HAN = /\p{Script=Han}/gu;
const ARABIC = /\p{Script=Arabic}/gu;
const PERSIAN = /[پچژگ]/u;
const CYRILLIC = /\p{Script=Cyrillic}/gu;
/** Letters of other languages, and one that Bulgarian has often: the Russian stemmer is not for them. */
const NOT_RUSSIAN = /[іїєґўјљњћђџѓќѕәғқңөұүһъ]/giu;
const LATIN = /\p{Script=Latin}/gu;

/** Letters that languages without a list here use; many of them say that none of ours is meant. */
const UNKNOWN_LATIN = /[ąćęłńśźżčďěňřšťůžőűășțāēģīķļņūėįųğışđơưạảấầẩẫậắằẳẵặẹẻẽếềểễệ]/giu;
const UNKNOWN_PART_MAX = 0.02;

/** Letters that point to a language, and how much each counts beside a stop word. */
const HINTS: readonly (readonly [letters: RegExp, languages: readonly string[]])[] = [
  [/ß/g, ['de']],
  [/[ñ¿¡]/g, ['es']],
  [/[ãõ]/g, ['pt']],
  [/[êèœ]/g, ['fr']],
  [/ø/g, ['da', 'no']],
  [/å/g, ['sv', 'da', 'no']],
  [/ij/g, ['nl']],
];
const HINT_WEIGHT = 0.5;
const HINTS_PART_MAX = 0.1;

/** For each stop word, the languages that have it. */
const LANGUAGES_OF = toLanguagesOf();

/**
 * An ISO 639-1 code, or null where that is not sure: too short, a table, code, or a language that is not known here.
 * Looks at no more than 12,000 units of the text.
 */
export function detectLanguage(text: string): string | null {
  const sample = takeSample(text);
  if (IS_ASCII.test(sample)) return detectByWords(sample, null);
  const letters = count(sample, /\p{L}/gu);
  if (letters === 0) return null;
  const holds = (script: RegExp) => count(sample, script) / letters >= SCRIPT_PART_MIN;
  for (const [language, script] of SCRIPTS) if (holds(script)) return language;
  const kana = count(sample, KANA);
  if ((kana + count(sample, HAN)) / letters >= SCRIPT_PART_MIN) {
    return kana / letters >= 0.05 ? 'ja' : 'zh';
  }
  if (holds(ARABIC)) return PERSIAN.test(sample) ? 'fa' : 'ar';
  if (holds(CYRILLIC))
    return count(sample, NOT_RUSSIAN) / letters > 0.01 ? null : detectByWords(sample, ['ru']);
  if (!holds(LATIN) || count(sample, UNKNOWN_LATIN) / letters > UNKNOWN_PART_MAX) return null;
  return detectByWords(sample, null);
}

function detectByWords(sample: string, only: readonly string[] | null): string | null {
  const lower = sample.toLowerCase();
  const words = lower.match(WORD) ?? [];
  if (words.length === 0) return null;
  const scores = new Map<string, number>();
  const hits = new Map<string, number>();
  for (const word of words) {
    const languages = LANGUAGES_OF.get(word) ?? [];
    for (const language of languages) {
      add(scores, language, 1 / languages.length);
      add(hits, language, 1);
    }
  }
  for (const [hint, languages] of HINTS) {
    const found = Math.min(count(lower, hint), 1 + words.length * HINTS_PART_MAX);
    for (const language of languages) add(scores, language, (found * HINT_WEIGHT) / languages.length);
  }
  const ranked = [...scores]
    .filter(([language]) => only === null || only.includes(language))
    .sort(([, a], [, b]) => b - a);
  const [best, ...others] = ranked;
  if (best === undefined || best[1] < EVIDENCE_MIN) return null;
  const rival = others.find(([language]) => !(SIBLINGS.has(language) && SIBLINGS.has(best[0])));
  if (best[1] < LEAD_MIN * (rival?.[1] ?? 0)) return null;
  return (hits.get(best[0]) ?? 0) / words.length < STOP_WORD_PART_MIN ? null : best[0];
}

function takeSample(text: string): string {
  if (text.length <= 3 * WINDOW_LENGTH) return text.normalize('NFC');
  const middle = Math.floor((text.length - WINDOW_LENGTH) / 2);
  const windows = [
    text.slice(0, WINDOW_LENGTH),
    text.slice(middle, middle + WINDOW_LENGTH),
    text.slice(-WINDOW_LENGTH),
  ];
  return windows.join('\n').normalize('NFC');
}

function count(text: string, pattern: RegExp): number {
  let found = 0;
  for (const _ of text.matchAll(pattern)) found += 1;
  return found;
}

function add(sums: Map<string, number>, key: string, value: number): void {
  sums.set(key, (sums.get(key) ?? 0) + value);
}

function toLanguagesOf(): ReadonlyMap<string, readonly string[]> {
  const languagesOf = new Map<string, string[]>();
  for (const [language, words] of Object.entries(STOP_WORDS)) {
    for (const word of words) {
      const languages = languagesOf.get(word);
      if (languages === undefined) languagesOf.set(word, [language]);
      else languages.push(language);
    }
  }
  return languagesOf;
}
