/** The generator, on a small document of our own: `small.json`, and what becomes of it in `expected/`. */

import { describe, expect, test } from 'bun:test';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TSchema } from '@sinclair/typebox';
import { TypeCompiler } from '@sinclair/typebox/compiler';
import { correctDocument } from '../../scripts/generate/corrections.ts';
import { parseDocument } from '../../scripts/generate/document.ts';
import { writeFiles } from '../../scripts/generate/write.ts';
import { Book, CreateBookRequest, Found, Search } from './expected/books.ts';
import { OPERATIONS } from './expected/operations.ts';
import { Shelf } from './expected/shelves.ts';
import { CORRECTION, EXPECTED_FOLDER, generateLibrary, LAYOUT, SMALL } from './small-library.ts';

const { files, dropped } = await generateLibrary();

const BOOK = {
  id: 'b1',
  object: 'book',
  title: 'Middlemarch',
  description: null,
  subtitle: null,
  genre: 'novel',
  added_at: 1,
  labels: null,
  edition: { type: 'paper', pages: 880 },
};

function accepts(schema: TSchema, value: unknown): boolean {
  return TypeCompiler.Compile(schema).Check(value);
}

describe('the generator', () => {
  test('makes of the small document exactly the expected files', async () => {
    const expected = await readdir(EXPECTED_FOLDER);
    expect([...files.keys()]).toEqual(expected.toSorted());
    for (const [name, text] of files) expect(text).toBe(await Bun.file(join(EXPECTED_FOLDER, name)).text());
  });

  test('answers the same texts when it runs again', async () => {
    const again = await generateLibrary();
    expect([...again.files]).toEqual([...files]);
  });

  test('writes only what changed, and removes what it no longer makes', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'generate-'));
    try {
      expect(await writeFiles(folder, files)).toEqual([...files.keys()]);
      expect(await writeFiles(folder, files)).toEqual([]);
      await Bun.write(join(folder, 'gone.ts'), '');
      await Bun.write(join(folder, 'books.ts'), 'edited by hand');
      expect(await writeFiles(folder, files)).toEqual(['gone.ts', 'books.ts']);
      expect((await readdir(folder)).toSorted()).toEqual([...files.keys()]);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test('keeps none of the prose', () => {
    for (const text of files.values()) expect(text).not.toContain('must not be kept');
  });

  test('leaves out components that no chosen operation needs', () => {
    for (const text of files.values()) expect(text).not.toContain('Internal');
  });

  test('tells what the schemas cannot keep, and where it stood', () => {
    expect(Object.fromEntries(dropped)).toEqual({
      'format "unixtime"': ['Book.added_at'],
      'format "uri"': ['Book.homepage'],
      'propertyNames {"type":"string","maxLength":64}': ['Labels'],
      'rule between fields [{"required":["text"]},{"required":["author"]}]': ['Search'],
    });
  });

  test('refuses a correction that does not fit the document any more', () => {
    const stale = { ...CORRECTION, was: 'something else' };
    expect(() => correctDocument(SMALL, [stale], {})).toThrow('the document says false by now');
    const lost = { ...CORRECTION, at: '/components/schemas/Nothing/type' };
    expect(() => correctDocument(SMALL, [lost], {})).toThrow('no such place');
  });

  test('refuses files that would import each other', async () => {
    const files = [{ file: 'shelves', pattern: /^(Shelf|Labels)$/ }, ...LAYOUT.files];
    const cyclic = structuredClone(SMALL);
    const shelf = { $ref: '#/components/schemas/Shelf' };
    cyclic.components.schemas.Book = { type: 'object', properties: { shelf, labels: shelf } };
    cyclic.components.schemas.Shelf = { properties: { genre: { $ref: '#/components/schemas/Genre' } } };
    await expect(generateLibrary(cyclic, { ...LAYOUT, files })).rejects.toThrow('files import each other');
  });

  test('refuses components that refer to each other', async () => {
    const cyclic = structuredClone(SMALL);
    cyclic.components.schemas.Genre = { properties: { book: { $ref: '#/components/schemas/Book' } } };
    await expect(generateLibrary(cyclic)).rejects.toThrow('Book → Genre → Book');
  });

  test('drops a pattern that is no regular expression here, and says so', async () => {
    const odd = structuredClone(SMALL);
    odd.components.schemas.Genre = { type: 'string', pattern: '(?<=' };
    const generated = await generateLibrary(odd);
    expect(generated.files.get('books.ts')).toContain('export const Genre = Type.String();');
    expect(generated.dropped.get('pattern "(?<="')).toEqual(['Genre']);
  });

  test('refuses what is not an OpenAPI 3 document', () => {
    expect(() => parseDocument('{"swagger":"2.0"}', 'old.json')).toThrow(
      'old.json: not an OpenAPI 3 document',
    );
    expect(() => parseDocument('{"openapi":"3.1.0"}', 'thin.json')).toThrow("thin.json: 'info' is missing");
  });
});

