/**
 * The small document (`small.json`) and how it is generated. Run as a program, this writes `expected/` anew:
 * read the difference before you keep it.
 */

import { join } from 'node:path';
import type { Correction } from '../../scripts/generate/corrections.ts';
import { type ApiDocument, parseDocument } from '../../scripts/generate/document.ts';
import { type Generated, generate } from '../../scripts/generate/generate.ts';
import type { Layout } from '../../scripts/generate/layout.ts';
import { writeFiles } from '../../scripts/generate/write.ts';
import smallJson from './small.json';

export const EXPECTED_FOLDER = join(import.meta.dir, 'expected');

export const LAYOUT: Layout = {
  operations: [
    { pattern: / \/shelves/, resource: 'shelves' },
    { pattern: / \/books/, resource: 'books' },
  ],
  files: [
    { file: 'labels', pattern: /^Labels$/ },
    { file: 'errors', pattern: /^LibraryError$/ },
    { file: 'shelves', pattern: /^(Shelf|Section)$/ },
    { file: 'books', pattern: /./ },
  ],
  roots: [],
};

export const CORRECTION: Correction = {
  at: '/components/schemas/CreateBookRequest/allOf/1/properties/lent/default',
  was: false,
  value: true,
  why: 'So that a correction can be seen.',
};

export const SMALL = parseDocument(JSON.stringify(smallJson), 'small.json');

export function generateLibrary(document: ApiDocument = SMALL, layout: Layout = LAYOUT): Promise<Generated> {
  return generate({
    document,
    layout,
    corrections: [CORRECTION],
    renamed: { Error: 'LibraryError' },
    schemasFolder: '../../../src/schemas',
  });
}

if (import.meta.main) {
  const { files } = await generateLibrary();
  console.log(await writeFiles(EXPECTED_FOLDER, files));
}
