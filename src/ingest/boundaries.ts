/** Where a text may be cut, and how well. */

/** The better a cut, the greater. */
export const CUT = Object.freeze({
  /** Within what is read as one character. */
  never: 0,
  /** Between a heading and its text. */
  joint: 1,
  character: 2,
  word: 3,
  sentence: 4,
  line: 5,
  paragraph: 6,
  /** Before a heading. */
  heading: 7,
});

export type CutQuality = (typeof CUT)[keyof typeof CUT];

/** Blanks and closing signs that are looked back over, in UTF-16 units. */
const LOOK_BACK_MAX = 64;

const isLowSurrogate = (code: number): boolean => code >= 0xdc00 && code <= 0xdfff;
const isHighSurrogate = (code: number): boolean => code >= 0xd800 && code <= 0xdbff;
const isBlank = (code: number): boolean =>
  code === 0x20 || code === 0x09 || code === 0xa0 || code === 0x3000 || (code >= 0x2000 && code <= 0x200a);
const isLineEnd = (code: number): boolean => code === 0x0a || code === 0x0d;

const isAsciiWord = (code: number): boolean =>
  (code >= 0x61 && code <= 0x7a) || (code >= 0x41 && code <= 0x5a) || (code >= 0x30 && code <= 0x39);

/** Signs that belong to the character before them: marks, joiners, variation selectors, skin tones. */
const CONTINUES = /^(?:\p{M}|\u200c|\u200d|[\ufe00-\ufe0f]|[\u{1f3fb}-\u{1f3ff}]|[\u{e0020}-\u{e007f}])/u;
const REGIONAL = /^[\u{1f1e6}-\u{1f1ff}]/u;
const ZERO_WIDTH_JOINER = 0x200d;

/** Whether what stands before and after `at` are two halves of one UTF-16 pair, or of one line end. */
export function isWithinUnit(text: string, at: number): boolean {
  const before = text.charCodeAt(at - 1);
  const after = text.charCodeAt(at);
  return (isHighSurrogate(before) && isLowSurrogate(after)) || (before === 0x0d && after === 0x0a);
}

/** Whether a cut at `at` would split what is read as one character. */
export function isWithinCharacter(text: string, at: number): boolean {
  if (at <= 0 || at >= text.length) return false;
  if (isWithinUnit(text, at)) return true;
  const after = text.charCodeAt(at);
  if (after < 0x300) return false;
  if (text.charCodeAt(at - 1) === ZERO_WIDTH_JOINER) return true;
  const next = text.slice(at, at + 2);
  // Two regional indicators are a flag; which belong together is not worth counting from the first.
  return CONTINUES.test(next) || (REGIONAL.test(next) && REGIONAL.test(text.slice(at - 2, at)));
}

const SENTENCE_END = /[.!?\u2026\u203d\u061f\u06d4\u0964\u0965\u1362]["'\u2019\u201d\u00bb)\]]*$/;
const WIDE_SENTENCE_END = /[。！？｡．][」』）”’]*$/;

/** How well the text is cut between what stands before and after `at`; headings and joints are not known here. */
export function rateCut(text: string, at: number): CutQuality {
  if (at <= 0 || at >= text.length) return CUT.paragraph;
  if (isWithinCharacter(text, at)) return CUT.never;
  const after = text.charCodeAt(at);
  const before = text.charCodeAt(at - 1);
  if (isLineEnd(before)) return isLineEnd(after) ? CUT.word : rateLineEnd(text, at);
  if (isLineEnd(after)) return CUT.word;
  if (isBlank(after)) return CUT.character;
  const isBehindBlank = isBlank(before);
  // Most places stand behind a plain word: no sentence ends there.
  const last = isBehindBlank ? text.charCodeAt(at - 2) : before;
  if (isAsciiWord(last)) return isBehindBlank ? CUT.word : CUT.character;
  const head = text.slice(Math.max(0, at - LOOK_BACK_MAX), at).trimEnd();
  if (isBehindBlank && SENTENCE_END.test(head)) return CUT.sentence;
  if (WIDE_SENTENCE_END.test(head)) return CUT.sentence;
  return isBehindBlank || /[、，；：,;:\-–—/|)\]}]$/.test(head) ? CUT.word : CUT.character;
}

/** A blank line before `at` makes it a paragraph's end. */
function rateLineEnd(text: string, at: number): CutQuality {
  let lineEnds = 0;
  for (let i = at - 1; i >= Math.max(0, at - LOOK_BACK_MAX); i -= 1) {
    const code = text.charCodeAt(i);
    if (code === 0x0a || (code === 0x0d && text.charCodeAt(i + 1) !== 0x0a)) lineEnds += 1;
    else if (!isBlank(code) && code !== 0x0d) break;
    if (lineEnds === 2) return CUT.paragraph;
  }
  return CUT.line;
}
