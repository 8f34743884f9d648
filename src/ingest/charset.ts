/** Bytes of text as text: by byte order mark, by what the document says of itself, by validity, by statistics. */

import { analyse } from 'chardet';

/** Statistics look at this much. */
const SAMPLE_BYTES = 256 * 1024;
/** A declaration stands within this much. */
const DECLARATION_BYTES = 2048;
/** UTF-16 without a mark is told by zero bytes in this part of either the odd or the even places. */
const UTF16_ZEROS_MIN = 0.3;
/** Of other scripts, fewer characters tell nothing. */
const UTF16_PAIRS_MIN = 8;
const WIDE_SAMPLE_BYTES = 4096;
/** Halves of pairs look like control characters; text of single bytes has hardly any. */
const CONTROLS_MIN = 0.01;

export interface DecodedText {
  readonly text: string;
  /** The encoding's name, as `TextDecoder` spells it. */
  readonly charset: string;
}

/** What an encoding names by default where the text does not fit it. */
const FALLBACK = 'windows-1252';

/** `declared` is what stands outside of the bytes: a header's charset. */
export function decodeText(bytes: Uint8Array, declared: string | null = null): DecodedText {
  const marked = findByteOrderMark(bytes);
  if (marked !== null) return decodeAs(bytes, marked);
  const wide = findWide(bytes);
  if (wide !== null) return decodeAs(bytes, wide);
  const named = toEncoding(declared) ?? findDeclaration(bytes);
  if (isUtf8(bytes)) {
    // Seven bits are UTF-8 as well, but for the encodings that escape.
    if (named === 'iso-2022-jp' || hasIso2022Escapes(bytes)) return decodeAs(bytes, named ?? 'iso-2022-jp');
    return decodeAs(bytes, 'utf-8');
  }
  if (named !== null && named !== 'utf-8' && isValid(bytes, named)) return decodeAs(bytes, named);
  return decodeAs(bytes, guess(bytes, named));
}

function decodeAs(bytes: Uint8Array, charset: string): DecodedText {
  return { text: new TextDecoder(charset as Bun.Encoding).decode(bytes), charset };
}

function findByteOrderMark(bytes: Uint8Array): string | null {
  const [a, b, c] = bytes;
  if (a === 0xef && b === 0xbb && c === 0xbf) return 'utf-8';
  if (a === 0xff && b === 0xfe) return 'utf-16le';
  return a === 0xfe && b === 0xff ? 'utf-16be' : null;
}

/**
 * UTF-16 without a mark, or null. Text of mostly Latin letters has zeros on one side of the pairs only; other scripts are
 * told by having no lone halves and no characters that nobody assigned, which bytes of another kind soon have.
 */
export function findWide(bytes: Uint8Array): 'utf-16le' | 'utf-16be' | null {
  const sample = bytes.subarray(0, Math.min(bytes.length, WIDE_SAMPLE_BYTES) & ~1);
  let even = 0;
  let odd = 0;
  let controls = 0;
  for (let i = 0; i < sample.length; i += 2) {
    const first = sample[i] ?? 0;
    const second = sample[i + 1] ?? 0;
    if (first === 0) even += 1;
    if (second === 0) odd += 1;
    if (isControl(first)) controls += 1;
    if (isControl(second)) controls += 1;
  }
  const pairs = sample.length / 2;
  if (pairs < 2) return null;
  if (odd / pairs >= UTF16_ZEROS_MIN && even / pairs < 0.02) return 'utf-16le';
  if (even / pairs >= UTF16_ZEROS_MIN && odd / pairs < 0.02) return 'utf-16be';
  if (pairs < UTF16_PAIRS_MIN || controls / sample.length < CONTROLS_MIN) return null;
  const little = countUsual(sample, 'utf-16le');
  const big = countUsual(sample, 'utf-16be');
  if (Math.max(little, big) === 0) return null;
  return little >= big ? 'utf-16le' : 'utf-16be';
}

const isControl = (byte: number): boolean =>
  byte < 0x20 && byte !== 9 && byte !== 10 && byte !== 12 && byte !== 13;

/** Blanks, line ends and usual signs where the bytes read as UTF-16 without a fault; 0 where they do not. */
function countUsual(bytes: Uint8Array, charset: string): number {
  // The last pair may be the first half of a character.
  const text = decodeAs(bytes, charset).text.slice(0, -1);
  if (!text.isWellFormed() || /[\p{Cn}\p{Co}]|(?![\t\n\f\r])\p{Cc}/u.test(text)) return 0;
  return (
    text.match(/[ \n\u3000-\u30ff\u0400-\u04ff\u0600-\u06ff\uff0c\u0e00-\u0e7f\uac00-\ud7a3]/g)?.length ?? 0
  );
}

