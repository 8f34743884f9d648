/** What a file is, by its content first and its name second. */

import { findWide } from './charset.ts';
import { DocumentError } from './document-reader.ts';

export const FORMATS = Object.freeze([
  'pdf',
  'docx',
  'pptx',
  'xlsx',
  'odt',
  'ods',
  'odp',
  'epub',
  'html',
  'xml',
  'json',
  'jsonl',
  'rtf',
  'eml',
  'markdown',
  'csv',
  'code',
  'text',
] as const);

export type Format = (typeof FORMATS)[number];

/** What the head of a file tells; which of the formats in a ZIP archive it is, only the whole file tells. */
export type Container = Exclude<Format, ZipFormat> | 'zip';
export type ZipFormat = 'docx' | 'pptx' | 'xlsx' | 'odt' | 'ods' | 'odp' | 'epub';

/** So much of the file's beginning is looked at. */
export const HEAD_BYTES = 64 * 1024;
/** Control characters, which no text holds, beyond this part make it no text. */
const CONTROLS_MAX = 0.01;
/** A PDF may have so much before its mark. */
const PDF_MARK_BYTES = 1024;

const MIB = 1024 * 1024;
/** Larger files are refused before they are read. Texts hold more words a byte, and none needs so many. */
export const FILE_BYTES_MAX: Readonly<Record<Container, number>> = Object.freeze({
  pdf: 512 * MIB,
  zip: 512 * MIB,
  html: 64 * MIB,
  xml: 64 * MIB,
  json: 64 * MIB,
  jsonl: 64 * MIB,
  rtf: 64 * MIB,
  eml: 64 * MIB,
  markdown: 64 * MIB,
  csv: 64 * MIB,
  code: 64 * MIB,
  text: 64 * MIB,
});

/** The beginning is enough. Throws `DocumentError` for what cannot be read. */
export function detectContainer(head: Uint8Array, name: string): Container {
  if (head.length === 0) throw new DocumentError('invalid_file', 'The file is empty.');
  const bytes = Buffer.from(head.buffer, head.byteOffset, head.length);
  if (isPdf(bytes, name)) return 'pdf';
  if (startsWith(bytes, 'PK\x03\x04') || startsWith(bytes, 'PK\x05\x06')) return 'zip';
  refuseKnownBinary(bytes);
  if (isTextual(bytes)) return detectText(toHeadText(bytes), toExtension(name));
  throw new DocumentError(
    'unsupported_file',
    'The file holds binary data of a kind that cannot be read as text.',
  );
}

const startsWith = (bytes: Buffer, mark: string, at = 0): boolean =>
  bytes.length >= at + mark.length && bytes.toString('latin1', at, at + mark.length) === mark;

/** The mark stands at the beginning, or behind what a mail or a web server left there; a text may speak of it, too. */
function isPdf(bytes: Buffer, name: string): boolean {
  const at = bytes.subarray(0, PDF_MARK_BYTES).indexOf('%PDF-');
  if (at < 0) return false;
  return bytes.toString('latin1', 0, at).trim() === '' || toExtension(name) === 'pdf' || !isTextual(bytes);
}

/** The last part of the name behind a dot, in lower case; empty without one. */
export function toExtension(name: string): string {
  return /\.([A-Za-z0-9_+-]{1,12})$/.exec(name)?.[1]?.toLowerCase() ?? '';
}

// ——— Binary formats that are known, and not read ———

const PICTURES: readonly Mark[] = [
  ['\x89PNG\r\n', 'PNG'],
  ['\xff\xd8\xff', 'JPEG'],
  ['GIF87a', 'GIF'],
  ['GIF89a', 'GIF'],
  ['II*\0', 'TIFF'],
  ['MM\0*', 'TIFF'],
  ['WEBP', 'WebP', 8],
  ['ftypheic', 'HEIC', 4],
  ['ftypavif', 'AVIF', 4],
  ['8BPS', 'Photoshop'],
];

const ARCHIVES: readonly Mark[] = [
  ['\x1f\x8b', 'gzip'],
  ['BZh', 'bzip2'],
  ['\xfd7zXZ\0', 'xz'],
  ['7z\xbc\xaf\x27\x1c', '7-Zip'],
  ['Rar!\x1a\x07', 'RAR'],
  ['\x28\xb5\x2f\xfd', 'Zstandard'],
  ['ustar', 'tar', 257],
];

