/** Answers of HTTP/1.1, in whatever pieces they come. */

import { describe, expect, test } from 'bun:test';
import { BrokenAnswer, ResponseParser } from '../../../src/providers/outbound/http1/response-parser.ts';

interface Seen {
  readonly status: number | null;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly ends: number;
  readonly keepsConnection: boolean;
  readonly isOver: boolean;
}

/** Reads pieces, then the connection's end where one comes. */
function read(pieces: readonly string[], isClosed = false): Seen {
  let status: number | null = null;
  let headers: Record<string, string> = {};
  let body = '';
  let ends = 0;
  const parser = new ResponseParser({
    onHead(head) {
      expect(status).toBeNull();
      status = head.status;
      headers = Object.fromEntries(head.headers);
    },
    onPiece(bytes) {
      expect(status).not.toBeNull();
      expect(bytes.byteLength).toBeGreaterThan(0);
      expect(ends).toBe(0);
      body += Buffer.from(bytes).toString('latin1');
    },
    onEnd() {
      ends += 1;
    },
  });
  for (const piece of pieces) parser.push(Buffer.from(piece, 'latin1'));
  if (isClosed) parser.finish();
  return { status, headers, body, ends, keepsConnection: parser.keepsConnection, isOver: parser.isOver };
}

function toCode(pieces: readonly string[], isClosed = false): string | null {
  try {
    read(pieces, isClosed);
    return null;
  } catch (error) {
    if (!(error instanceof BrokenAnswer)) throw error;
    return error.code;
  }
}

const OK = 'HTTP/1.1 200 OK\r\n';
const CHUNKED = `${OK}transfer-encoding: chunked\r\n\r\n`;

/** Each with its body, whether the connection may be kept, and whether it ends with the connection. */
const ANSWERS: readonly (readonly [string, string, string, boolean, boolean?])[] = [
  ['with a length', `${OK}Content-Length: 5\r\n\r\nhello`, 'hello', true],
  ['with a length of nothing', `${OK}content-length: 0\r\n\r\n`, '', true],
  ['in chunks', `${CHUNKED}5\r\nhello\r\n1;why=not\r\n!\r\n0\r\n\r\n`, 'hello!', true],
  [
    'in chunks with a trailer',
    `${CHUNKED}A\r\n0123456789\r\n0\r\nx-sum: 1\r\ny: 2\r\n\r\n`,
    '0123456789',
    true,
  ],
  [
    'in chunks with bare line feeds',
    'HTTP/1.1 200 OK\ntransfer-encoding: chunked\n\n2\nhi\n0\n\n',
    'hi',
    true,
  ],
  ['with lengths in capitals and spaces', `${CHUNKED}00b \r\nhello world\r\n0\r\n\r\n`, 'hello world', true],
  ['until the connection closes', `${OK}content-type: text/plain\r\n\r\nhello`, 'hello', false, true],
  [
    'behind an interim one',
    `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nlink: a\r\n\r\n${OK}content-length: 2\r\n\r\nhi`,
    'hi',
    true,
  ],
  ['that may have no body', 'HTTP/1.1 204 No Content\r\n\r\n', '', true],
  ['that says that it closes', `${OK}connection: close\r\ncontent-length: 2\r\n\r\nhi`, 'hi', false],
  ['of HTTP/1.0', 'HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nhi', 'hi', false],
  [
    'of HTTP/1.0 that stays',
    'HTTP/1.0 200 OK\r\nconnection: Keep-Alive\r\ncontent-length: 2\r\n\r\nhi',
    'hi',
    true,
  ],
  ['with a length said twice', `${OK}content-length: 2\r\ncontent-length: 2\r\n\r\nhi`, 'hi', true],
  [
    'with a length beside chunks',
    `${OK}content-length: 99\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n`,
    'hi',
    false,
  ],
  [
    'with a coding that is none',
    `${OK}transfer-encoding: identity\r\ncontent-length: 2\r\n\r\nhi`,
    'hi',
    true,
  ],
  ['without a reason', 'HTTP/1.1 200\r\ncontent-length: 2\r\n\r\nhi', 'hi', true],
];

