/**
 * Cuts a text into chunks by tokens. A chunk ends at the best natural boundary in the last part of its window, and
 * what it shares with the next begins at one. Chunks cover the text without gaps.
 */

import { CUT, type CutQuality, isWithinCharacter, isWithinUnit, rateCut } from './boundaries.ts';
import { type Chunking, DocumentError } from './document-reader.ts';
import type { ReadText } from './read-text.ts';
import { findWordEnd, type Tokenizer } from './tokenizer.ts';

/** OpenAI's limit of a file in a vector store. */
export const TOKENS_MAX = 5_000_000;
/** A chunk is at least this part of its window, where the text goes on: the rest is searched for a good cut. */
const FILL_MIN = 0.75;
/** What is shared is at least this part of what was asked for, where there is a choice. */
const OVERLAP_MIN = 0.5;
/** Words of more tokens may be cut within. */
const WORD_TOKENS_MAX = 16;
/** Such words are cut into pieces of so many UTF-16 units, or a few more where a character is longer. */
const PIECE_LENGTH = 12;
/** What pretends to be one character and is longer is cut all the same, in UTF-16 units. */
const CHARACTER_LENGTH_MAX = 20;
/** How often a chunk is made shorter because its exact count is above the bound. */
const CORRECTIONS_MAX = 1000;

export interface Piece {
  readonly position: number;
  readonly start: number;
  readonly end: number;
  readonly text: string;
  readonly tokens: number;
}

/** Places where the text may be cut, ascending, from 0 to its end, and the tokens before each. */
interface Places {
  readonly count: number;
  readonly offsets: Uint32Array;
  readonly tokens: Uint32Array;
}

/**
 * The pieces in order. The whole text is counted before the first, so that one that is too long is refused before
 * anything is made of it: `DocumentError`.
 */
export function* cutText(
  document: Pick<ReadText, 'text' | 'headings' | 'joints'>,
  chunking: Chunking,
  tokenizer: Tokenizer,
): Generator<Piece, void, undefined> {
  const { text } = document;
  const places = findPlaces(text, tokenizer);
  const rate = createRating(document);
  const last = places.count - 1;
  for (let position = 0, from = 0; from < last; position += 1) {
    const { to, tokens } = findEnd(text, places, rate, from, chunking.tokensMax, tokenizer);
    const start = offsetAt(places, from);
    const end = offsetAt(places, to);
    yield { position, start, end, text: text.slice(start, end), tokens };
    from = to >= last ? last : findStart(text, places, rate, { from, to }, chunking.overlapTokens, tokenizer);
  }
}

// ——— Places ———

const offsetAt = (places: Places, i: number): number => places.offsets[i] ?? 0;
const tokensAt = (places: Places, i: number): number => places.tokens[i] ?? 0;

function findPlaces(text: string, tokenizer: Tokenizer): Places {
  const list = createPlaceList();
  let tokens = 0;
  for (let start = 0; start < text.length; ) {
    const end = findWordEnd(text, start);
    const counted = tokenizer.countWord(text.slice(start, end));
    if (counted > WORD_TOKENS_MAX) addPieces(text, start, end, tokens, counted, list);
    else {
      list.add(start, tokens);
      // Where a word has a sign or a blank before it, the cut behind that may be the better one.
      if (end - start > 1 && !isWithinCharacter(text, start + 1) && !isWordAt(text, start)) {
        list.add(start + 1, tokens);
      }
    }
    tokens += counted;
    if (tokens > TOKENS_MAX) throw toTooLong();
    start = end;
  }
  list.add(text.length, tokens);
  return list.finish();
}

const WORD_CHARACTER = /[\p{L}\p{N}]/u;

function isWordAt(text: string, at: number): boolean {
  const code = text.codePointAt(at) ?? 0;
  return WORD_CHARACTER.test(String.fromCodePoint(code));
}

/** Places within a long word, its tokens spread evenly; chunks are counted exactly when they are cut. */
function addPieces(
  text: string,
  start: number,
  end: number,
  before: number,
  counted: number,
  list: PlaceList,
): void {
  for (let at = start; at < end; ) {
    list.add(at, before + Math.floor((counted * (at - start)) / (end - start)));
    const least = Math.min(at + PIECE_LENGTH, end);
    at = least;
    while (at < end && at - least < CHARACTER_LENGTH_MAX && isWithinCharacter(text, at)) at += 1;
    if (at < end && isWithinUnit(text, at)) at += 1;
  }
}

