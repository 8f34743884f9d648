import { describe, expect, test } from 'bun:test';
import { createSseParser, type SseEvent } from '../../src/providers/openai/sse-parser.ts';
import { ProviderError } from '../../src/providers/provider.ts';

const encoder = new TextEncoder();

function parseWhole(text: string): SseEvent[] {
  const parser = createSseParser();
  return [...parser.push(encoder.encode(text)), ...parser.end()];
}

function parsePieces(pieces: readonly Uint8Array[]): SseEvent[] {
  const parser = createSseParser();
  return [...pieces.flatMap((piece) => [...parser.push(piece)]), ...parser.end()];
}

/** Everything that a real stream may hold, characters of two, three and four bytes included. */
const RECORDED = [
  '\uFEFF: OPENROUTER PROCESSING\n\n',
  'data: {"content":"Zürich — 東京 🗼"}\n\n',
  'event: message\r\nid: 7\r\nretry: 100\r\ndata: {"content":"crlf"}\r\n\r\n',
  'data:{"content":"no space"}\n\n',
  'data: {"multi":\ndata: "line ü"}\n\n',
  'data: {"content":"cr"}\r\r',
  ': ping\n\nevent: error\ndata: {"error":{"message":"ö"}}\n\n',
  'unknown: field\ndata\n\n',
  'data: [DONE]\n\n',
].join('');

const RECORDED_EVENTS: SseEvent[] = [
  { name: null, data: '{"content":"Zürich — 東京 🗼"}' },
  { name: 'message', data: '{"content":"crlf"}' },
  { name: null, data: '{"content":"no space"}' },
  { name: null, data: '{"multi":\n"line ü"}' },
  { name: null, data: '{"content":"cr"}' },
  { name: 'error', data: '{"error":{"message":"ö"}}' },
  { name: null, data: '' },
  { name: null, data: '[DONE]' },
];

describe('SSE parser', () => {
  test('understands comments, CRLF, CR, missing spaces, multi-line data, names and a byte order mark', () => {
    expect(parseWhole(RECORDED)).toEqual(RECORDED_EVENTS);
  });

  test('gives the same events when the stream is cut in two at any byte', () => {
    const bytes = encoder.encode(RECORDED);
    for (let at = 0; at <= bytes.length; at += 1) {
      expect(parsePieces([bytes.subarray(0, at), bytes.subarray(at)])).toEqual(RECORDED_EVENTS);
    }
  });

  test('gives the same events when every byte comes alone', () => {
    const bytes = encoder.encode(RECORDED);
    const pieces = Array.from(bytes, (_, at) => bytes.subarray(at, at + 1));
    expect(parsePieces(pieces)).toEqual(RECORDED_EVENTS);
  });

  test('gives the same events for every size of piece, empty pieces between them', () => {
    const bytes = encoder.encode(RECORDED);
    for (let size = 2; size < 64; size += 1) {
      const pieces: Uint8Array[] = [];
      for (let at = 0; at < bytes.length; at += size) {
        pieces.push(bytes.subarray(at, at + size), new Uint8Array());
      }
      expect(parsePieces(pieces)).toEqual(RECORDED_EVENTS);
    }
  });

  test('announces an event as soon as its blank line is there, not later', () => {
    const parser = createSseParser();
    expect(parser.push(encoder.encode('data: a\n'))).toEqual([]);
    expect(parser.push(encoder.encode('\ndata: b'))).toEqual([{ name: null, data: 'a' }]);
  });

  test('takes an event whose last blank line is missing when the stream ends', () => {
    expect(parseWhole('data: [DONE]')).toEqual([{ name: null, data: '[DONE]' }]);
  });

  test('refuses a line without end, so that memory is bounded', () => {
    const parser = createSseParser(1000);
    const piece = encoder.encode('x'.repeat(100));
    expect(() => {
      for (let i = 0; i < 11; i += 1) parser.push(piece);
    }).toThrow(ProviderError);
  });

  test('refuses an event of endless data lines, so that memory is bounded', () => {
    const parser = createSseParser(1000);
    const piece = encoder.encode(`data: ${'x'.repeat(100)}\n`);
    expect(() => {
      for (let i = 0; i < 11; i += 1) parser.push(piece);
    }).toThrow(ProviderError);
  });

  test('reads a long line in small pieces in time that follows its length', () => {
    const line = encoder.encode(`data: ${'y'.repeat(4_000_000)}\n\n`);
    const parser = createSseParser();
    const events: SseEvent[] = [];
    const startedMs = performance.now();
    for (let at = 0; at < line.length; at += 512) events.push(...parser.push(line.subarray(at, at + 512)));
    expect(events[0]?.data.length).toBe(4_000_000);
    // Looking through the whole line again with each piece would take minutes.
    expect(performance.now() - startedMs).toBeLessThan(2_000);
  });
});
