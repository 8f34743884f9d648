/** Filters on attributes: every comparison with every type, and nesting. */

import { describe, expect, test } from 'bun:test';
import {
  type AttributeFilter,
  type Attributes,
  type Comparison,
  matchesFilter,
} from '../../src/vector/attribute-filter.ts';

const FILE: Attributes = { n: 5, text: 'b', yes: true, no: false, zero: 0, empty: '' };

type Row = readonly [
  key: string,
  type: Comparison,
  value: string | number | boolean | (string | number)[],
  passes: boolean,
];

const ROWS: readonly Row[] = [
  ['n', 'eq', 5, true],
  ['n', 'eq', '5', false],
  ['n', 'ne', 5, false],
  ['n', 'ne', '5', true],
  ['n', 'gt', 4, true],
  ['n', 'gt', 5, false],
  ['n', 'gte', 5, true],
  ['n', 'gte', 6, false],
  ['n', 'lt', 6, true],
  ['n', 'lt', 5, false],
  ['n', 'lte', 5, true],
  ['n', 'lte', 4, false],
  ['n', 'in', [1, 5], true],
  ['n', 'in', ['5'], false],
  ['n', 'in', [], false],
  ['n', 'nin', [1, 5], false],
  ['n', 'nin', ['5'], true],
  ['n', 'nin', [], true],
  ['text', 'eq', 'b', true],
  ['text', 'eq', 'B', false],
  ['text', 'gt', 'a', true],
  ['text', 'gt', 'B', true],
  ['text', 'lt', 'ä', true],
  ['text', 'lt', 'aa', false],
  ['text', 'in', ['a', 'b'], true],
  ['yes', 'eq', true, true],
  ['yes', 'eq', 'true', false],
  ['yes', 'eq', 1, false],
  ['no', 'eq', false, true],
  ['no', 'ne', false, false],
  ['zero', 'eq', 0, true],
  ['zero', 'eq', '', false],
  ['zero', 'eq', false, false],
  ['zero', 'lt', 1, true],
  ['empty', 'eq', '', true],
  ['empty', 'lt', 'a', true],
];

describe('attribute filters', () => {
  for (const [key, type, value, passes] of ROWS) {
    test(`${key}=${JSON.stringify(FILE[key])} ${passes ? 'passes' : 'does not pass'} ${type} ${JSON.stringify(value)}`, () => {
      expect(matchesFilter({ type, key, value }, FILE)).toBe(passes);
    });
  }

  test('values of different types are unequal, and neither is greater', () => {
    for (const [key, value] of [
      ['n', '4'],
      ['text', 1],
      ['yes', 0],
      ['yes', false],
      ['no', true],
    ] as const) {
      for (const type of ['gt', 'gte', 'lt', 'lte'] as const) {
        expect(matchesFilter({ type, key, value }, FILE)).toBe(false);
      }
    }
  });

  test('a list has no order', () => {
    for (const type of ['gt', 'gte', 'lt', 'lte'] as const) {
      expect(matchesFilter({ type, key: 'n', value: [1, 2] }, FILE)).toBe(false);
    }
  });

  test('a file without the key passes ne and nin only, and what objects inherit is no key', () => {
    for (const key of ['missing', 'toString', '__proto__', 'constructor']) {
      for (const type of ['eq', 'gt', 'gte', 'lt', 'lte'] as const) {
        expect(matchesFilter({ type, key, value: 1 }, FILE)).toBe(false);
      }
      expect(matchesFilter({ type: 'in', key, value: [1] }, FILE)).toBe(false);
      expect(matchesFilter({ type: 'ne', key, value: 1 }, FILE)).toBe(true);
      expect(matchesFilter({ type: 'nin', key, value: [1] }, FILE)).toBe(true);
    }
  });

  test('and wants all, or wants one, whatever the depth; an empty and passes, an empty or does not', () => {
    const yes: AttributeFilter = { type: 'eq', key: 'n', value: 5 };
    const no: AttributeFilter = { type: 'ne', key: 'n', value: 5 };
    const cases: readonly [AttributeFilter, boolean][] = [
      [{ type: 'and', filters: [] }, true],
      [{ type: 'or', filters: [] }, false],
      [{ type: 'and', filters: [yes, yes] }, true],
      [{ type: 'and', filters: [yes, no] }, false],
      [{ type: 'or', filters: [no, yes] }, true],
      [{ type: 'or', filters: [no, no] }, false],
      [{ type: 'and', filters: [{ type: 'or', filters: [no, { type: 'and', filters: [yes] }] }, yes] }, true],
      [
        {
          type: 'or',
          filters: [
            { type: 'and', filters: [yes, no] },
            { type: 'or', filters: [] },
          ],
        },
        false,
      ],
    ];
    for (const [filter, passes] of cases)
      expect([filter, matchesFilter(filter, FILE)]).toEqual([filter, passes]);
  });
});
