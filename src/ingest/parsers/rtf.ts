/** Rich text: the text with its code pages, Unicode escapes, rows of tables, headings by style. */

import { toEncoding } from '../charset.ts';
import { DocumentError } from '../document-reader.ts';
import { createTextBuilder, type ReadText, type TextBuilder } from '../read-text.ts';
import { CELLS_MAX, writeRow } from './tables.ts';

const DEPTH_MAX = 1000;
/** Fonts and styles that are remembered. */
const TABLE_ENTRIES_MAX = 10_000;
const WORD_LENGTH_MAX = 32;

interface State {
  /** What the text goes to: the document, nowhere, or one of the tables at its beginning. */
  destination: 'text' | 'skip' | 'fonts' | 'styles' | 'title';
  /** Characters of a fallback that follow an escape. */
  fallbackLength: number;
  charset: string;
  isHidden: boolean;
  /** Whether `\*` stood before: what is not known is left out. */
  isOptional: boolean;
}

interface Reading {
  readonly builder: TextBuilder;
  readonly fonts: Map<number, string>;
  readonly styleLevels: Map<number, number>;
  charset: string;
  title: string;
  /** The font or style that is being described. */
  entry: number;
  entryName: string;
  paragraph: string;
  level: number | null;
  isInTable: boolean;
  cells: string[];
  isFirstRow: boolean;
  skipChars: number;
}

const SKIPPED = new Set(
  (
    'colortbl pict object themedata datastore colorschememapping latentstyles listtable listoverridetable rsidtbl ' +
    'generator fldinst header headerl headerr headerf footer footerl footerr footerf xmlnstbl filetbl revtbl ' +
    'bkmkstart bkmkend datafield operator author company keywords comment subject category manager doccomm ' +
    'hlinkbase creatim revtim printim buptim userprops objdata shppict nonshppict pgptbl mmathPr wgrffmtfilter'
  ).split(' '),
);
/** Optional destinations that hold text of the document. */
const SHOWN = new Set(['shptxt', 'shpinst', 'ud', 'footnote', 'fldrslt']);

const SIGNS: Readonly<Record<string, string>> = {
  tab: '\t',
  line: '\n',
  lquote: '\u2018',
  rquote: '\u2019',
  ldblquote: '\u201c',
  rdblquote: '\u201d',
  bullet: '\u2022',
  endash: '\u2013',
  emdash: '\u2014',
  enspace: '\u2002',
  emspace: '\u2003',
  '~': '\u00a0',
  _: '\u2011',
};

/** Numbers of `\fcharset`. */
const FONT_CHARSETS: Readonly<Record<number, string>> = {
  0: 'windows-1252',
  77: 'macintosh',
  128: 'shift_jis',
  129: 'euc-kr',
  134: 'gbk',
  136: 'big5',
  161: 'windows-1253',
  162: 'windows-1254',
  163: 'windows-1258',
  177: 'windows-1255',
  178: 'windows-1256',
  186: 'windows-1257',
  204: 'windows-1251',
  222: 'windows-874',
  238: 'windows-1250',
};

