import { expect, test } from 'bun:test';
import { createPublishedTerms } from '../../src/vector/sqlite/published-terms.ts';
import { openIndexDatabase } from '../../src/vector/sqlite/schema.ts';
import { decodeTerms } from '../../src/vector/terms.ts';
import { publish, toChunk } from '../contract/vector-index-fixture.ts';
import { makeIndexDirectory } from './index-directory.ts';

const SCOPE = { tenant: 't', store: 's' };
const FILES = 10;
const CHUNKS = 300;
/** Neither a part of what a file has nor of what is written at once. */
const WINDOW_CHUNKS = 70;

test('words are whole where a segment has more chunks than are put together at once, in whatever order files are asked for', async () => {
  const directory = await makeIndexDirectory();
  try {
    const index = await directory.open();
    const toWords = (file: number, position: number): string =>
      `all f${file} p${position} ${position % 3 === 0 ? 'third third' : 'rest'}`;
    for (let file = 0; file < FILES; file += 1) {
      const chunks = Array.from({ length: CHUNKS }, (_, at) => toChunk(at, toWords(file, at)));
      await publish(index, SCOPE, `file-${file}`, chunks);
    }
    const database = openIndexDatabase({ directory: directory.path, lockWaitMs: 5_000 });
    try {
      const find = database.query<{ id: number }, [string]>('SELECT id FROM versions WHERE file = ?');
      const readTerms = createPublishedTerms(database, WINDOW_CHUNKS);
      for (const file of [7, 0, 3, 9, 1]) {
        const version = find.get(`file-${file}`)?.id ?? 0;
        for (const [from, end] of [
          [0, 128],
          [128, 256],
          [256, CHUNKS],
          [69, 71],
        ] as const) {
          const terms = readTerms(version, from, end);
          expect(terms).toHaveLength(end - from);
          for (const [at, encoded] of terms.entries()) {
            const { length, counts } = decodeTerms(encoded);
            const words = [...counts].flatMap(([term, count]) => Array.from({ length: count }, () => term));
            expect([length, words]).toEqual([
              words.length,
              toWords(file, from + at)
                .split(' ')
                .sort(),
            ]);
          }
        }
      }
    } finally {
      database.close();
    }
  } finally {
    await directory.remove();
  }
});
