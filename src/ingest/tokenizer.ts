/**
 * Counts tokens exactly as `cl100k_base` does, the encoding of OpenAI's embedding models. The ranks are loaded when the
 * first text is counted (some 60 ms and 40 MiB): by processes that read documents, never by the server's event loop.
 *
 * The split into words is a scanner of our own instead of the encoding's regular expression, and long words are merged
 * with a heap: both are linear (but for a logarithm) where a line of megabytes has no space.
 */

import type { TiktokenBPE } from 'js-tiktoken/lite';
import ranksPath from 'js-tiktoken/ranks/cl100k_base' with { type: 'file' };

/** Longer words are counted in pieces of this length, in UTF-16 units: their count may then be off by a token a piece. */
const WORD_LENGTH_MAX = 16_384;
/** Words up to this many bytes are merged by plain search, which is faster while they are short. */
const SHORT_BYTES_MAX = 48;
/** Counted words that are remembered; forgotten all at once when full. */
const CACHE_ENTRIES_MAX = 100_000;
/** Longer words are not remembered. */
const CACHED_LENGTH_MAX = 64;

export interface Tokenizer {
  /** Tokens of the text. */
  count(text: string): number;
  /** Tokens of one word, as `findWordEnd` cuts them. */
  countWord(word: string): number;
}

type Ranks = ReadonlyMap<string, number>;

/** A counter with its ranks loaded. */
export async function createTokenizer(): Promise<Tokenizer> {
  const ranks = await readRanks();
  let longest = 0;
  for (const key of ranks.keys()) longest = Math.max(longest, key.length);
  const rankOf = (bytes: string, start: number, end: number): number =>
    end - start > longest
      ? Number.POSITIVE_INFINITY
      : (ranks.get(bytes.slice(start, end)) ?? Number.POSITIVE_INFINITY);
  const cache = new Map<string, number>();

  const countPiece = (piece: string): number => {
    const bytes = toByteString(piece);
    if (ranks.has(bytes)) return 1;
    return bytes.length <= SHORT_BYTES_MAX ? countShort(bytes, rankOf) : countLong(bytes, rankOf);
  };
  const countWord = (word: string): number => {
    if (word.length > CACHED_LENGTH_MAX) return countLongWord(word, countPiece);
    const known = cache.get(word);
    if (known !== undefined) return known;
    const tokens = countPiece(word);
    if (cache.size >= CACHE_ENTRIES_MAX) cache.clear();
    cache.set(word, tokens);
    return tokens;
  };
  return {
    countWord,
    count(text) {
      let tokens = 0;
      for (let start = 0; start < text.length; ) {
        const end = findWordEnd(text, start);
        tokens += countWord(text.slice(start, end));
        start = end;
      }
      return tokens;
    },
  };
}

/** Byte strings (one character a byte) with their ranks. */
async function readRanks(): Promise<Ranks> {
  const { default: encoding }: { default: TiktokenBPE } = await import(ranksPath);
  const ranks = new Map<string, number>();
  for (const line of encoding.bpe_ranks.split('\n')) {
    const [, offset, ...tokens] = line.split(' ');
    const first = Number(offset);
    for (let i = 0; i < tokens.length; i += 1) ranks.set(atob(tokens[i] ?? ''), first + i);
  }
  return ranks;
}

const IS_ASCII = /^[\0-\x7f]*$/;

/** The text's UTF-8 as a string with one character a byte. */
function toByteString(text: string): string {
  return IS_ASCII.test(text) ? text : Buffer.from(text, 'utf8').toString('latin1');
}

function countLongWord(word: string, countPiece: (piece: string) => number): number {
  let tokens = 0;
  // Megabytes of one word are mostly one character, or few, repeated.
  let last = '';
  let lastTokens = 0;
  for (let start = 0; start < word.length; ) {
    let end = Math.min(start + WORD_LENGTH_MAX, word.length);
    if (end < word.length && isLowSurrogate(word.charCodeAt(end))) end -= 1;
    const piece = word.slice(start, end);
    if (piece !== last) {
      last = piece;
      lastTokens = countPiece(piece);
    }
    tokens += lastTokens;
    start = end;
  }
  return tokens;
}

