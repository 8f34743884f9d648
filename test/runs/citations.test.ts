/** Markers in what the model says: found however they are cut, in every variant, and never in anybody's own words. */

import { describe, expect, test } from 'bun:test';
import {
  type Citation,
  CitationFilter,
  countCharacters,
  type KnownCitations,
  removeMarkers,
  toMarker,
} from '../../src/runs/citations.ts';
import { addText, createDraft, toContent } from '../../src/runs/parts.ts';

function toKnown(
  ...names: readonly (readonly [search: number, index: number, name: string])[]
): KnownCitations {
  return new Map(
    names.map(([search, index, name]): [string, Citation] => [
      `${search}:${index}`,
      { marker: toMarker(search, index, name), fileId: `file-${name}` },
    ]),
  );
}

const KNOWN = toKnown([4, 0, 'a.pdf'], [4, 1, 'b.pdf'], [5, 12, 'Smith, J. (2020).pdf']);
const A = '【4:0†a.pdf】';
const B = '【4:1†b.pdf】';
const C = '【5:12†Smith, J. (2020).pdf】';

/** The message that these pieces of text become. */
function toMessage(pieces: readonly string[], known = KNOWN) {
  const filter = new CitationFilter(known);
  const draft = createDraft();
  for (const piece of pieces) for (const said of filter.push(piece)) addText(draft, said);
  for (const said of filter.flush()) addText(draft, said);
  const [part] = toContent(draft);
  if (part?.type !== 'text') throw new Error('no text');
  return part.text;
}

/** What the model says, and what becomes of it. */
const CASES: readonly (readonly [what: string, said: string, shown: string])[] = [
  ['a marker as it was shown', `It is warm${A}.`, `It is warm${A}.`],
  ['another label', '【4:0†source】', A],
  ['lines as a label', '【4:0†L10-L20】', A],
  ['square brackets', 'Warm [4:0†a.pdf].', `Warm ${A}.`],
  ['numbers alone', 'Warm【4:1】', `Warm${B}`],
  ['several in one bracket', '【4:0†a.pdf, 4:1†b.pdf】', `${A}${B}`],
  ['several numbers in one bracket', '【4:0, 4:1】 and [4:0; 4:1†source]', `${A}${B} and ${A}${B}`],
  ['the same twice in one bracket', '【4:0, 4:0】', A],
  ['a known and an invented one in one bracket', '【4:0†a.pdf, 4:9†b.pdf】', A],
  ['spaces', 'Warm【 4 : 0 † a.pdf 】', `Warm${A}`],
  ['a wide colon', '【4：0†a.pdf】', A],
  ['a name with commas and brackets', `So${C}!`, `So${C}!`],
  ['one after the other', `${A}${B}${A}`, `${A}${B}${A}`],
  ['a marker behind brackets that open nothing', `【【4:0】[[4:1†x]]`, `【${A}[${B}]`],
  ['characters beyond the basic plane', `😀 warm 🌡️${A} 😀${B}`, `😀 warm 🌡️${A} 😀${B}`],
  ['an invented number', 'Warm【4:7†a.pdf】 today', 'Warm today'],
  ['an invented number alone', 'Warm【4:7】', 'Warm'],
  ['an invented search', 'Warm[9:0†a.pdf].', 'Warm.'],
  ['a marker of the first version', 'Warm【13†source】.', 'Warm.'],
  ['a marker that is cut short', 'Warm【4:0†a.p', 'Warm'],
  ['a marker that is cut within its numbers', 'Warm【4:', 'Warm'],
  [
    'headings in brackets',
    '【概要】気温は【重要】です。【1】【第4:0章】',
    '【概要】気温は【重要】です。【1】【第4:0章】',
  ],
  [
    'times of day in brackets',
    '【10:30】集合、【4:30】出発、【10:30、11:15】',
    '【10:30】集合、【4:30】出発、【10:30、11:15】',
  ],
  ['slices and links', 'a[1:2] + b[4:0] [x](y) [1] [[z]] [4', 'a[1:2] + b[4:0] [x](y) [1] [[z]] [4'],
  ['a bracket at the end', 'これは【', 'これは【'],
  ['numbers that end the text', 'これは【12', 'これは【12'],
  ['a dagger elsewhere', 'He died in 1901†, she in 1902 [†].', 'He died in 1901†, she in 1902 [†].'],
  ['a label that goes on over lines', '【4:0†a\nb】', '【4:0†a\nb】'],
];

