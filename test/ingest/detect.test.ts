import { describe, expect, test } from 'bun:test';
import { detectContainer, detectZipFormat } from '../../src/ingest/detect.ts';
import { DocumentError } from '../../src/ingest/document-reader.ts';

const toBytes = (content: string | Uint8Array): Uint8Array =>
  typeof content === 'string' ? new TextEncoder().encode(content) : content;
const latin1 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'latin1'));

function findRefusal(content: string | Uint8Array, name: string): DocumentError {
  try {
    detectContainer(toBytes(content), name);
  } catch (error) {
    if (error instanceof DocumentError) return error;
    throw error;
  }
  throw new Error(`${name} was not refused.`);
}

describe('the type of a file is told', () => {
  const cases: readonly (readonly [string, string | Uint8Array, string])[] = [
    ['report.txt', '%PDF-1.7\n…', 'pdf'],
    ['report.pdf', 'Plain words in a file that lies.\n', 'text'],
    ['noise.pdf', '\n\n  %PDF-1.4', 'pdf'],
    ['about.md', 'A PDF begins with %PDF-1.7 and ends with %%EOF.', 'markdown'],
    ['late.bin', latin1('\x00\x01\x02 %PDF-1.4\n\xe2\xe3\x01\x02'), 'pdf'],
    ['archive', latin1('PK\x03\x04rest'), 'zip'],
    ['letter.doc', '{\\rtf1\\ansi Hello}', 'rtf'],
    ['page', '<!DOCTYPE html><html><body>Hi</body></html>', 'html'],
    ['page.txt', '<!-- one --> <!-- two -->\n<html lang="en"><p>Hi</p>', 'html'],
    ['page.htm', '<p>Only a part</p>', 'html'],
    ['page.xhtml', '<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><body/></html>', 'html'],
    ['data', '<?xml version="1.0"?><root>x</root>', 'xml'],
    ['feed.rss', '<rss version="2.0"></rss>', 'xml'],
    ['data.json', '{"a": 1}', 'json'],
    ['data', '{"a": 1}', 'json'],
    ['lines.json', '{"a": 1}\n{"a": 2}\n', 'jsonl'],
    ['lines', '{"a": 1}\n{"a": 2}\n', 'jsonl'],
    ['lines.ndjson', '{"a": 1}\n', 'jsonl'],
    ['mail.eml', 'From: a@b.example\nTo: c@d.example\n\nHi', 'eml'],
    ['mail', 'From: a@b.example\nTo: c@d.example\nDate: Mon, 1 Jan 2024 00:00:00 +0000\n\nHi', 'eml'],
    ['notes.txt', 'From: here\nto eternity: a novel.\n', 'text'],
    ['notes.md', '# Title\n', 'markdown'],
    ['table.csv', 'a,b\n1,2\n', 'csv'],
    ['table.tsv', 'a\tb\n1\t2\n', 'csv'],
    ['main.rs', 'fn main() {}\n', 'code'],
    ['index.html.erb', '<p>x</p>', 'text'],
    ['page.php', '<html><?php echo 1; ?></html>', 'code'],
    ['log.txt', '[2024-01-01] started\n', 'text'],
    ['utf16.txt', Uint8Array.from([0xff, 0xfe, 0x41, 0, 0x42, 0]), 'text'],
    ['utf16.txt', Uint8Array.from([0x41, 0, 0x42, 0, 0x43, 0, 0x0a, 0]), 'text'],
    ['ansi.log', latin1('\x1b[31mred\x1b[0m\n'), 'text'],
    ['latin.txt', latin1('Gr\xfc\xdfe aus M\xfcnchen'), 'text'],
    ['gif.txt', 'GIF89a is how pictures begin.\n', 'text'],
    ['mz.txt', 'MZ is how the name begins.\n', 'text'],
  ];
  test.each(cases)('%s with %p is %s', (name, content, expected) => {
    expect(detectContainer(toBytes(content), name)).toBe(expected as never);
  });
});

