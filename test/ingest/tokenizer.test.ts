import { describe, expect, test } from 'bun:test';
import { Tiktoken, type TiktokenBPE } from 'js-tiktoken/lite';
import ranksPath from 'js-tiktoken/ranks/cl100k_base' with { type: 'file' };
import { createTokenizer, findWordEnd } from '../../src/ingest/tokenizer.ts';
import { createRandom, makeText } from './random-text.ts';

const { default: cl100k }: { default: TiktokenBPE } = await import(ranksPath);
const tokenizer = await createTokenizer();
const reference = new Tiktoken(cl100k);
const countByReference = (text: string): number => reference.encode(text, [], []).length;

describe('the tokenizer', () => {
  test('counts what cl100k_base counts, in every script', () => {
    const random = createRandom(7);
    for (let round = 0; round < 80; round += 1) {
      const text = makeText(random, 1 + random.next(25));
      expect({ text, tokens: tokenizer.count(text) }).toEqual({ text, tokens: countByReference(text) });
    }
  });

  test('counts long words as exactly as short ones', () => {
    const random = createRandom(11);
    for (let round = 0; round < 60; round += 1) {
      const word = Array.from({ length: 40 + random.next(900) }, () =>
        random.pick([...'abcdefghijklmnoéßж']),
      ).join('');
      expect({ word, tokens: tokenizer.count(word) }).toEqual({ word, tokens: countByReference(word) });
    }
  });

  test('counts every run of blanks and line ends as the encoding does', () => {
    const random = createRandom(13);
    for (let round = 0; round < 400; round += 1) {
      const text = Array.from({ length: 1 + random.next(12) }, () =>
        random.pick([' ', '\n', '\r', '\t', '\u00a0', 'a', '.', '1']),
      ).join('');
      expect({ text, tokens: tokenizer.count(text) }).toEqual({ text, tokens: countByReference(text) });
    }
  });

  test('a byte order mark within a text is no blank', () => {
    // The reference in JavaScript takes it for one, the encoding does not.
    expect(findWordEnd('\ufeffword', 0)).toBe(5);
  });

  test('is done with a word of a million letters without a blank', () => {
    const random = createRandom(17);
    const word = Array.from({ length: 1_000_000 }, () => String.fromCharCode(97 + random.next(26))).join('');
    const tokens = tokenizer.count(word);
    expect(tokens).toBeGreaterThan(400_000);
    expect(tokens).toBeLessThan(700_000);
  });

  test('is done with megabytes of one character', () => {
    expect(tokenizer.count(' '.repeat(16_384 * 500))).toBe((16_384 * 500) / 128);
    expect(tokenizer.count('')).toBe(0);
  });
});
