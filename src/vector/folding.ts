/** Words without what people leave out when they type: accents, vowel points, ligatures. */

/** Signs above and below letters, Arabic and Hebrew points, the Devanagari nukta, and what cannot be seen. */
const SIGNS =
  // The breve stays where it makes another letter: й.
  /(?<!\u0438)\u0306|[\u0300-\u0305\u0307-\u036f\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed\u093c\u00ad\u200b-\u200f\u2060\ufeff]/g;

/** Letters that no decomposition takes apart. */
const LETTERS: ReadonlyMap<string, string> = new Map([
  ['ß', 'ss'],
  ['æ', 'ae'],
  ['œ', 'oe'],
  ['ø', 'o'],
  ['đ', 'd'],
  ['ð', 'd'],
  ['þ', 'th'],
  ['ł', 'l'],
  ['ħ', 'h'],
  ['ı', 'i'],
  ['ŋ', 'n'],
  ['ŧ', 't'],
  ['ς', 'σ'],
  ['ى', 'ي'],
  ['ی', 'ي'],
  ['ک', 'ك'],
  ['ة', 'ه'],
  ['ٱ', 'ا'],
  ['ँ', 'ं'],
]);
const LETTER = new RegExp(`[${[...LETTERS.keys()].join('')}]`, 'g');
const FOREIGN_DIGIT = /[^\P{Nd}0-9]/gu;
const IS_DIGIT = /^\p{Nd}$/u;
const IS_ASCII = /^[\0-\x7f]*$/;

/** Takes a word in lower case, in NFC or NFKC. */
export function foldWord(word: string): string {
  if (IS_ASCII.test(word)) return word;
  return word
    .normalize('NFD')
    .replace(SIGNS, '')
    .replace(LETTER, (letter) => LETTERS.get(letter) ?? letter)
    .replace(FOREIGN_DIGIT, toAsciiDigit)
    .normalize('NFC');
}

/** Digits of every script stand in runs of ten, from zero on. */
function toAsciiDigit(digit: string): string {
  const code = digit.codePointAt(0) ?? 0;
  let before = 0;
  // Some runs adjoin, so the distance from the first is taken modulo ten; five runs at most do.
  while (before < 50 && IS_DIGIT.test(String.fromCodePoint(code - before - 1))) before += 1;
  return String(before % 10);
}
