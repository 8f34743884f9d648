/** Workbooks: a sheet's name is a heading, a row is a line with the names of its columns, values are written as shown. */

import { DocumentError } from '../document-reader.ts';
import { createTextBuilder, type ReadText, TEXT_LENGTH_MAX, type TextBuilder } from '../read-text.ts';
import { createNamedRows } from './named-rows.ts';
import { createNumberFormats, type NumberFormats } from './number-formats.ts';
import { findMainPart, readOfficeTitle, readRelations } from './office-parts.ts';
import { CELLS_MAX } from './tables.ts';
import { type Attributes, readXml, readXmlText, type XmlHandler } from './xml-events.ts';
import type { Zip } from './zip.ts';

const SHEETS_MAX = 1000;
/** Excel's own limits leave room for more than memory has. */
const SHARED_STRINGS_MAX = 5_000_000;

interface Sheet {
  readonly name: string;
  readonly part: string;
}

export async function readXlsx(zip: Zip): Promise<ReadText> {
  const main = findMainPart(zip, 'xl/workbook.xml');
  const relations = readRelations(zip, main);
  const { sheets, is1904 } = await readWorkbook(
    zip,
    main,
    new Map(relations.map(({ id, target }) => [id, target])),
  );
  const findPart = (kind: string): string =>
    relations.find((relation) => relation.kind === kind)?.target ?? '';
  const strings = await readSharedStrings(zip, findPart('sharedStrings'));
  const formats = readFormats(zip.readSmall(findPart('styles')), is1904);
  const builder = createTextBuilder();
  for (const { name, part } of sheets) {
    if (!zip.has(part)) continue;
    builder.heading(1, name);
    await readXml(zip.readText(part), createSheet(builder, strings, formats));
    builder.endParagraph();
  }
  return builder.finish(readOfficeTitle(zip));
}

async function readWorkbook(
  zip: Zip,
  main: string,
  targets: ReadonlyMap<string, string>,
): Promise<{ sheets: Sheet[]; is1904: boolean }> {
  const sheets: Sheet[] = [];
  let is1904 = false;
  await readXml(zip.readText(main), {
    open(name, attributes) {
      if (name === 'workbookPr') is1904 = /^(?:1|true)$/.test(attributes.date1904 ?? '');
      if (name !== 'sheet' || sheets.length >= SHEETS_MAX) return;
      sheets.push({ name: attributes.name ?? '', part: targets.get(attributes['r:id'] ?? '') ?? '' });
    },
  });
  return { sheets, is1904 };
}

/** Texts that cells point to. Readings for Japanese (`rPh`) are not part of the text. */
async function readSharedStrings(zip: Zip, part: string): Promise<string[]> {
  const strings: string[] = [];
  let text = '';
  let isText = false;
  let inReading = false;
  let total = 0;
  await readXml(zip.readText(part), {
    open(name) {
      if (name === 'si') text = '';
      else if (name === 't') isText = !inReading;
      else if (name === 'rPh') inReading = true;
    },
    close(name) {
      if (name === 't') isText = false;
      else if (name === 'rPh') inReading = false;
      else if (name === 'si') {
        total += text.length;
        if (strings.length >= SHARED_STRINGS_MAX || total > TEXT_LENGTH_MAX) {
          throw new DocumentError(
            'invalid_file',
            `The workbook holds more than ${SHARED_STRINGS_MAX} texts or ${TEXT_LENGTH_MAX} characters.`,
          );
        }
        strings.push(text);
      }
    },
    text(value) {
      if (isText) text += value;
    },
  });
  return strings;
}

function readFormats(xml: string | null, is1904: boolean): NumberFormats {
  const codes = new Map<number, string>();
  const cellFormats: number[] = [];
  let inCellFormats = false;
  if (xml !== null) {
    readXmlText(xml, {
      open(name, attributes) {
        if (name === 'numFmt') codes.set(Number(attributes.numFmtId), attributes.formatCode ?? '');
        else if (name === 'cellXfs') inCellFormats = true;
        else if (name === 'xf' && inCellFormats) cellFormats.push(Number(attributes.numFmtId ?? 0));
      },
      close(name) {
        if (name === 'cellXfs') inCellFormats = false;
      },
    });
  }
  return createNumberFormats(codes, cellFormats, is1904);
}

function createSheet(builder: TextBuilder, strings: readonly string[], formats: NumberFormats): XmlHandler {
  const rows = createNamedRows(builder);
  let row: string[] = [];
  let cell: Attributes = {};
  let value = '';
  let isValue = false;
  let inReading = false;
  let column = 0;

  const closeCell = (): void => {
    column = toColumn(cell.r) ?? column + 1;
    const text = toCellText(cell, value, strings, formats);
    if (text === '' || column > CELLS_MAX) return;
    while (row.length < column - 1) row.push('');
    row[column - 1] = text;
  };
  return {
    open(name, attributes) {
      if (name === 'row') {
        row = [];
        column = 0;
      } else if (name === 'c') {
        cell = attributes;
        value = '';
      } else if (name === 'v' || name === 't') isValue = !inReading;
      else if (name === 'rPh') inReading = true;
    },
    close(name) {
      if (name === 'v' || name === 't') isValue = false;
      else if (name === 'rPh') inReading = false;
      else if (name === 'c') closeCell();
      else if (name === 'row') rows.add(row);
      else if (name === 'sheetData') rows.end();
    },
    text(text) {
      if (isValue) value += text;
    },
  };
}

/** `AB12` is column 28. */
function toColumn(reference: string | undefined): number | null {
  const letters = /^([A-Z]{1,3})\d/.exec(reference ?? '')?.[1];
  if (letters === undefined) return null;
  let column = 0;
  for (const letter of letters) column = column * 26 + letter.charCodeAt(0) - 64;
  return column;
}

function toCellText(
  cell: Attributes,
  value: string,
  strings: readonly string[],
  formats: NumberFormats,
): string {
  switch (cell.t) {
    case 's':
      return strings[Number(value)] ?? '';
    case 'b':
      return value === '1' ? 'TRUE' : 'FALSE';
    case 'str':
    case 'inlineStr':
    case 'e':
    case 'd':
      return value;
    default:
      return value === '' ? '' : formats.show(Number(value), Number(cell.s ?? 0), value);
  }
}