export function isUtf8(bytes: Uint8Array): boolean {
  return isValid(bytes, 'utf-8');
}

function isValid(bytes: Uint8Array, charset: string): boolean {
  try {
    new TextDecoder(charset as Bun.Encoding, { fatal: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
}

function hasIso2022Escapes(bytes: Uint8Array): boolean {
  const sample = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, SAMPLE_BYTES));
  return sample.includes('\x1b$B') || sample.includes('\x1b$@');
}

const DECLARATIONS: readonly RegExp[] = [
  /<\?xml[^>]{0,200}?\bencoding\s*=\s*["']([\w:.-]{2,40})["']/i,
  /<meta[^>]{0,200}?\bcharset\s*=\s*["']?\s*([\w:.-]{2,40})/i,
  /^@charset\s+"([\w:.-]{2,40})"/i,
  /coding[:=]\s*([\w.-]{2,40})/,
];

/** What an XML declaration, a meta element, or an editor's comment says. */
function findDeclaration(bytes: Uint8Array): string | null {
  const head = Buffer.from(
    bytes.buffer,
    bytes.byteOffset,
    Math.min(bytes.length, DECLARATION_BYTES),
  ).toString('latin1');
  for (const pattern of DECLARATIONS) {
    const encoding = toEncoding(pattern.exec(head)?.[1] ?? null);
    // Whoever wrote this in single bytes meant something else.
    if (encoding !== null && !encoding.startsWith('utf-16')) return encoding;
  }
  return null;
}

/** The name that the decoder knows it by, or null. */
export function toEncoding(name: string | null): string | null {
  if (name === null) return null;
  const label = name.trim().toLowerCase();
  const known = {
    cp932: 'shift_jis',
    'cp-1252': 'windows-1252',
    cp949: 'euc-kr',
    cp936: 'gbk',
    cp950: 'big5',
  }[label];
  try {
    return new TextDecoder((known ?? label.replace(/^cp-?(125\d)$/, 'windows-$1')) as Bun.Encoding).encoding;
  } catch {
    return null;
  }
}

/** By statistics; encodings that the bytes are not valid in are left out. */
function guess(bytes: Uint8Array, named: string | null): string {
  const sample = toSample(bytes);
  // A broken byte or two in UTF-8 are no reason to misread all others.
  if (isMostlyUtf8(sample)) return 'utf-8';
  for (const { name, confidence } of analyse(sample)) {
    const encoding = toEncoding(name);
    if (encoding === null || encoding.startsWith('utf') || confidence < 5) continue;
    if (isValid(sample, encoding) && !isMostlyHalfWidth(sample, encoding)) return toWindows(encoding, sample);
  }
  return named !== null && named !== 'utf-8' ? named : FALLBACK;
}

/** The first part, without a character cut off at its end as far as can be told: up to the last line end. */
function toSample(bytes: Uint8Array): Uint8Array {
  if (bytes.length <= SAMPLE_BYTES) return bytes;
  const sample = bytes.subarray(0, SAMPLE_BYTES);
  const lineEnd = sample.lastIndexOf(0x0a);
  return lineEnd > SAMPLE_BYTES / 2 ? sample.subarray(0, lineEnd + 1) : sample;
}

/** Half-width katakana are single bytes, which Cyrillic text in KOI8 is full of; Japanese text has few. */
function isMostlyHalfWidth(sample: Uint8Array, encoding: string): boolean {
  if (encoding !== 'shift_jis') return false;
  const { text } = decodeAs(sample, encoding);
  const narrow = text.match(/[\uff61-\uff9f]/g)?.length ?? 0;
  return narrow * 3 > (text.match(/[\u0080-\uffff]/g)?.length ?? 0);
}

/** ISO 8859's control characters C1 stand in no text: the bytes are those of the Windows code page that contains it. */
function toWindows(encoding: string, sample: Uint8Array): string {
  const windows: Readonly<Record<string, string>> = {
    'iso-8859-1': 'windows-1252',
    'iso-8859-2': 'windows-1250',
    'iso-8859-7': 'windows-1253',
    'iso-8859-8': 'windows-1255',
    'iso-8859-9': 'windows-1254',
  };
  const other = windows[encoding];
  return other !== undefined && sample.some((byte) => byte >= 0x80 && byte < 0xa0) ? other : encoding;
}

function isMostlyUtf8(sample: Uint8Array): boolean {
  let highs = 0;
  for (const byte of sample) if (byte >= 0x80) highs += 1;
  const { text } = decodeAs(sample, 'utf-8');
  const broken = text.split('\ufffd').length - 1;
  return highs >= 40 && broken * 20 <= highs;
}