type RankOf = (bytes: string, start: number, end: number) => number;

/** Merges the pair of lowest rank, leftmost first, until none is left. */
function countShort(bytes: string, rankOf: RankOf): number {
  const starts: number[] = [];
  const pairRanks: number[] = [];
  for (let i = 0; i <= bytes.length; i += 1) starts.push(i);
  for (let i = 0; i + 2 < starts.length; i += 1) pairRanks.push(rankOf(bytes, i, i + 2));
  const rankAt = (i: number): number => {
    const end = starts[i + 2];
    return end === undefined ? Number.POSITIVE_INFINITY : rankOf(bytes, starts[i] ?? 0, end);
  };
  for (;;) {
    let best = Number.POSITIVE_INFINITY;
    let at = -1;
    for (let i = 0; i < pairRanks.length; i += 1) {
      const rank = pairRanks[i] ?? Number.POSITIVE_INFINITY;
      if (rank < best) {
        best = rank;
        at = i;
      }
    }
    if (at < 0) return starts.length - 1;
    starts.splice(at + 1, 1);
    pairRanks.splice(at, 1);
    if (at < pairRanks.length) pairRanks[at] = rankAt(at);
    if (at > 0) pairRanks[at - 1] = rankAt(at - 1);
  }
}

/** The same with a linked list and a heap: n log n. A pair is keyed by rank, then by position. */
function countLong(bytes: string, rankOf: RankOf): number {
  const { length } = bytes;
  const next = new Int32Array(length + 1);
  const previous = new Int32Array(length + 1);
  const pairRank = new Float64Array(length + 1).fill(Number.POSITIVE_INFINITY);
  const heap = createHeap();
  const rankPair = (at: number): void => {
    const middle = next[at] ?? length;
    const rank = middle >= length ? Number.POSITIVE_INFINITY : rankOf(bytes, at, next[middle] ?? length);
    pairRank[at] = rank;
    if (rank !== Number.POSITIVE_INFINITY) heap.push(rank * KEY_SPAN + at);
  };
  for (let i = 0; i <= length; i += 1) {
    next[i] = i + 1;
    previous[i] = i - 1;
  }
  for (let i = 0; i < length; i += 1) rankPair(i);
  let tokens = length;
  for (let key = heap.pop(); key !== undefined; key = heap.pop()) {
    const at = key % KEY_SPAN;
    // A pair that was merged or changed since is in the heap under its old rank.
    if (pairRank[at] !== (key - at) / KEY_SPAN) continue;
    const gone = next[at] ?? length;
    const after = next[gone] ?? length;
    pairRank[gone] = Number.POSITIVE_INFINITY;
    next[at] = after;
    previous[after] = at;
    tokens -= 1;
    rankPair(at);
    const before = previous[at] ?? -1;
    if (before >= 0) rankPair(before);
  }
  return tokens;
}

/** Above every position within a word's bytes; ranks times this stay whole numbers. */
const KEY_SPAN = 2 ** 20;

interface Heap {
  push(key: number): void;
  pop(): number | undefined;
}

/** A binary heap of numbers, the least first. */
function createHeap(): Heap {
  const keys: number[] = [];
  const keyAt = (i: number): number => keys[i] ?? Number.POSITIVE_INFINITY;
  return {
    push(key) {
      let i = keys.length;
      keys.push(key);
      while (i > 0) {
        const parent = (i - 1) >> 1;
        if (keyAt(parent) <= key) break;
        keys[i] = keyAt(parent);
        i = parent;
      }
      keys[i] = key;
    },
    pop() {
      const top = keys[0];
      const last = keys.pop();
      if (top === undefined || last === undefined || keys.length === 0) return top;
      let i = 0;
      for (let child = 1; child < keys.length; child = 2 * i + 1) {
        if (keyAt(child + 1) < keyAt(child)) child += 1;
        if (keyAt(child) >= last) break;
        keys[i] = keyAt(child);
        i = child;
      }
      keys[i] = last;
      return top;
    },
  };
}