const OTHERS: readonly Mark[] = [
  ['ftyp', 'a video or sound', 4],
  ['ID3', 'a sound'],
  ['OggS', 'a sound'],
  ['RIFF', 'a sound or video'],
  ['\x7fELF', 'a program'],
  ['MZ', 'a program'],
  ['SQLite format 3\0', 'an SQLite database'],
  ['%!PS-Adobe', 'PostScript'],
  ['\0asm', 'WebAssembly'],
];

type Mark = readonly [mark: string, kind: string, at?: number];

function refuseKnownBinary(bytes: Buffer): void {
  const find = (marks: readonly Mark[]): string | undefined =>
    marks.find(([mark, , at]) => startsWith(bytes, mark, at) && !isWord(mark, bytes))?.[1];
  const picture = find(PICTURES);
  if (picture !== undefined) {
    throw new DocumentError(
      'unsupported_file',
      `The file is a picture (${picture}); it holds no text that can be read.`,
    );
  }
  if (startsWith(bytes, '\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1')) throw toOleError(bytes);
  const archive = find(ARCHIVES);
  if (archive !== undefined) {
    throw new DocumentError(
      'unsupported_file',
      `The file is an archive (${archive}); upload the files in it instead.`,
    );
  }
  const other = find(OTHERS);
  if (other !== undefined) {
    throw new DocumentError('unsupported_file', `The file is ${other}, which cannot be read as text.`);
  }
}

/** Some marks are letters only, which a text may begin with; PostScript is one itself. */
const isWord = (mark: string, bytes: Buffer): boolean => /^[\w !]+$/.test(mark) && isTextual(bytes);

/** Names of streams are UTF-16 in the directory, which may lie anywhere: the beginning tells it for most files only. */
function toOleError(bytes: Buffer): DocumentError {
  const has = (name: string): boolean => bytes.includes(Buffer.from(name, 'utf16le'));
  if (has('EncryptedPackage')) {
    return new DocumentError('invalid_file', 'The document is encrypted with a password.');
  }
  const advice = has('WordDocument')
    ? ['Word', 'save it as .docx']
    : has('Workbook')
      ? ['Excel', 'save it as .xlsx']
      : has('PowerPoint Document')
        ? ['PowerPoint', 'save it as .pptx']
        : ['Office', 'save it as .docx, .xlsx or .pptx'];
  return new DocumentError(
    'unsupported_file',
    `The file is in the old ${advice[0]} format, or a message of Outlook, which cannot be read: ${advice[1]}.`,
  );
}

// ——— Text ———

/** Whether the bytes are text in some encoding: almost without control characters, or UTF-16. */
function isTextual(bytes: Buffer): boolean {
  if (startsWith(bytes, '\xff\xfe') || startsWith(bytes, '\xfe\xff')) return true;
  let controls = 0;
  for (const byte of bytes) {
    if (
      (byte < 0x20 && byte !== 9 && byte !== 10 && byte !== 12 && byte !== 13 && byte !== 0x1b) ||
      byte === 0x7f
    ) {
      controls += 1;
    }
  }
  return controls / bytes.length <= CONTROLS_MAX || findWide(bytes) !== null;
}

function toHeadText(bytes: Buffer): string {
  if (startsWith(bytes, '\xff\xfe')) return new TextDecoder('utf-16le').decode(bytes);
  if (startsWith(bytes, '\xfe\xff')) return new TextDecoder('utf-16be').decode(bytes);
  return bytes
    .toString('latin1')
    .replaceAll('\0', '')
    .replace(/^\xef\xbb\xbf/, '');
}

const CODE_EXTENSIONS = new Set(
  (
    'asm astro awk bash bat c cc cfg cjs clj cljs cmake cmd conf cpp cr cs css cts cu cxx d dart diff dockerfile ' +
    'eex elm env erl ex exs f90 fish fs fsx gd glsl go gradle graphql groovy h hh hpp hrl hs hxx ini ipynb java jl js ' +
    'jsx kt kts less lisp lua m make mak mjs ml mli mm mts nim nix pas patch php pl pm proto ps1 py pyi pyx r rb ' +
    'rkt rs sass scala scm scss sh sol sql st sv svelte swift tcl tf tfvars toml ts tsx v vb vhd vue wgsl yaml yml ' +
    'zig zsh'
  ).split(' '),
);