export function readRtf(bytes: Uint8Array): ReadText {
  const source = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
  const reading = createReading();
  let state = createState();
  const stack: State[] = [];
  /** Bytes of a code page that are not decoded yet. */
  let pending: number[] = [];

  const flush = (): void => {
    if (pending.length === 0) return;
    const text = new TextDecoder(state.charset as Bun.Encoding).decode(Uint8Array.from(pending));
    pending = [];
    putText(reading, state, text);
  };
  let at = source.indexOf('{\\rtf');
  while (at >= 0 && at < source.length) {
    const sign = source[at];
    if (sign === '{') {
      flush();
      if (stack.length >= DEPTH_MAX)
        throw new DocumentError('invalid_file', `The file's groups are nested more than ${DEPTH_MAX} deep.`);
      stack.push(state);
      state = { ...state, isOptional: false };
      at += 1;
    } else if (sign === '}') {
      flush();
      endEntry(reading, state);
      const outer = stack.pop();
      if (outer === undefined || stack.length === 0) break;
      state = outer;
      at += 1;
    } else if (sign === '\\') {
      const control = readControl(source, at);
      at = control.end;
      if (control.byte !== null) {
        if (reading.skipChars > 0) reading.skipChars -= 1;
        else pending.push(control.byte);
      } else {
        flush();
        if (control.word === 'bin') at += Math.max(0, control.value ?? 0);
        else apply(reading, state, control);
      }
    } else if (sign === '\r' || sign === '\n') at += 1;
    else {
      const end = findPlainEnd(source, at);
      for (; at < end; at += 1) {
        if (reading.skipChars > 0) reading.skipChars -= 1;
        else pending.push(source.charCodeAt(at));
      }
    }
  }
  flush();
  endParagraph(reading);
  reading.builder.endLine();
  return reading.builder.finish(reading.title);
}

function createState(): State {
  return {
    destination: 'text',
    fallbackLength: 1,
    charset: 'windows-1252',
    isHidden: false,
    isOptional: false,
  };
}

function createReading(): Reading {
  return {
    builder: createTextBuilder(),
    fonts: new Map(),
    styleLevels: new Map(),
    charset: 'windows-1252',
    title: '',
    entry: 0,
    entryName: '',
    paragraph: '',
    level: null,
    isInTable: false,
    cells: [],
    isFirstRow: true,
    skipChars: 0,
  };
}

function findPlainEnd(source: string, start: number): number {
  const next = /[\\{}\r\n]/g;
  next.lastIndex = start;
  return next.exec(source)?.index ?? source.length;
}

interface Control {
  readonly word: string;
  readonly value: number | null;
  /** Of `\'hh`. */
  readonly byte: number | null;
  readonly end: number;
}

function readControl(source: string, at: number): Control {
  const sign = source[at + 1] ?? '';
  if (sign === "'") {
    const byte = Number.parseInt(source.slice(at + 2, at + 4), 16);
    return { word: "'", value: null, byte: Number.isNaN(byte) ? null : byte, end: at + 4 };
  }
  const match = /([A-Za-z]{1,32})(-?\d{1,10})? ?/y;
  match.lastIndex = at + 1;
  const found = match.exec(source);
  if (found === null) {
    // An escaped sign is a byte of the text like any other.
    const isText = sign === '\\' || sign === '{' || sign === '}';
    return { word: sign, value: null, byte: isText ? sign.charCodeAt(0) : null, end: at + 2 };
  }
  const [whole, word = '', value] = found;
  return {
    word: word.slice(0, WORD_LENGTH_MAX),
    value: value === undefined ? null : Number(value),
    byte: null,
    end: at + 1 + whole.length,
  };
}

function apply(reading: Reading, state: State, { word, value }: Control): void {
  if (word === '*') state.isOptional = true;
  else if (word === 'u') putUnicode(reading, state, value ?? 0);
  else if (word === 'uc') state.fallbackLength = Math.min(64, Math.max(0, value ?? 1));
  else if (word === 'ansicpg') setCharset(reading, state, `windows-${value}`);
  else if (word === 'mac') setCharset(reading, state, 'macintosh');
  else if (word === 'fonttbl') state.destination = 'fonts';
  else if (word === 'stylesheet') state.destination = 'styles';
  else if (word === 'info') state.destination = 'skip';
  else if (word === 'title') state.destination = 'title';
  else if (SKIPPED.has(word) || (state.isOptional && !SHOWN.has(word) && state.destination === 'text')) {
    state.destination = 'skip';
  } else if (state.destination === 'fonts' || state.destination === 'styles')
    applyToEntry(reading, state, word, value);
  else applyToText(reading, state, word, value);
  if (word !== '*') state.isOptional = false;
}

