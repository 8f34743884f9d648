import { afterAll, describe, expect, test } from 'bun:test';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { DocumentError } from '../../src/ingest/document-reader.ts';
import { ENTRIES_MAX } from '../../src/ingest/parsers/zip.ts';
import { createRandom } from './random-text.ts';
import { createTestReader, readAll, readToError, toSource } from './reading.ts';
import { makeZip, type ZipPart } from './zip-maker.ts';

const reader = createTestReader({ timeoutMs: 30_000 });
afterAll(() => reader.close());

const DOCUMENTS = join(import.meta.dir, 'documents');
const MIB = 1024 * 1024;
const CONTENT_TYPES: ZipPart = { name: '[Content_Types].xml', content: '<Types/>' };
const W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"';
const toDocx = (document: ZipPart): Uint8Array => makeZip([CONTENT_TYPES, document]);

describe('a hostile archive fails the file', () => {
  test('a part of zeros that unpacks to more than the bound', async () => {
    const bomb = toDocx({
      name: 'word/document.xml',
      content: new Uint8Array(520 * MIB),
      declaredBytes: 1000,
    });
    expect(bomb.length).toBeLessThan(MIB);
    const error = await readToError(reader, toSource('bomb.docx', bomb));
    expect(error).toMatchObject({ code: 'invalid_file' });
    expect(error.message).toMatch(
      /"word\/document\.xml" unpacks to more than can be read \(512 MiB a part, 1024 MiB in all\)/,
    );
  }, 30_000);

  test('a part that says it is 4 GB, at once', async () => {
    const bomb = toDocx({ name: 'word/document.xml', content: '<w/>', declaredBytes: 0xfffffff0 });
    expect((await readToError(reader, toSource('bomb.docx', bomb))).message).toContain(
      'unpacks to more than can be read',
    );
  });

  test('archives within the archive are not opened', async () => {
    const inner = makeZip([{ name: 'a', content: new Uint8Array(MIB) }]);
    const nested = makeZip([{ name: 'inner.zip', content: inner }]);
    expect(await readToError(reader, toSource('nested.zip', nested))).toMatchObject({
      code: 'unsupported_file',
    });
  });

  test('more parts than the bound', async () => {
    const parts = Array.from({ length: ENTRIES_MAX + 1 }, (_, i) => ({
      name: `p${i}`,
      content: '',
      isStored: true,
    }));
    expect((await readToError(reader, toSource('many.docx', makeZip(parts)))).message).toContain(
      `more than the ${ENTRIES_MAX}`,
    );
  });

  test('an encrypted part', async () => {
    const error = await readToError(
      reader,
      toSource('a.docx', toDocx({ name: 'word/document.xml', content: 'x', isEncrypted: true })),
    );
    expect(error).toMatchObject({ code: 'invalid_file', message: 'The file is encrypted with a password.' });
  });

  test('elements nested without end', async () => {
    const content = `<w:document ${W}>${'<w:p>'.repeat(200_000)}`;
    const error = await readToError(
      reader,
      toSource('deep.docx', toDocx({ name: 'word/document.xml', content })),
    );
    expect(error).toMatchObject({
      code: 'invalid_file',
      message: "The file's elements are nested more than 1000 deep.",
    });
  });

  test('entities that grow by ten at each step are not expanded', async () => {
    const entities = Array.from(
      { length: 9 },
      (_, i) => `<!ENTITY l${i + 1} "${`&l${i};`.repeat(10)}">`,
    ).join('');
    const content = `<?xml version="1.0"?><!DOCTYPE d [<!ENTITY l0 "ha">${entities}]><w:document ${W}><w:p><w:r><w:t>Words &l9;</w:t></w:r></w:p></w:document>`;
    const { text } = await readAll(
      reader,
      toSource('laughs.docx', toDocx({ name: 'word/document.xml', content })),
    );
    expect(text.length).toBeLessThan(1000);
  });

  test('a sheet whose rows and cells are declared by the million', async () => {
    const content =
      '<office:document-content xmlns:office="o" xmlns:table="t" xmlns:text="x"><table:table table:name="T">' +
      '<table:table-row table:number-rows-repeated="1048576"><table:table-cell table:number-columns-repeated="16384"><text:p>x</text:p></table:table-cell></table:table-row>' +
      '</table:table></office:document-content>';
    const sheet = makeZip([
      { name: 'mimetype', content: 'application/vnd.oasis.opendocument.spreadsheet', isStored: true },
      { name: 'content.xml', content },
    ]);
    const { text } = await readAll(reader, toSource('wide.ods', sheet));
    expect(text.length).toBeLessThan(2_000_000);
  });

  test('styles that are based on each other in a circle', async () => {
    const styles = `<w:styles ${W}><w:style w:styleId="A"><w:basedOn w:val="B"/></w:style><w:style w:styleId="B"><w:basedOn w:val="A"/></w:style></w:styles>`;
    const relations =
      '<Relationships><Relationship Id="r" Type="http://x/relationships/styles" Target="styles.xml"/></Relationships>';
    const content = `<w:document ${W}><w:p><w:pPr><w:pStyle w:val="A"/></w:pPr><w:r><w:t>Round and round</w:t></w:r></w:p></w:document>`;
    const bytes = makeZip([
      CONTENT_TYPES,
      { name: 'word/document.xml', content },
      { name: 'word/styles.xml', content: styles },
      { name: 'word/_rels/document.xml.rels', content: relations },
    ]);
    expect((await readAll(reader, toSource('a.docx', bytes))).text).toBe('Round and round\n\n');
  });
});