describe('the generated schemas', () => {
  test('accept a null in each of the forms that the document has for it', () => {
    expect(accepts(Book, { ...BOOK, genre: null, isbn: null, rating: null })).toBeTrue();
    expect(accepts(Book, { ...BOOK, title: null })).toBeFalse();
  });

  test('hold required fields, literals, enumerations, patterns and bounds', () => {
    const { id: _, ...anonymous } = BOOK;
    expect(accepts(Book, anonymous)).toBeFalse();
    expect(accepts(Book, { ...BOOK, object: 'film' })).toBeFalse();
    expect(accepts(Book, { ...BOOK, genre: 'crime' })).toBeFalse();
    expect(accepts(Book, { ...BOOK, isbn: '978' })).toBeFalse();
    expect(accepts(Book, { ...BOOK, isbn: '9780141439549' })).toBeTrue();
    expect(accepts(Book, { ...BOOK, rating: 6 })).toBeFalse();
    expect(accepts(Book, { ...BOOK, edition: { type: 'audio', pages: 880 } })).toBeFalse();
  });

  test('hold every value of a map, whatever its key', () => {
    expect(accepts(Book, { ...BOOK, labels: { 'two\nlines': 'fine' } })).toBeTrue();
    expect(accepts(Book, { ...BOOK, labels: { 'two\nlines': 5 } })).toBeFalse();
    const many = Object.fromEntries(Array.from({ length: 17 }, (_, index) => [`key${index}`, '']));
    expect(accepts(Book, { ...BOOK, labels: many })).toBeFalse();
  });

  test('merge the parts of an object, the later part refining the earlier', () => {
    const body = { title: 'Emma', edition: { type: 'audio', minutes: 900 } };
    expect(accepts(CreateBookRequest, body)).toBeTrue();
    expect(accepts(CreateBookRequest, { ...body, title: '' })).toBeFalse();
    expect(accepts(CreateBookRequest, { ...body, authors: [] })).toBeFalse();
    expect(accepts(CreateBookRequest, { ...body, language: 'tlh' })).toBeTrue();
  });

  test('let unknown fields into requests, and keep responses closed that the document closes', () => {
    const body = { title: 'Emma', edition: { type: 'audio', minutes: 900, voice: 'new' }, novelty: 1 };
    expect(accepts(CreateBookRequest, body)).toBeTrue();
    expect(accepts(Found, { data: [] })).toBeTrue();
    expect(accepts(Found, { data: [], novelty: 1 })).toBeFalse();
  });

  test('keep an object of a request closed where nothing else tells the members of a union apart', () => {
    expect(accepts(Search, { range: { years: [1871] } })).toBeTrue();
    expect(accepts(Search, { range: { years: ['1871'] } })).toBeFalse();
  });

  test('follow a component into itself, by either kind of reference', () => {
    const is = { type: 'is', field: 'title', value: 'Emma' };
    expect(accepts(Search, { where: { type: 'all', of: [is, { type: 'all', of: [is] }] } })).toBeTrue();
    expect(accepts(Search, { where: { type: 'all', of: [is, { type: 'all', of: [{}] }] } })).toBeFalse();
    const leaf = { name: 'verse', sections: [] };
    expect(accepts(Shelf, { id: 's', sections: [{ name: 'poetry', sections: [leaf] }] })).toBeTrue();
    expect(accepts(Shelf, { id: 's', sections: [{ name: 'poetry', sections: [{}] }] })).toBeFalse();
  });

  test('hold fields that are not named to the schema that the document gives for them', () => {
    expect(accepts(Shelf, { id: 's', sections: [], colour: 'red' })).toBeTrue();
    expect(accepts(Shelf, { id: 's', sections: [], colour: 5 })).toBeFalse();
  });

  test('intersect what cannot be merged', () => {
    expect(accepts(Shelf, { id: 's', sections: [], placement: { floor: 2 } })).toBeTrue();
    expect(accepts(Shelf, { id: 's', sections: [], placement: { room: 'east' } })).toBeFalse();
  });
});

describe('the table of operations', () => {
  test('holds the chosen operations with their parameters', () => {
    expect(Object.keys(OPERATIONS)).toEqual([
      'getShelf',
      'listBooks',
      'createBook',
      'searchBooks',
      'uploadCover',
    ]);
    const [limit, order, genres] = OPERATIONS.listBooks.parameters;
    expect(limit).toMatchObject({ name: 'limit', in: 'query', required: false });
    expect(limit?.schema).toMatchObject({ type: 'integer', default: 20, minimum: 1, maximum: 100 });
    expect(order?.schema.default).toBe('desc');
    expect(genres?.name).toBe('genre[]');
    expect(genres !== undefined && accepts(genres.schema, ['novel'])).toBeTrue();
    expect(genres !== undefined && accepts(genres.schema, ['crime'])).toBeFalse();
  });

  test('refers to the schemas themselves, through references to responses too', () => {
    expect(OPERATIONS.createBook.request?.content['application/json']).toBe(CreateBookRequest);
    expect(OPERATIONS.getShelf.responses[200]?.['application/json']).toBe(Shelf);
    expect(OPERATIONS.listBooks.responses[429]?.['application/json']?.required).toEqual(['message']);
    expect(OPERATIONS.getShelf.request).toBeNull();
  });

  test('takes any value where a form has a file', () => {
    const cover = OPERATIONS.uploadCover.request?.content['multipart/form-data'];
    expect(cover !== undefined && accepts(cover, { image: new Blob(['x']), side: 'back' })).toBeTrue();
    expect(cover !== undefined && accepts(cover, { side: 'back' })).toBeFalse();
  });

  test('is frozen down to its schemas', () => {
    expect(Object.isFrozen(OPERATIONS)).toBeTrue();
    expect(Object.isFrozen(OPERATIONS.createBook)).toBeTrue();
    expect(Object.isFrozen(OPERATIONS.createBook.request?.content)).toBeTrue();
    expect(Object.isFrozen(OPERATIONS.listBooks.parameters[0])).toBeTrue();
  });
});