// ——— Words, as the encoding's pattern cuts them ———

const OTHER = 0;
const LETTER = 1;
const NUMBER = 2;
const SPACE = 3;
const NEWLINE = 4;
type CharClass = typeof OTHER | typeof LETTER | typeof NUMBER | typeof SPACE | typeof NEWLINE;

const ASCII_CLASSES: readonly CharClass[] = Array.from({ length: 128 }, (_, code) =>
  findClass(String.fromCharCode(code)),
);

function findClass(char: string): CharClass {
  if (char === '\n' || char === '\r') return NEWLINE;
  if (/\p{L}/u.test(char)) return LETTER;
  if (/\p{N}/u.test(char)) return NUMBER;
  return /\p{White_Space}/u.test(char) ? SPACE : OTHER;
}

function classify(text: string, at: number): CharClass {
  const code = text.charCodeAt(at);
  const known = ASCII_CLASSES[code];
  if (known !== undefined) return known;
  // The two large scripts without spaces, and Hangul, without a look at the tables.
  if ((code >= 0x4e00 && code <= 0x9fa5) || (code >= 0xac00 && code <= 0xd7a3)) return LETTER;
  return findClass(String.fromCodePoint(text.codePointAt(at) ?? code));
}

const isLowSurrogate = (code: number): boolean => code >= 0xdc00 && code <= 0xdfff;
const isHighSurrogate = (code: number): boolean => code >= 0xd800 && code <= 0xdbff;

/** UTF-16 units of the character at `at`. */
function measureChar(text: string, at: number): number {
  return isHighSurrogate(text.charCodeAt(at)) && isLowSurrogate(text.charCodeAt(at + 1)) ? 2 : 1;
}

function skipClass(
  text: string,
  from: number,
  wanted: CharClass,
  charsMax = Number.POSITIVE_INFINITY,
): number {
  let at = from;
  for (let chars = 0; at < text.length && chars < charsMax && classify(text, at) === wanted; chars += 1) {
    at += measureChar(text, at);
  }
  return at;
}

const CONTRACTION = /'(?:[sdmt]|ll|ve|re)/iy;

/** Where the word that begins at `start` ends: what the pattern of `cl100k_base` would match there. Linear. */
export function findWordEnd(text: string, start: number): number {
  const first = classify(text, start);
  if (first === LETTER) return skipClass(text, start, LETTER);
  if (first === NUMBER) return skipClass(text, start, NUMBER, 3);
  if (first === NEWLINE) return findSpaceEnd(text, start);
  const second = start + measureChar(text, start);
  if (text.charCodeAt(start) === 0x27) {
    CONTRACTION.lastIndex = start;
    const match = CONTRACTION.exec(text);
    if (match !== null) return start + match[0].length;
  }
  const next = second < text.length ? classify(text, second) : SPACE;
  if (next === LETTER) return skipClass(text, second, LETTER);
  if (first === OTHER) return findOtherEnd(text, start);
  if (next === OTHER && text.charCodeAt(start) === 0x20) return findOtherEnd(text, second);
  return findSpaceEnd(text, start);
}

/** Signs, with the line ends behind them. */
function findOtherEnd(text: string, start: number): number {
  return skipClass(text, skipClass(text, start, OTHER), NEWLINE);
}

/** White space: up to its last line end; without one, all but the last, which belongs to the word behind it. */
function findSpaceEnd(text: string, start: number): number {
  let at = start;
  let lineEnd = -1;
  for (; at < text.length; at += 1) {
    const found = classify(text, at);
    if (found === NEWLINE) lineEnd = at + 1;
    else if (found !== SPACE) break;
  }
  if (lineEnd > 0) return lineEnd;
  return at === text.length || at === start + 1 ? at : at - 1;
}