describe('a hostile PDF fails the file', () => {
  const toPdf = (objects: readonly string[]): Uint8Array =>
    new TextEncoder().encode(
      `%PDF-1.4\n${objects.map((object, i) => `${i + 1} 0 obj\n${object}\nendobj\n`).join('')}trailer\n<< /Root 1 0 R /Size ${objects.length + 1} >>\n%%EOF\n`,
    );

  test('a tree of pages that leads back to itself', async () => {
    const pdf = toPdf([
      '<< /Type /Catalog /Pages 2 0 R >>',
      '<< /Type /Pages /Kids [2 0 R 2 0 R] /Count 1000 >>',
    ]);
    expect(await readToError(reader, toSource('loop.pdf', pdf))).toMatchObject({ code: 'invalid_file' });
  });

  test('a tree that says it has a billion pages', async () => {
    const pdf = toPdf([
      '<< /Type /Catalog /Pages 2 0 R >>',
      '<< /Type /Pages /Kids [3 0 R] /Count 1000000000 >>',
      '<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] >>',
    ]);
    expect(await readToError(reader, toSource('many.pdf', pdf))).toMatchObject({ code: 'invalid_file' });
  });

  test('a mark and nothing else', async () => {
    expect(await readToError(reader, toSource('a.pdf', '%PDF-1.7\n'))).toMatchObject({
      code: 'invalid_file',
      message: 'The PDF is corrupt.',
    });
  });
});

describe('a hostile text', () => {
  test('of 500 MB in one line fails before more than its beginning is read', async () => {
    const PIECE = new Uint8Array(256 * 1024).fill(0x61);
    let pulled = 0;
    const bytes = new ReadableStream<Uint8Array>(
      {
        pull(controller) {
          pulled += PIECE.length;
          controller.enqueue(PIECE);
        },
      },
      { highWaterMark: 0 },
    );
    const error = await readToError(reader, { name: 'line.txt', size: 500 * MIB, bytes });
    expect(error).toMatchObject({
      code: 'invalid_file',
      message: 'Files of text of more than 64 MiB are not read.',
    });
    expect(pulled).toBeLessThanOrEqual(2 * PIECE.length);
  });

  test('of HTML nested without end', async () => {
    const error = await readToError(reader, toSource('deep.html', `<html>${'<div>'.repeat(100_000)}`));
    expect(error.message).toBe("The file's elements are nested more than 1000 deep.");
  });

  test('of a million open brackets is read', async () => {
    const { chunks } = await readAll(reader, toSource('deep.json', '['.repeat(1_000_000)));
    expect(chunks.length).toBeGreaterThan(10);
  }, 30_000);

  test('that ends before the size that was said is no file', async () => {
    const error = await readToError(reader, { ...toSource('a.txt', 'short'), size: 100 });
    expect(error).toMatchObject({ code: 'server_error' });
  });
});

describe('a damaged document is read or refused, and the process goes on', () => {
  const names = readdirSync(DOCUMENTS).filter((name) => !name.endsWith('.py'));
  const load = async (name: string): Promise<Uint8Array> => await Bun.file(join(DOCUMENTS, name)).bytes();
  const readOrRefuse = async (name: string, bytes: Uint8Array): Promise<void> => {
    try {
      await readAll(reader, toSource(name, bytes));
    } catch (error) {
      if (!(error instanceof DocumentError)) throw error;
      // The reader's own failure would be a crash over a document.
      expect({ name, code: error.code, message: error.message }).not.toMatchObject({ code: 'server_error' });
    }
  };

  test.each(names)(
    '%s cut off anywhere',
    async (name) => {
      const bytes = await load(name);
      for (const part of [0.01, 0.1, 0.35, 0.6, 0.9, 0.99]) {
        await readOrRefuse(name, bytes.slice(0, Math.ceil(bytes.length * part)));
      }
    },
    30_000,
  );

  test.each(names)(
    '%s with bytes changed at random',
    async (name) => {
      const bytes = await load(name);
      const random = createRandom(bytes.length);
      for (let round = 0; round < 12; round += 1) {
        const changed = bytes.slice();
        const changes = random.pick([1, 8, 100]);
        for (let i = 0; i < changes; i += 1) changed[random.next(changed.length)] = random.next(256);
        await readOrRefuse(name, changed);
      }
    },
    30_000,
  );
});