function toTooLong(): DocumentError {
  return new DocumentError(
    'invalid_file',
    `The file holds more than ${TOKENS_MAX.toLocaleString('en')} tokens, the most that a file may hold.`,
  );
}

interface PlaceList {
  add(offset: number, tokens: number): void;
  finish(): Places;
}

function createPlaceList(): PlaceList {
  let offsets = new Uint32Array(1024);
  let tokens = new Uint32Array(1024);
  let count = 0;
  const grow = (from: Uint32Array): Uint32Array<ArrayBuffer> => {
    const larger = new Uint32Array(from.length * 2);
    larger.set(from);
    return larger;
  };
  return {
    add(offset, before) {
      if (count === offsets.length) {
        offsets = grow(offsets);
        tokens = grow(tokens);
      }
      offsets[count] = offset;
      tokens[count] = before;
      count += 1;
    },
    finish: () => ({ count, offsets, tokens }),
  };
}

/** The last place with at most so many tokens before it. */
function findLastPlace(places: Places, tokensMax: number): number {
  let low = 0;
  let high = places.count - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (tokensAt(places, middle) <= tokensMax) low = middle;
    else high = middle - 1;
  }
  return low;
}

// ——— The choice among them ———

type Rate = (offset: number) => CutQuality;

function createRating({ text, headings, joints }: Pick<ReadText, 'text' | 'headings' | 'joints'>): Rate {
  const headingStarts = new Set(headings.map(({ start }) => start));
  const jointSet = new Set(joints);
  return (offset) => {
    if (headingStarts.has(offset)) return CUT.heading;
    const quality = rateCut(text, offset);
    return jointSet.has(offset) ? (Math.min(quality, CUT.joint) as CutQuality) : quality;
  };
}

/** Of the places `low` to `high`, the best to cut at; the last of equals, or the first. */
function findBest(places: Places, rate: Rate, low: number, high: number, prefer: 'first' | 'last'): number {
  let best = high;
  let bestQuality = -1;
  for (let i = low; i <= high; i += 1) {
    const quality = rate(offsetAt(places, i));
    if (quality > bestQuality || (quality === bestQuality && prefer === 'last')) {
      best = i;
      bestQuality = quality;
    }
  }
  return best;
}

/** Where the chunk that begins at the place `from` ends, and its exact count. */
function findEnd(
  text: string,
  places: Places,
  rate: Rate,
  from: number,
  tokensMax: number,
  tokenizer: Tokenizer,
): { to: number; tokens: number } {
  const before = tokensAt(places, from);
  let high = Math.max(from + 1, findLastPlace(places, before + tokensMax));
  for (let corrections = 0; ; corrections += 1) {
    const low = Math.min(
      high,
      Math.max(from + 1, findLastPlace(places, before + Math.floor(tokensMax * FILL_MIN))),
    );
    const to = high === places.count - 1 ? high : findBest(places, rate, low, high, 'last');
    const tokens = tokenizer.count(text.slice(offsetAt(places, from), offsetAt(places, to)));
    if (tokens <= tokensMax || to <= from + 1 || corrections >= CORRECTIONS_MAX) return { to, tokens };
    const wanted = findLastPlace(places, Math.max(before, tokensAt(places, to) - (tokens - tokensMax)));
    high = Math.max(from + 1, Math.min(wanted, to - 1));
  }
}

/** Where the next chunk begins: at most `overlapTokens` before the end of this one. */
function findStart(
  text: string,
  places: Places,
  rate: Rate,
  { from, to }: { from: number; to: number },
  overlapTokens: number,
  tokenizer: Tokenizer,
): number {
  if (overlapTokens === 0) return to;
  const end = tokensAt(places, to);
  const tail = (place: number): number =>
    tokenizer.count(text.slice(offsetAt(places, place), offsetAt(places, to)));
  let low = Math.min(to, Math.max(from + 1, findLastPlace(places, Math.max(0, end - overlapTokens - 1)) + 1));
  const high = Math.min(
    to,
    Math.max(low, findLastPlace(places, end - Math.ceil(overlapTokens * OVERLAP_MIN))),
  );
  for (; low < high; low += 1) {
    const best = findBest(places, rate, low, high, 'first');
    if (tail(best) <= overlapTokens) return best;
    low = Math.max(low, best);
  }
  return tail(high) <= overlapTokens ? high : to;
}
