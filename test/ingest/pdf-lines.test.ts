import { describe, expect, test } from 'bun:test';
import { findBodyHeight, type Line, writeLines } from '../../src/ingest/parsers/pdf-lines.ts';
import { createTextBuilder, type ReadText } from '../../src/ingest/read-text.ts';

interface Setting {
  readonly gap?: number;
  readonly height?: number;
  readonly right?: number;
  readonly left?: number;
  readonly isRow?: boolean;
}

/** Lines below each other; each full and 12 units below the one before, but for what is said. */
function setLines(...lines: readonly (readonly [text: string, setting?: Setting])[]): Line[] {
  let y = 800;
  return lines.map(([text, { gap = 12, height = 10, right = 500, left = 60, isRow = false } = {}]) => {
    y -= gap;
    return { text, y, left, right, height, isRow };
  });
}

function read(lines: readonly Line[]): ReadText {
  const builder = createTextBuilder();
  writeLines(builder, lines, findBodyHeight(lines));
  return builder.finish();
}

describe('lines of a page', () => {
  test('are put together to sentences, words parted at the end of a line too', () => {
    const lines = setLines(
      ['The law of the sea is a body of customs, trea-'],
      ['ties, and agreements by which govern\u00ad'],
      ['ments keep order on the sea, in the North-'],
      ['South passage as well.', { right: 200 }],
      ['It is old.', { right: 150 }],
    );
    expect(read(lines).text).toBe(
      'The law of the sea is a body of customs, treaties, and agreements by which governments keep order on the sea, in the North- South passage as well.\nIt is old.\n\n',
    );
  });

  test('that are set widely are one paragraph, those that stand apart are two', () => {
    const wide = setLines(
      ['One line that is full of words', { gap: 24 }],
      ['and another that is full of words', { gap: 24 }],
      ['and a third.', { gap: 24, right: 200 }],
      ['Another paragraph follows here,', { gap: 40 }],
      ['and ends.', { gap: 24, right: 150 }],
    );
    expect(read(wide).text).toBe(
      'One line that is full of words and another that is full of words and a third.\n\nAnother paragraph follows here, and ends.\n\n',
    );
  });

  test('of larger letters are headings, over several lines too', () => {
    const lines = setLines(
      ['A long title that needs', { height: 20, gap: 24 }],
      ['two lines', { height: 20, gap: 24, right: 200 }],
      ['The text of the page is set in small letters that make up most of it.', { gap: 40 }],
      ['Smaller heading', { height: 14, gap: 30, right: 200 }],
      ['More of the text follows below it in small letters as before.', { gap: 20 }],
    );
    const { text, headings } = read(lines);
    expect(headings.map(({ level, text: heading }) => [level, heading])).toEqual([
      [1, 'A long title that needs two lines'],
      [2, 'Smaller heading'],
    ]);
    expect(text).toStartWith('A long title that needs two lines\n\nThe text');
  });

  test('of lists and tables stay apart', () => {
    const lines = setLines(
      ['• The first item of the list, which is full'],
      ['• the second item of the list, also full'],
      ['North | 41 cm | a full row of a table', { isRow: true }],
      ['South | 38 cm | another full row of it', { isRow: true }],
      ['1. numbered as well, and full'],
      ['2. the last'],
    );
    expect(read(lines).text).toBe(`${lines.map(({ text }) => text).join('\n')}\n\n`);
  });

  test('go on at the top of the next column', () => {
    const left = setLines(
      ['The sentence at the foot of the left column goes'],
      ['on without end and is continued at the'],
    );
    const right = setLines(['top of the right one.', { left: 300, right: 500 }]).map((line) => ({
      ...line,
      left: 560,
      right: 900,
    }));
    expect(read([...left, ...right]).text).toBe(
      'The sentence at the foot of the left column goes on without end and is continued at the top of the right one.\n\n',
    );
  });

  test('of Chinese and Japanese are joined without a blank, of Korean with one', () => {
    expect(
      read(setLines(['吾輩は猫である。名前はまだ無い。どこで'], ['生れたか', { right: 100 }])).text,
    ).toBe('吾輩は猫である。名前はまだ無い。どこで生れたか\n\n');
    expect(read(setLines(['대한민국은 민주공화국이다. 모든'], ['권력은', { right: 100 }])).text).toBe(
      '대한민국은 민주공화국이다. 모든 권력은\n\n',
    );
  });
});
