import { describe, expect, test } from 'bun:test';
import { isWithinCharacter } from '../../src/ingest/boundaries.ts';
import { cutText, type Piece } from '../../src/ingest/chunker.ts';
import type { Chunking } from '../../src/ingest/document-reader.ts';
import { readMarkdown } from '../../src/ingest/parsers/markdown.ts';
import { createTextBuilder, toReadText } from '../../src/ingest/read-text.ts';
import { createTokenizer } from '../../src/ingest/tokenizer.ts';
import { createRandom, makeText } from './random-text.ts';
import { putTogether } from './reading.ts';

const tokenizer = await createTokenizer();
const cut = (text: string, tokensMax: number, overlapTokens: number): Piece[] => [
  ...cutText(toReadText(text), { tokensMax, overlapTokens }, tokenizer),
];

/** What holds for the chunks of every text. */
function checkPieces(text: string, pieces: readonly Piece[], { tokensMax, overlapTokens }: Chunking): void {
  expect(putTogether(pieces)).toBe(text);
  expect(pieces[0]?.start).toBe(0);
  expect(pieces.at(-1)?.end).toBe(text.length);
  for (const [i, piece] of pieces.entries()) {
    expect(piece.position).toBe(i);
    expect(piece.text).toBe(text.slice(piece.start, piece.end));
    expect(piece.tokens).toBe(tokenizer.count(piece.text));
    expect(piece.tokens).toBeLessThanOrEqual(tokensMax);
    for (const at of [piece.start, piece.end]) {
      // Half a character and half a line end are never cut; a grapheme only where it is longer than any.
      expect(text.slice(at - 1, at + 1)).not.toBe('\r\n');
      expect(
        text.slice(at, at + 1).isWellFormed() ||
          at === text.length ||
          text.codePointAt(at) !== text.charCodeAt(at),
      ).toBe(true);
    }
    const previous = pieces[i - 1];
    if (previous === undefined) continue;
    expect(piece.start).toBeGreaterThan(previous.start);
    expect(piece.end).toBeGreaterThan(previous.end);
    expect(piece.start).toBeLessThanOrEqual(previous.end);
    expect(tokenizer.count(text.slice(piece.start, previous.end))).toBeLessThanOrEqual(overlapTokens);
  }
}

describe('chunks', () => {
  test('cover every text exactly, none above its bound, none sharing more than was asked for', () => {
    const random = createRandom(3);
    for (let round = 0; round < 120; round += 1) {
      const text = makeText(random, 1 + random.next(120));
      const tokensMax = random.pick([100, 137, 400, 800, 4096]);
      const chunking = {
        tokensMax,
        overlapTokens: random.pick([0, 1, Math.floor(tokensMax / 4), Math.floor(tokensMax / 2)]),
      };
      checkPieces(text, cut(text, chunking.tokensMax, chunking.overlapTokens), chunking);
    }
  });

  test('never part what is read as one character', () => {
    const random = createRandom(5);
    for (let round = 0; round < 40; round += 1) {
      const text = Array.from({ length: 300 }, () =>
        random.pick(['👩‍👩‍👧', '🇩🇪', ' e\u0301', '👍🏽', '\r\n', '各', 'ก็', ' word', '𝒜']),
      ).join('');
      for (const { start, end } of cut(text, 100, 50)) {
        expect(isWithinCharacter(text, start)).toBe(false);
        expect(isWithinCharacter(text, end)).toBe(false);
      }
    }
  });

  test('cut what only pretends to be one character', () => {
    const text = `e${'\u0301'.repeat(5000)} and \ud800\ud800 halves`;
    checkPieces(text, cut(text, 100, 0), { tokensMax: 100, overlapTokens: 0 });
  });

  test('end at the end of a paragraph where the last part of the window has one', () => {
    const paragraph = `${'Every sentence of this text has nine words. '.repeat(6).trim()}\n\n`;
    const text = paragraph.repeat(20);
    const pieces = cut(text, 200, 0);
    expect(pieces.length).toBeGreaterThan(4);
    for (const piece of pieces) expect(piece.text.endsWith('\n\n')).toBe(true);
  });

  test('end at the end of a sentence in a text of one line, and the shared part begins with one', () => {
    const text = 'Every sentence of this text has nine words. '.repeat(200).trim();
    for (const [i, piece] of cut(text, 200, 60).entries()) {
      expect(piece.text.startsWith('Every')).toBe(true);
      if (i > 0) expect(piece.text.trimEnd().endsWith('words.')).toBe(true);
    }
  });

  test('end at the end of a sentence in a text without blanks', () => {
    const text = '吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。'.repeat(60);
    const pieces = cut(text, 200, 50);
    expect(pieces.length).toBeGreaterThan(5);
    for (const piece of pieces) expect(piece.text.endsWith('。')).toBe(true);
  });

  test('end before a heading, and never between a heading and its text', () => {
    const body = 'Every sentence of this text has nine words. '.repeat(12);
    const text = Array.from({ length: 12 }, (_, i) => `## Part ${i}\n\n${body}\n\n`).join('');
    const document = readMarkdown(text);
    for (const piece of cutText(document, { tokensMax: 140, overlapTokens: 0 }, tokenizer)) {
      expect(piece.text.trimEnd()).not.toMatch(/## Part \d+$/);
    }
  });

  test('do not end with the first row of a table', () => {
    for (let lead = 60; lead < 110; lead += 1) {
      const builder = createTextBuilder();
      builder.write(`${'word '.repeat(lead)}\n`);
      builder.write('Name | Rank\n');
      builder.joint();
      for (let i = 0; i < 60; i += 1) builder.write(`Person ${i} | Rank ${i}\n`);
      const [first] = cutText(builder.finish(), { tokensMax: 100, overlapTokens: 0 }, tokenizer);
      expect(first?.text.trimEnd().endsWith('Name | Rank')).toBe(false);
    }
  });

  test('a short text is one chunk as it is', () => {
    expect(cut('Hello.\r\n', 800, 400)).toEqual([
      { position: 0, start: 0, end: 8, text: 'Hello.\r\n', tokens: 2 },
    ]);
  });

  test('a text of more than five million tokens is refused before its first chunk', () => {
    const text = 'a b c d e '.repeat(1_010_000);
    const pieces = cutText(toReadText(text), { tokensMax: 800, overlapTokens: 400 }, tokenizer);
    expect(() => pieces.next()).toThrow(
      'The file holds more than 5,000,000 tokens, the most that a file may hold.',
    );
  });
});