function detectText(head: string, extension: string): Exclude<Container, 'pdf' | 'zip'> {
  const start = head.trimStart();
  if (start.startsWith('{\\rtf')) return 'rtf';
  if (CODE_EXTENSIONS.has(extension)) return 'code';
  if (/^<(?:!doctype\s+html|html|head|body)\b/i.test(skipComments(start))) return 'html';
  if (/^<\?xml\s/i.test(start)) return /<html[\s>]/i.test(start.slice(0, 2000)) ? 'html' : 'xml';
  if (extension === 'eml' || extension === 'mht' || extension === 'mhtml' || isMail(start)) return 'eml';
  if (/^(?:md|markdown|mdown|mkd|mdx|qmd|rmd)$/.test(extension)) return 'markdown';
  if (/^(?:html?|xhtml)$/.test(extension) && start.includes('<')) return 'html';
  if (/^(?:xml|xsd|xsl|xslt|rss|atom|svg|opml|dita|docbook|tei|kml|gpx|plist|wsdl)$/.test(extension)) {
    return start.startsWith('<') ? 'xml' : 'text';
  }
  if (/^(?:jsonl|ndjson)$/.test(extension)) return 'jsonl';
  if (extension === 'json' || extension === 'geojson') return isJsonLines(start) ? 'jsonl' : 'json';
  if (/^(?:csv|tsv|tab)$/.test(extension)) return 'csv';
  return extension === '' || extension === 'pdf' ? detectBare(start) : 'text';
}

function skipComments(start: string): string {
  let rest = start;
  while (rest.startsWith('<!--')) {
    const end = rest.indexOf('-->');
    if (end < 0) return '';
    rest = rest.slice(end + 3).trimStart();
  }
  return rest;
}

/** Text whose name says nothing, or lies. */
function detectBare(start: string): 'html' | 'xml' | 'json' | 'jsonl' | 'text' {
  if (/^[[{]/.test(start)) {
    if (isJsonLines(start)) return 'jsonl';
    if (/^(?:\{\s*"[^"]*"\s*:|\[\s*[[{"\d])/.test(start)) return 'json';
  }
  return 'text';
}

/** Whether the first lines are JSON values, each alone on its line. */
function isJsonLines(start: string): boolean {
  const lines = start.split(/\r?\n/, 3).filter((line) => line.trim() !== '');
  return lines.length >= 2 && lines.slice(0, 2).every((line) => /^\s*\{.*\}\s*$/.test(line));
}

const MAIL_FIELD =
  /^(?:from|to|subject|date|message-id|received|return-path|mime-version|delivered-to|content-type):/gim;

/** Whether it begins with the fields of a message: at least three that every message has, and nothing else. */
function isMail(start: string): boolean {
  const fields = start.split(/\r?\n\r?\n/, 1)[0] ?? '';
  if (!/^[\w-]{2,40}:[ \t]/.test(fields)) return false;
  const names = new Set(Array.from(fields.matchAll(MAIL_FIELD), ([name]) => name.toLowerCase()));
  return (
    names.size >= 3 &&
    (names.has('from:') || names.has('received:')) &&
    (names.has('message-id:') || names.has('date:'))
  );
}

// ——— ZIP archives ———

/** By the names of the parts; `readPart` reads a small part as text, or null. Throws `DocumentError`. */
export function detectZipFormat(
  names: ReadonlySet<string>,
  readPart: (name: string) => string | null,
): ZipFormat {
  const type = readPart('mimetype')?.trim();
  if (type === 'application/epub+zip') return 'epub';
  if (type?.startsWith('application/vnd.oasis.opendocument.text')) return 'odt';
  if (type?.startsWith('application/vnd.oasis.opendocument.spreadsheet')) return 'ods';
  if (type?.startsWith('application/vnd.oasis.opendocument.presentation')) return 'odp';
  const has = (pattern: RegExp): boolean => [...names].some((name) => pattern.test(name));
  if (names.has('[Content_Types].xml')) {
    if (has(/^word\/document\d*\.xml$/i)) return 'docx';
    if (has(/^ppt\/presentation\d*\.xml$/i)) return 'pptx';
    if (has(/^xl\/workbook\d*\.xml$/i)) return 'xlsx';
    if (has(/^xl\/workbook\.bin$/i)) {
      throw new DocumentError(
        'unsupported_file',
        'The file is a binary workbook (.xlsb), which cannot be read: save it as .xlsx.',
      );
    }
  }
  if (names.has('META-INF/container.xml')) return 'epub';
  if (has(/\.(?:pages|numbers|key|iwa)$/i)) {
    throw new DocumentError(
      'unsupported_file',
      "The file is a document of Apple's iWork, which cannot be read: export it as PDF.",
    );
  }
  throw new DocumentError('unsupported_file', 'The file is a ZIP archive; upload the files in it instead.');
}
