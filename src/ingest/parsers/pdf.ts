/** PDF, page by page, by pdf.js. Nothing is drawn, fetched or evaluated. */

import type { getResolvedPDFJS } from 'unpdf';
import pdfJsPath from 'unpdf/pdfjs' with { type: 'file' };
import { DocumentError } from '../document-reader.ts';
import { createTextBuilder, type ReadText, type TextBuilder } from '../read-text.ts';
import { createCMapFactory } from './pdf-cmaps.ts';
import { CELL_MARK, findBodyHeight, type Line, writeLines } from './pdf-lines.ts';

export const PAGES_MAX = 20_000;
/** Pages that cannot be read, one after the other: behind them the document ends. */
const BROKEN_PAGES_MAX = 50;
/** The body's letters are measured on the first pages. */
const MEASURED_PAGES = 12;
const FIELDS_MAX = 5000;
/** Longer lines are none of a table of contents. */
const LEADERS_LENGTH_MAX = 1000;
/** A gap within a line that is wider than this, in heights, parts the cells of a table; justified text has none such. */
const CELL_GAP = 1.5;

type PdfJs = Awaited<ReturnType<typeof getResolvedPDFJS>>;
type PdfDocument = Awaited<ReturnType<PdfJs['getDocument']>['promise']>;

export async function readPdf(bytes: Uint8Array): Promise<ReadText> {
  const { getDocument }: PdfJs = await import(pdfJsPath);
  const task = getDocument({
    data: bytes,
    BinaryDataFactory: createCMapFactory(),
    cMapUrl: 'cmaps/',
    cMapPacked: true,
    useWorkerFetch: false,
    disableFontFace: true,
    useSystemFonts: false,
    isOffscreenCanvasSupported: false,
    isImageDecoderSupported: false,
    enableXfa: false,
    stopAtErrors: false,
    verbosity: 0,
  });
  try {
    const document = await task.promise;
    return await readDocument(document);
  } catch (error) {
    throw toPdfError(error);
  } finally {
    await task.destroy();
  }
}

function toPdfError(error: unknown): unknown {
  if (error instanceof DocumentError || !(error instanceof Error)) return error;
  if (error.name === 'PasswordException') {
    return new DocumentError('invalid_file', 'The PDF is encrypted with a password.', { cause: error });
  }
  return new DocumentError('invalid_file', 'The PDF is corrupt.', { cause: error });
}

async function readDocument(document: PdfDocument): Promise<ReadText> {
  if (document.numPages > PAGES_MAX) {
    throw new DocumentError(
      'invalid_file',
      `The PDF has ${document.numPages} pages, more than the ${PAGES_MAX} that can be read.`,
    );
  }
  const builder = createTextBuilder();
  const waiting: Line[][] = [];
  let bodyHeight: number | null = null;
  let page = 0;
  const flush = (): void => {
    bodyHeight ??= findBodyHeight(waiting.flat());
    for (const lines of waiting.splice(0)) {
      page += 1;
      builder.endParagraph();
      builder.page(page);
      writeLines(builder, lines, bodyHeight);
    }
  };
  let broken = 0;
  let lastFault: unknown;
  for (let number = 1; number <= document.numPages && broken < BROKEN_PAGES_MAX; number += 1) {
    try {
      waiting.push(await readPage(document, number));
      broken = 0;
    } catch (error) {
      if (error instanceof DocumentError) throw error;
      lastFault = error;
      broken += 1;
      waiting.push([]);
    }
    if (bodyHeight !== null || waiting.length >= MEASURED_PAGES) flush();
  }
  flush();
  await writeFields(document, builder);
  const read = builder.finish(await findTitle(document));
  if (read.text.trim() !== '') return read;
  if (lastFault !== undefined) throw lastFault;
  throw new DocumentError('invalid_file', 'The PDF has no text (a scan?): its pages hold only pictures.');
}

async function readPage(document: PdfDocument, number: number): Promise<Line[]> {
  const page = await document.getPage(number);
  const { items } = await page.getTextContent();
  const lines: Line[] = [];
  let text = '';
  let first: { x: number; y: number } | null = null;
  let right = 0;
  let height = 0;
  let isRow = false;
  const endLine = (): void => {
    if (first !== null && text.trim() !== '') {
      const shown = shortenLeaders(text.replaceAll('\0', ''));
      lines.push({ text: shown, y: first.y, left: first.x, right, height, isRow: isRow || shown !== text });
    }
    text = '';
    first = null;
    right = 0;
    height = 0;
    isRow = false;
  };
  for (const item of items) {
    if (!('str' in item)) continue;
    if (item.str.trim() !== '') {
      const [, , , , x = 0, y = 0] = item.transform as number[];
      first ??= { x, y };
      right = Math.max(right, x + item.width);
      height = Math.max(height, item.height);
      text += item.str;
    } else if (item.str !== '') {
      const isGap = first !== null && !item.hasEOL && item.width > CELL_GAP * height;
      isRow ||= isGap;
      text += isGap ? CELL_MARK : item.str;
    }
    if (item.hasEOL) endLine();
  }
  endLine();
  page.cleanup();
  return lines;
}

/** Rows of dots lead the eye to a page's number, and say nothing. */
function shortenLeaders(text: string): string {
  return text.length > LEADERS_LENGTH_MAX ? text : text.replace(/(?:[ \t]*\.){5,}[ \t]*/g, ' … ');
}

/** What was filled into a form. */
async function writeFields(document: PdfDocument, builder: TextBuilder): Promise<void> {
  const fields = (await document.getFieldObjects().catch(() => null)) as Record<
    string,
    readonly unknown[]
  > | null;
  if (fields === null) return;
  let count = 0;
  for (const [name, objects] of Object.entries(fields)) {
    const value = objects
      .map((object) => (object as { value?: unknown }).value)
      .find((one) => typeof one === 'string');
    if (typeof value !== 'string' || value.trim() === '' || value === 'Off') continue;
    count += 1;
    if (count > FIELDS_MAX) break;
    builder.endLine();
    builder.write(`${name}: ${value}\n`);
  }
}

/** Programs put the file's name there as well, which says no more than the name. */
async function findTitle(document: PdfDocument): Promise<string | null> {
  const metadata = await document.getMetadata().catch(() => null);
  const title = (metadata?.info as { Title?: unknown } | undefined)?.Title;
  if (
    typeof title !== 'string' ||
    /^(?:untitled|microsoft word|microsoft powerpoint|powerpoint)|\.\w{2,5}$/i.test(title.trim())
  ) {
    return null;
  }
  return title;
}