describe('an answer', () => {
  test.each(ANSWERS)(
    '%s is read alike, wherever it is cut',
    (_, text, body, keepsConnection, isClosed = false) => {
      const whole = read([text], isClosed);
      expect(whole).toMatchObject({ body, ends: 1, keepsConnection, isOver: true });
      expect(read([...text], isClosed)).toEqual(whole);
      for (let at = 1; at < text.length; at += 1) {
        expect(read([text.slice(0, at), text.slice(at)], isClosed)).toEqual(whole);
      }
    },
  );

  test('has its headers by small names, and its status', () => {
    const { status, headers } = read([
      'HTTP/1.1 429 Slow down\r\nRetry-After:  7 \r\nX-Empty:\r\ncontent-length: 0\r\n\r\n',
    ]);
    expect(status).toBe(429);
    expect(headers).toEqual({ 'retry-after': '7', 'x-empty': '', 'content-length': '0' });
  });

  test.each([
    ['cut in its head', `${OK}content-len`],
    ['cut in its body', `${OK}content-length: 5\r\n\r\nhell`],
    ['cut in a chunk', `${CHUNKED}5\r\nhell`],
    ['cut before its last chunk', `${CHUNKED}5\r\nhello\r\n`],
    ['cut in its trailer', `${CHUNKED}0\r\n`],
  ])('%s is known to be', (_, text) => {
    expect(toCode([text])).toBeNull();
    expect(toCode([text], true)).toBe('HTTP_CUT');
  });

  test.each([
    ['another protocol', 'SSH-2.0-OpenSSH\r\n\r\n'],
    ['another version', 'HTTP/2 200 OK\r\n\r\n'],
    ['no status', 'HTTP/1.1 OK\r\n\r\n'],
    ['a change of protocol', 'HTTP/1.1 101 Switching\r\n\r\n'],
    ['a header without a name', `${OK}: x\r\n\r\n`],
    ['a header that goes on in the next line', `${OK}a: x\r\n  y\r\n\r\n`],
    ['a space before a colon', `${OK}content-length : 3\r\n\r\n`],
    ['two lengths', `${OK}content-length: 3\r\ncontent-length: 4\r\n\r\n`],
    ['a length below nothing', `${OK}content-length: -3\r\n\r\n`],
    ['an unknown coding', `${OK}transfer-encoding: gzip, chunked\r\n\r\n`],
    ['a chunk without a length', `${CHUNKED}\r\n`],
    ['a chunk whose length is no number', `${CHUNKED}0x5\r\nhello`],
    ['a chunk of endless length', `${CHUNKED}ffffffffffff\r\n`],
    ['a chunk that is longer than it said', `${CHUNKED}2\r\nhello\r\n`],
  ])('with %s is refused', (_, text) => {
    expect(toCode([text])).toBe('HTTP_MALFORMED');
    expect(toCode([...text])).toBe('HTTP_MALFORMED');
  });

  test.each([
    ['a head', [OK, ...Array.from({ length: 70 }, () => `x: ${'y'.repeat(1000)}\r\n`)]],
    ['a line of chunks', [CHUNKED, `5;${'x'.repeat(5000)}`]],
    ['a trailer', [CHUNKED, '0\r\n', ...Array.from({ length: 70 }, () => `x: ${'y'.repeat(1000)}\r\n`)]],
  ])('that never ends %s is refused, and not kept in memory', (_, pieces) => {
    expect(toCode(pieces)).toBe('HTTP_TOO_LARGE');
  });

  test('with bytes behind its end leaves a connection that nobody may use', () => {
    const behind = read([`${OK}content-length: 2\r\n\r\nhiHTTP/1.1 200 OK\r\n`]);
    expect(behind).toMatchObject({ body: 'hi', ends: 1, keepsConnection: false });
  });
});