describe('what the model says', () => {
  for (const [what, said, shown] of CASES) {
    test(`${what}: the text is as expected, with an annotation at each marker and at nothing else`, () => {
      const { value, annotations } = toMessage([said]);
      expect(value).toBe(shown);
      const characters = [...value];
      for (const annotation of annotations) {
        const { start_index: start, end_index: end, text } = annotation;
        expect(characters.slice(start, end).join('')).toBe(text);
        expect([A, B, C]).toContain(text);
      }
      const markers = value.match(/【\d+:\d+†[^】\n]*】/g) ?? [];
      expect(annotations.map(({ text }) => text)).toEqual(markers);
    });

    test(`${what}: wherever it is cut in two, and in single characters, the message is the same`, () => {
      const whole = toMessage([said]);
      expect(toMessage(said.split(''))).toEqual(whole);
      for (let at = 1; at < said.length; at += 1) {
        expect(toMessage([said.slice(0, at), said.slice(at)])).toEqual(whole);
      }
    });
  }

  test('a long text in pieces of every size is the same message', () => {
    const said = CASES.map(([, text]) => `${text} So much for this.\n`).join('');
    const whole = toMessage([said]);
    for (let size = 1; size <= 40; size += 1) {
      expect(toMessage(said.match(new RegExp(`[\\s\\S]{1,${size}}`, 'g')) ?? [])).toEqual(whole);
    }
  });

  test('each file is cited under its own id', () => {
    const { annotations } = toMessage([`One${A}, two${C}.`]);
    expect(annotations).toEqual([
      {
        type: 'file_citation',
        text: A,
        start_index: 3,
        end_index: 3 + A.length,
        file_citation: { file_id: 'file-a.pdf' },
      },
      {
        type: 'file_citation',
        text: C,
        start_index: 8 + A.length,
        end_index: 8 + A.length + C.length,
        file_citation: { file_id: 'file-Smith, J. (2020).pdf' },
      },
    ]);
  });

  test('in a run that has found nothing, markers are invented and nothing else is touched', () => {
    const said = `Warm${A}[4:0†a]. 【4:0】【概要】[4:0]`;
    expect(toMessage([said], new Map())).toEqual({ value: 'Warm. 【4:0】【概要】[4:0]', annotations: [] });
  });
});

describe('what is held back', () => {
  /** What has gone out after these pieces, before the end of the text. */
  function toSaid(...pieces: readonly string[]): string {
    const filter = new CitationFilter(KNOWN);
    return pieces.flatMap((piece) => filter.push(piece).map(({ text }) => text)).join('');
  }

  test('text that cannot be a marker goes out at once', () => {
    for (const text of ['Hello', '【概', '[x', '[1]', '【4a', '[4:0]', '【】', 'a [ b'])
      expect(toSaid(text)).toBe(text);
  });

  test('only what may be the beginning of a marker waits', () => {
    expect(toSaid('It is warm【4:0†a')).toBe('It is warm');
    expect(toSaid('It is warm【', '概要】')).toBe('It is warm【概要】');
    expect(toSaid('It is [4', ':0', '†a', '.pdf]')).toBe(`It is ${A}`);
  });

  test('a label that never ends goes out as text before it grows large', () => {
    const said = `【4:0†${'x'.repeat(2_000)}`;
    expect(toSaid(...said.split(''))).toBe(said);
  });
});

describe('markers', () => {
  test('names cannot end a marker early, nor fill it', () => {
    expect(toMarker(4, 0, 'a【b】[c]†\n.pdf')).toBe('【4:0†a b c .pdf】');
    expect(toMarker(4, 0, '†')).toBe('【4:0†source】');
    expect(toMarker(4, 0, 'x'.repeat(500)).length).toBeLessThan(120);
  });

  test('a name of emoji is not cut in half', () => {
    const marker = toMarker(4, 0, `a${'😀'.repeat(100)}`);
    expect(marker.isWellFormed()).toBe(true);
  });

  test('are taken out of a text, and nothing else is', () => {
    expect(removeMarkers(`One${A}, two【13†source】【概要】【10:30】 a† [4:0†x].`)).toBe(
      'One, two【概要】【10:30】 a† [4:0†x].',
    );
  });

  test('characters are counted as code points', () => {
    for (const text of ['', 'abc', '【4:0†source】', '😀', 'a😀b🌡️', '𠮷野家']) {
      expect(countCharacters(text)).toBe([...text].length);
    }
  });
});