describe('what cannot be read is refused with the reason', () => {
  const cases: readonly (readonly [string, string | Uint8Array, string, RegExp])[] = [
    ['empty.txt', '', 'invalid_file', /is empty/],
    ['photo.txt', latin1('\x89PNG\r\n\x1a\n\0\0\0'), 'unsupported_file', /picture \(PNG\)/],
    ['photo.pdf', latin1('\xff\xd8\xff\xe0\0\x10JFIF'), 'unsupported_file', /picture \(JPEG\)/],
    ['moving.gif', latin1('GIF89a\x01\0\x01\0\x80\0\0\0\0\0'), 'unsupported_file', /picture \(GIF\)/],
    ['page.ps', '%!PS-Adobe-3.0\n', 'unsupported_file', /PostScript/],
    ['a.gz', latin1('\x1f\x8b\x08\0\0\0\0\0'), 'unsupported_file', /archive \(gzip\)/],
    ['program', latin1('\x7fELF\x02\x01\x01\0\0\0\0\0\0'), 'unsupported_file', /is a program/],
    ['app.exe', latin1('MZ\x90\0\x03\0\0\0\x04\0\0\0\xff\xff\0\0'), 'unsupported_file', /is a program/],
    ['clip.mp4', latin1('\0\0\0\x20ftypisom\0\0\x02\0'), 'unsupported_file', /video or sound/],
    [
      'noise.txt',
      Uint8Array.from({ length: 4096 }, (_, i) => (i * i * 31 + (i >> 3) * 17) & 0xff),
      'unsupported_file',
      /binary data/,
    ],
    ['zeros.txt', new Uint8Array(4096), 'unsupported_file', /binary data/],
  ];
  test.each(cases)('%s', (name, content, code, message) => {
    const refusal = findRefusal(content, name);
    expect(refusal.code).toBe(code as never);
    expect(refusal.message).toMatch(message);
  });

  const ole = (stream: string): Uint8Array =>
    new Uint8Array(
      Buffer.concat([
        Buffer.from('d0cf11e0a1b11ae1', 'hex'),
        Buffer.alloc(512),
        Buffer.from(stream, 'utf16le'),
      ]),
    );
  const olds: readonly (readonly [string, string, RegExp])[] = [
    ['WordDocument', 'unsupported_file', /old Word format.*save it as \.docx/],
    ['Workbook', 'unsupported_file', /old Excel format.*save it as \.xlsx/],
    ['PowerPoint Document', 'unsupported_file', /old PowerPoint format.*save it as \.pptx/],
    ['EncryptedPackage', 'invalid_file', /encrypted with a password/],
  ];
  test.each(olds)('the old Office format with %s', (stream, code, message) => {
    const refusal = findRefusal(ole(stream), 'old.doc');
    expect(refusal.code).toBe(code as never);
    expect(refusal.message).toMatch(message);
  });
});

describe('a ZIP archive is told by its parts', () => {
  const cases: readonly (readonly [string, readonly string[], string | null])[] = [
    ['docx', ['[Content_Types].xml', 'word/document.xml'], null],
    ['pptx', ['[Content_Types].xml', 'ppt/presentation.xml'], null],
    ['xlsx', ['[Content_Types].xml', 'xl/workbook.xml'], null],
    ['odt', ['mimetype', 'content.xml'], 'application/vnd.oasis.opendocument.text'],
    ['ods', ['mimetype', 'content.xml'], 'application/vnd.oasis.opendocument.spreadsheet'],
    ['odp', ['mimetype', 'content.xml'], 'application/vnd.oasis.opendocument.presentation'],
    ['epub', ['mimetype', 'META-INF/container.xml'], 'application/epub+zip'],
  ];
  test.each(cases)('%s', (format, names, type) => {
    expect(detectZipFormat(new Set(names), (name) => (name === 'mimetype' ? type : null))).toBe(
      format as never,
    );
  });

  test('any other archive is refused', () => {
    expect(() => detectZipFormat(new Set(['a.txt']), () => null)).toThrow(
      'The file is a ZIP archive; upload the files in it instead.',
    );
    expect(() => detectZipFormat(new Set(['[Content_Types].xml', 'xl/workbook.bin']), () => null)).toThrow(
      '.xlsb',
    );
    expect(() => detectZipFormat(new Set(['Index/Document.iwa']), () => null)).toThrow('iWork');
  });
});
