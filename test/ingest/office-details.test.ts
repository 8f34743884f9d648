import { describe, expect, test } from 'bun:test';
import { createListNumbers, readNumbering } from '../../src/ingest/parsers/docx-numbering.ts';
import { readEpub } from '../../src/ingest/parsers/epub.ts';
import { createNumberFormats } from '../../src/ingest/parsers/number-formats.ts';
import { readOpenDocument } from '../../src/ingest/parsers/opendocument.ts';
import { readXlsx } from '../../src/ingest/parsers/xlsx.ts';
import { openZip } from '../../src/ingest/parsers/zip.ts';
import { makeZip } from './zip-maker.ts';

describe('numbers of a sheet are written as they are shown', () => {
  const cases: readonly (readonly [value: number, format: string, shown: string])[] = [
    [1234.5, 'General', '1234.5'],
    [0.1 + 0.2, 'General', '0.3'],
    [1e21, 'General', '1e+21'],
    [1234.567, '0.00', '1234.57'],
    [1234567.891, '#,##0.00', '1,234,567.89'],
    [0.256, '0%', '26%'],
    [0.256, '0.0%', '25.6%'],
    [19.9, '"€"#,##0.00', '€19.90'],
    [19.9, '#,##0.00 [$€-407]', '19.90 €'],
    [-5, '#,##0;(#,##0)', '(5)'],
    [-5, '0.0', '-5.0'],
    [1500000, '0.0,,"M"', '1.5M'],
    [7, '0 "km"', '7 km'],
    [0.5, '# ?/?', '0.5'],
    [45356, 'yyyy-mm-dd', '2024-03-05'],
    [45356.604166666664, 'dd/mm/yyyy hh:mm', '2024-03-05 14:30'],
    [0.5, 'h:mm AM/PM', '12:00'],
    [1.125, '[h]:mm', '27:00'],
    [45356, '[$-409]d\\-mmm\\-yy;@', '2024-03-05'],
    [45356, '[Red]0', '45356'],
  ];
  test.each(cases)('%p as %p: %p', (value, format, shown) => {
    const formats = createNumberFormats(new Map([[164, format]]), [164], false);
    expect(formats.show(value, 0, String(value))).toBe(shown);
  });

  test('dates of formats that the file does not spell out, and of both calendars', () => {
    expect(createNumberFormats(new Map(), [14], false).show(45356, 0, '')).toBe('2024-03-05');
    expect(createNumberFormats(new Map(), [22], true).show(45356 - 1462, 0, '')).toBe('2024-03-05 00:00');
    expect(createNumberFormats(new Map(), [14], false).show(Number.NaN, 0, 'raw')).toBe('raw');
    expect(createNumberFormats(new Map(), [14], false).show(1e9, 0, '')).toBe('1000000000');
  });
});

test('a workbook with texts in its cells, errors, gaps and a row that names nothing', async () => {
  const main = 'http://x/';
  const sheet =
    '<worksheet><sheetData><row><c r="A1" t="inlineStr"><is><t>Price list</t></is></c></row>' +
    '<row><c r="A3" t="inlineStr"><is><r><t>Na</t></r><r><t>me</t></r></is></c><c r="C3" t="inlineStr"><is><t>Price</t></is></c><c r="D3" t="str"><v>Sold</v></c></row>' +
    '<row><c r="A4" t="s"><v>0</v></c><c r="C4"><v>5</v></c><c r="D4" t="b"><v>1</v></c></row>' +
    '<row><c r="A5" t="s"><v>1</v></c><c r="C5" t="e"><v>#DIV/0!</v></c><c r="B5" t="s"><v>99</v></c></row></sheetData></worksheet>';
  const zip = openZip(
    makeZip([
      { name: '[Content_Types].xml', content: '<Types/>' },
      {
        name: 'xl/workbook.xml',
        content:
          '<workbook><sheets><sheet name="Prices &amp; more" r:id="r1"/><sheet name="Missing" r:id="r9"/></sheets></workbook>',
      },
      {
        name: 'xl/_rels/workbook.xml.rels',
        content: `<Relationships><Relationship Id="r1" Type="${main}worksheet" Target="worksheets/s.xml"/><Relationship Id="r2" Type="${main}sharedStrings" Target="/xl/strings.xml"/></Relationships>`,
      },
      { name: 'xl/worksheets/s.xml', content: sheet },
      {
        name: 'xl/strings.xml',
        content:
          '<sst><si><t>Rope</t><rPh><t>reading</t></rPh></si><si><t xml:space="preserve">Old sail</t></si></sst>',
      },
    ]),
  );
  expect((await readXlsx(zip)).text).toBe(
    'Prices & more\n\nPrice list\nName |  | Price | Sold\nName: Rope | Price: 5 | Sold: TRUE\nName: Old sail | Price: #DIV/0!\n\n',
  );
});

test('numbers of Word lists count by level, in every form, and start anew below another item', () => {
  const level = (i: number, format: string, pattern: string): string =>
    `<w:lvl w:ilvl="${i}"><w:start w:val="1"/><w:numFmt w:val="${format}"/><w:lvlText w:val="${pattern}"/></w:lvl>`;
  const numbers = createListNumbers(
    readNumbering(
      `<w:numbering><w:abstractNum w:abstractNumId="7">${level(0, 'decimal', '%1.')}${level(1, 'decimal', '%1.%2')}${level(2, 'lowerLetter', '%3)')}${level(3, 'upperRoman', '%4')}</w:abstractNum>` +
        '<w:abstractNum w:abstractNumId="8"><w:lvl w:ilvl="0"><w:numFmt w:val="bullet"/><w:lvlText w:val="x"/></w:lvl></w:abstractNum>' +
        '<w:num w:numId="1"><w:abstractNumId w:val="7"/></w:num><w:num w:numId="2"><w:abstractNumId w:val="8"/></w:num></w:numbering>',
    ),
  );
  const marks = [0, 0, 1, 1, 2, 2, 3, 3, 3, 3, 0, 1].map((at) => numbers.next('1', at).trim());
  expect(marks).toEqual(['1.', '2.', '2.1', '2.2', 'a)', 'b)', 'I', 'II', 'III', 'IV', '3.', '3.1']);
  expect(numbers.next('2', 0)).toBe('- ');
  expect(numbers.next('unknown', 1)).toBe('  - ');
});

test('a book whose chapters need a key, and an OpenDocument with a password, are refused', async () => {
  const book = openZip(
    makeZip([
      {
        name: 'META-INF/container.xml',
        content: '<container><rootfiles><rootfile full-path="OPS/book.opf"/></rootfiles></container>',
      },
      {
        name: 'OPS/book.opf',
        content:
          '<package><manifest><item id="a" href="a%20b.xhtml" media-type="application/xhtml+xml"/></manifest><spine><itemref idref="a"/></spine></package>',
      },
      { name: 'OPS/a b.xhtml', content: 'garbage' },
      {
        name: 'META-INF/encryption.xml',
        content:
          '<encryption><EncryptedData><CipherData><CipherReference URI="OPS/a%20b.xhtml"/></CipherData></EncryptedData></encryption>',
      },
    ]),
  );
  expect(readEpub(book)).rejects.toThrow('The book is encrypted (DRM).');
  const sheet = openZip(
    makeZip([
      {
        name: 'META-INF/manifest.xml',
        content: '<manifest><file-entry><encryption-data/></file-entry></manifest>',
      },
    ]),
  );
  expect(readOpenDocument(sheet, 'odt')).rejects.toThrow('The file is encrypted with a password.');
});
