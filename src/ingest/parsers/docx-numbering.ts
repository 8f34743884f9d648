/** The numbers of Word's lists: `2.`, `2.1`, `b)`. Bullets are dashes. */

import { findAttribute, readXmlText } from './xml-events.ts';

/** Word has nine. */
const LEVELS_MAX = 9;

interface Level {
  readonly format: string;
  /** `%1.%2`: the numbers of the levels. */
  readonly pattern: string;
  readonly start: number;
}

/** Levels of each list, by its id. */
export type Numbering = ReadonlyMap<
  string,
  { readonly key: string; readonly levels: ReadonlyMap<number, Level> }
>;

export interface ListNumbers {
  /** The mark of the list's next item, with its indent and a blank behind it. */
  next(listId: string, level: number): string;
}

export function readNumbering(xml: string | null): Numbering {
  const abstract = new Map<string, Map<number, Level>>();
  const lists = new Map<string, { key: string; levels: Map<number, Level> }>();
  if (xml === null) return lists;
  let levels = new Map<number, Level>();
  let listId: string | null = null;
  let at = 0;
  const change = (part: Partial<Level>): void => {
    if (listId !== null || at >= LEVELS_MAX) return;
    levels.set(at, { ...(levels.get(at) ?? { format: 'decimal', pattern: '', start: 1 }), ...part });
  };
  readXmlText(xml, {
    open(name, attributes) {
      const value = findAttribute(attributes, 'val') ?? '';
      if (name === 'abstractNum') {
        levels = new Map();
        listId = null;
        abstract.set(findAttribute(attributes, 'abstractNumId') ?? '', levels);
      } else if (name === 'lvl') at = Number(findAttribute(attributes, 'ilvl')) || 0;
      else if (name === 'numFmt') change({ format: value });
      else if (name === 'lvlText') change({ pattern: value });
      else if (name === 'start') change({ start: Number(value) || 0 });
      else if (name === 'num') listId = findAttribute(attributes, 'numId') ?? '';
      else if (name === 'abstractNumId' && listId !== null) {
        lists.set(listId, { key: value, levels: abstract.get(value) ?? new Map() });
      }
    },
  });
  return lists;
}

export function createListNumbers(numbering: Numbering): ListNumbers {
  /** Lists of one definition go on counting together. */
  const counters = new Map<string, number[]>();
  return {
    next(listId, wanted) {
      const level = Math.min(Math.max(0, wanted), LEVELS_MAX - 1);
      const indent = '  '.repeat(level);
      const list = numbering.get(listId);
      const own = list?.levels.get(level);
      if (list === undefined || own === undefined || own.format === 'bullet' || own.format === 'none')
        return `${indent}- `;
      const counts = counters.get(list.key) ?? [];
      counters.set(list.key, counts);
      counts.length = Math.min(counts.length, level + 1);
      for (let i = 0; i <= level; i += 1)
        counts[i] ??= (list.levels.get(i)?.start ?? 1) - (i === level ? 1 : 0);
      counts[level] = (counts[level] ?? 0) + 1;
      const mark = own.pattern.replace(/%(\d)/g, (_, digit: string) => {
        const i = Number(digit) - 1;
        return toNumber(counts[i] ?? 1, list.levels.get(i)?.format ?? 'decimal');
      });
      return mark.trim() === '' ? `${indent}- ` : `${indent}${mark.trim()} `;
    },
  };
}

function toNumber(count: number, format: string): string {
  switch (format) {
    case 'lowerLetter':
      return toLetters(count).toLowerCase();
    case 'upperLetter':
      return toLetters(count);
    case 'lowerRoman':
      return toRoman(count).toLowerCase();
    case 'upperRoman':
      return toRoman(count);
    default:
      return String(count);
  }
}

/** A to Z, then AA to ZZ, as Word counts. */
function toLetters(count: number): string {
  const at = Math.max(0, count - 1);
  return String.fromCharCode(65 + (at % 26)).repeat(Math.min(20, Math.floor(at / 26) + 1));
}

const ROMAN: readonly (readonly [number, string])[] = [
  [1000, 'M'],
  [900, 'CM'],
  [500, 'D'],
  [400, 'CD'],
  [100, 'C'],
  [90, 'XC'],
  [50, 'L'],
  [40, 'XL'],
  [10, 'X'],
  [9, 'IX'],
  [5, 'V'],
  [4, 'IV'],
  [1, 'I'],
];

function toRoman(count: number): string {
  if (count < 1 || count > 3999) return String(count);
  let rest = count;
  let text = '';
  for (const [value, letters] of ROMAN) {
    text += letters.repeat(Math.floor(rest / value));
    rest %= value;
  }
  return text;
}
