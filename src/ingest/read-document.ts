/** From bytes to the text of a document, whatever its format. */

import { decodeText } from './charset.ts';
import {
  type Container,
  detectContainer,
  detectZipFormat,
  FILE_BYTES_MAX,
  HEAD_BYTES,
  toExtension,
} from './detect.ts';
import { DocumentError } from './document-reader.ts';
import { type ReadText, toReadText } from './read-text.ts';

/** The bytes of a document, as they are asked for. */
export interface Bytes {
  readonly name: string;
  readonly size: number;
  /** The next ones; null at the end. */
  next(): Promise<Uint8Array | null>;
}

const MIB = 1024 * 1024;

/** Throws `DocumentError`. What is too large for its type is refused before it is read. */
export async function readDocument(source: Bytes): Promise<ReadText> {
  const head = await readHead(source);
  const container = detectContainer(head.subarray(0, HEAD_BYTES), source.name);
  const bytesMax = FILE_BYTES_MAX[container];
  if (source.size > bytesMax) throw toTooLarge(container, bytesMax);
  const read = await parse(container, await readRest(source, head), source.name);
  if (read.text.trim() === '') throw new DocumentError('invalid_file', 'The file holds no text.');
  return read;
}

function toTooLarge(container: Container, bytesMax: number): DocumentError {
  const kind = container === 'zip' ? 'Documents' : container === 'pdf' ? 'PDF files' : 'Files of text';
  return new DocumentError('invalid_file', `${kind} of more than ${bytesMax / MIB} MiB are not read.`);
}

/** At least the first `HEAD_BYTES`, where there are so many. */
async function readHead(source: Bytes): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for (let length = 0; length < HEAD_BYTES; ) {
    const part = await source.next();
    if (part === null) break;
    parts.push(part);
    length += part.length;
  }
  return Buffer.concat(parts);
}

/** The whole, in memory of its own and in no `Buffer`: parsers hand it on as it is. Never in memory twice. */
async function readRest(source: Bytes, head: Uint8Array): Promise<Uint8Array> {
  const whole = new Uint8Array(source.size);
  let length = 0;
  for (let part: Uint8Array | null = head; part !== null; part = await source.next()) {
    if (length + part.length > source.size) throw toWrongSize(source.size, length + part.length);
    whole.set(part, length);
    length += part.length;
  }
  if (length !== source.size) throw toWrongSize(source.size, length);
  return whole;
}

function toWrongSize(expected: number, found: number): DocumentError {
  return new DocumentError('server_error', `The file should have ${expected} bytes, but ${found} came.`);
}

/** Parsers are loaded when a document of their kind is read. */
async function parse(container: Container, bytes: Uint8Array, name: string): Promise<ReadText> {
  switch (container) {
    case 'pdf':
      return await (await import('./parsers/pdf.ts')).readPdf(bytes);
    case 'zip':
      return await parseZip(bytes);
    case 'rtf':
      return (await import('./parsers/rtf.ts')).readRtf(bytes);
    case 'eml':
      return await (await import('./parsers/eml.ts')).readEml(bytes);
    default:
      return await parseText(container, decodeText(bytes).text, name);
  }
}

type TextContainer = Exclude<Container, 'pdf' | 'zip' | 'rtf' | 'eml'>;

async function parseText(container: TextContainer, text: string, name: string): Promise<ReadText> {
  switch (container) {
    case 'html':
      return (await import('./parsers/html.ts')).readHtml(text);
    case 'xml':
      return (await import('./parsers/xml.ts')).readPlainXml(text);
    case 'json':
      return (await import('./parsers/json.ts')).readJson(text);
    case 'markdown':
      return (await import('./parsers/markdown.ts')).readMarkdown(text);
    case 'csv':
      return (await import('./parsers/csv.ts')).readCsv(text, toExtension(name));
    case 'jsonl':
    case 'code':
    case 'text':
      return toReadText(text);
  }
}

async function parseZip(bytes: Uint8Array): Promise<ReadText> {
  const { openZip } = await import('./parsers/zip.ts');
  const zip = openZip(bytes);
  const format = detectZipFormat(zip.names, (part) => zip.readSmall(part));
  switch (format) {
    case 'docx':
      return await (await import('./parsers/docx.ts')).readDocx(zip);
    case 'pptx':
      return await (await import('./parsers/pptx.ts')).readPptx(zip);
    case 'xlsx':
      return await (await import('./parsers/xlsx.ts')).readXlsx(zip);
    case 'epub':
      return await (await import('./parsers/epub.ts')).readEpub(zip);
    default:
      return await (await import('./parsers/opendocument.ts')).readOpenDocument(zip, format);
  }
}
