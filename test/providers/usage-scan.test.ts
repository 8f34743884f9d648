import { describe, expect, test } from 'bun:test';
import { findUsage, findUsageInPieces } from '../../src/providers/usage-scan.ts';

const COUNTS = { prompt_tokens: 7, completion_tokens: 5, total_tokens: 12 };
const FOUND = { promptTokens: 7, cachedTokens: 0, completionTokens: 5 };

function toFrames(...chunks: readonly unknown[]): string {
  return `${chunks.map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`).join('')}data: [DONE]\n\n`;
}

describe('the tokens of an answer', () => {
  test('are found wherever they stand, with spaces or without', () => {
    expect(findUsage(JSON.stringify({ usage: COUNTS, id: 'x' }))).toEqual(FOUND);
    expect(findUsage(JSON.stringify({ id: 'x', usage: COUNTS }, null, 2))).toEqual(FOUND);
    expect(findUsage(JSON.stringify({ x_groq: { id: 'x', usage: COUNTS } }))).toEqual(FOUND);
  });

  test('are read with those from a cache, and by their other names', () => {
    const details = { ...COUNTS, prompt_tokens_details: { cached_tokens: 4 } };
    expect(findUsage(JSON.stringify({ usage: details }))).toEqual({ ...FOUND, cachedTokens: 4 });
    const others = { input_tokens: 7, output_tokens: 5, input_tokens_details: { cached_tokens: 4 } };
    expect(findUsage(JSON.stringify({ usage: others }))).toEqual({ ...FOUND, cachedTokens: 4 });
    const embeddings = { prompt_tokens: 7, total_tokens: 7 };
    expect(findUsage(JSON.stringify({ usage: embeddings }))).toEqual({ ...FOUND, completionTokens: 0 });
  });

  test('are none where a text only speaks of them, a field is null, or the numbers are none', () => {
    const words = '"usage": {"prompt_tokens": 99, "completion_tokens": 99}';
    expect(findUsage(JSON.stringify({ content: words }))).toBeNull();
    expect(findUsage(JSON.stringify({ content: words, usage: COUNTS }))).toEqual(FOUND);
    expect(findUsage(JSON.stringify({ usage: null }))).toBeNull();
    for (const wrong of [-1, 0.5, 1e300, '7', null, Number.MAX_SAFE_INTEGER + 2]) {
      expect(findUsage(JSON.stringify({ usage: { prompt_tokens: wrong } }))).toBeNull();
    }
    expect(findUsage('')).toBeNull();
    expect(findUsage('"usage"')).toBeNull();
    expect(findUsage('{"usage":{"prompt_tokens":7')).toBeNull();
  });

  test('are the last that a stream says, past the nulls that come after', () => {
    const first = { usage: { ...COUNTS, completion_tokens: 1 } };
    expect(findUsage(toFrames(first, { usage: COUNTS }))).toEqual(FOUND);
    expect(findUsage(toFrames({ usage: COUNTS }, { usage: null }))).toEqual(FOUND);
  });

  test('are found at the end of a document that is long, without reading the whole of it', () => {
    const long = JSON.stringify({ usage: { prompt_tokens: 1 }, data: 'x'.repeat(600_000), model: 'm' });
    expect(findUsage(long)).toBeNull();
    expect(findUsage(JSON.stringify({ data: 'x'.repeat(600_000), usage: COUNTS }))).toEqual(FOUND);
  });

  test('are found in the last of the pieces that has any, whatever memory the piece is a part of', () => {
    const bytes = Buffer.from(`before${toFrames({ usage: COUNTS })}`);
    const pieces = [
      Buffer.from(toFrames({ usage: { prompt_tokens: 1 } })),
      new Uint8Array(bytes.buffer, bytes.byteOffset + 6, bytes.byteLength - 6),
      Buffer.from('data: [DONE]\n\n'),
    ];
    expect(findUsageInPieces(pieces)).toEqual(FOUND);
    expect(findUsageInPieces([])).toBeNull();
  });
});