function setCharset(reading: Reading, state: State, name: string): void {
  const charset = toEncoding(
    name
      .replace('windows-932', 'shift_jis')
      .replace('windows-936', 'gbk')
      .replace('windows-949', 'euc-kr')
      .replace('windows-950', 'big5')
      .replace('windows-65001', 'utf-8'),
  );
  if (charset === null) return;
  reading.charset = charset;
  state.charset = charset;
}

function applyToEntry(reading: Reading, state: State, word: string, value: number | null): void {
  if ((word === 'f' && state.destination === 'fonts') || (word === 's' && state.destination === 'styles')) {
    reading.entry = value ?? 0;
    reading.entryName = '';
  } else if (word === 'fcharset' && reading.fonts.size < TABLE_ENTRIES_MAX) {
    const charset = value === 0 ? reading.charset : (FONT_CHARSETS[value ?? 0] ?? reading.charset);
    reading.fonts.set(reading.entry, charset);
  } else if (word === 'outlinelevel' && value !== null && value < 9)
    reading.styleLevels.set(reading.entry, value + 1);
}

/** At the end of a style's group its name tells whether it is one of a heading. */
function endEntry(reading: Reading, state: State): void {
  if (state.destination !== 'styles') return;
  const level = /^heading (\d)/i.exec(reading.entryName.trim())?.[1];
  if (level !== undefined && reading.styleLevels.size < TABLE_ENTRIES_MAX) {
    reading.styleLevels.set(reading.entry, Number(level));
  }
  reading.entryName = '';
}

function applyToText(reading: Reading, state: State, word: string, value: number | null): void {
  const sign = SIGNS[word];
  if (sign !== undefined) putText(reading, state, sign);
  else if (word === 'par' || word === 'sect') {
    if (reading.isInTable) putText(reading, state, ' ');
    else endParagraph(reading);
  } else if (word === 'pard') {
    reading.isInTable = false;
    reading.level = null;
  } else if (word === 'plain') {
    state.isHidden = false;
    state.charset = reading.charset;
  } else if (word === 'intbl') reading.isInTable = true;
  else if (word === 'cell' || word === 'nestcell') {
    if (reading.cells.length < CELLS_MAX) reading.cells.push(reading.paragraph);
    reading.paragraph = '';
  } else if (word === 'row' || word === 'nestrow') endRow(reading);
  else if (word === 'f') state.charset = reading.fonts.get(value ?? 0) ?? reading.charset;
  else if (word === 'v') state.isHidden = value !== 0;
  else if (word === 's') reading.level = reading.styleLevels.get(value ?? 0) ?? null;
  else if (word === 'outlinelevel' && value !== null && value < 9) reading.level = value + 1;
  else if (word === 'page' && !reading.isInTable) endParagraph(reading);
  else if (word === 'footnote') putText(reading, state, ' ');
}

/** A number above 32767 is written as a negative one; the fallback behind it is left out. */
function putUnicode(reading: Reading, state: State, value: number): void {
  putText(reading, state, String.fromCharCode(value & 0xffff));
  reading.skipChars = state.fallbackLength;
}

function putText(reading: Reading, state: State, text: string): void {
  if (state.destination === 'text' && !state.isHidden) reading.paragraph += text;
  else if (state.destination === 'title') reading.title += text;
  else if (state.destination === 'styles' && reading.entryName.length < 100) reading.entryName += text;
}

function endRow(reading: Reading): void {
  if (writeRow(reading.builder, reading.cells) && reading.isFirstRow) reading.builder.joint();
  reading.isFirstRow = false;
  reading.cells = [];
  reading.paragraph = '';
}

function endParagraph(reading: Reading): void {
  const text = reading.paragraph.trim();
  reading.paragraph = '';
  reading.isFirstRow = true;
  if (text === '') return;
  if (reading.level !== null) reading.builder.heading(reading.level, text);
  else {
    reading.builder.endParagraph();
    reading.builder.write(text.toWellFormed());
    reading.builder.endParagraph();
  }
}
