/** Documents come back exactly as they were given. */

import { describe, expect, test } from 'bun:test';
import type { StoredRecord } from '../../src/store/store.ts';
import { type OpenStore, useStore } from './store-fixture.ts';

interface Holder extends StoredRecord {
  readonly value: unknown;
}

const TEXTS: Readonly<Record<string, string>> = {
  empty: '',
  'quotes and backslashes': `"'\\ \\" \\\\u0041 {"a":1}`,
  'controls and line ends': '\u0000\u0001\u001f\u007f\r\n\t\u2028\u2029',
  'accents, composed and not': 'é e\u0301 \u00fc ñ',
  'beyond the basic plane': '\u{1F469}\u200D\u{1F469}\u200D\u{1F467} \u{10FFFF} 𝒳',
  'right to left and CJK': 'שלום עולם مرحبا 你好，世界',
  'surrogates without their half': 'a\ud800b\udc00c',
  'replacement character and byte order mark': '\ufffd\ufeff',
};

const NUMBERS = [
  0,
  1,
  -1,
  0.1 + 0.2,
  1e21,
  1e-7,
  5e-324,
  1.7976931348623157e308,
  9007199254740991,
  -9007199254740991,
  123456789.125,
];

export function describeDocuments(open: OpenStore): void {
  describe('documents come back exactly', () => {
    const fixture = useStore(open);

    /** Through insert, get, list and update, each of which may take another way. */
    const expectRoundTrip = async (value: unknown): Promise<void> => {
      const { store } = fixture;
      const scope = fixture.newScope();
      const record: Holder = { id: fixture.newId(), value };
      const expected = JSON.stringify(record);
      await store.insert('messages', scope, record);
      expect(JSON.stringify((await store.get<Holder>('messages', scope, record.id))?.record)).toBe(expected);
      const page = await store.list<Holder>('messages', scope, { limit: 1, order: 'asc' });
      expect(JSON.stringify(page.items[0]?.record)).toBe(expected);
      const updated = await store.update<Holder>('messages', scope, record.id, { value });
      expect(JSON.stringify(updated.record)).toBe(expected);
      expect(JSON.stringify((await store.get<Holder>('messages', scope, record.id))?.record)).toBe(expected);
    };

    for (const [name, text] of Object.entries(TEXTS)) {
      test(`texts: ${name}`, async () => {
        await expectRoundTrip(text);
        await expectRoundTrip({ [text]: [text] });
      });
    }

    test('numbers to the last bit', async () => {
      const { store } = fixture;
      const scope = fixture.newScope();
      const record: Holder = { id: fixture.newId(), value: NUMBERS };
      await store.insert('messages', scope, record);
      expect((await store.get<Holder>('messages', scope, record.id))?.record.value).toEqual(NUMBERS);
    });

    test('null, booleans, empty arrays and objects, keys of all sorts', async () => {
      await expectRoundTrip([null, true, false, [], {}, [[]], { '': null, 'a.b': 1, $set: 2, 'a b': [] }]);
      await expectRoundTrip(JSON.parse('{"__proto__":{"polluted":true},"constructor":null,"toString":1}'));
    });

    test('a key called __proto__ survives at the top of the document, in an insert and in an update', async () => {
      const { store } = fixture;
      const scope = fixture.newScope();
      const record = JSON.parse(`{"id":"${fixture.newId()}","__proto__":{"a":1}}`) as StoredRecord;
      await store.insert('messages', scope, record);
      const updated = await store.update('messages', scope, record.id, JSON.parse('{"__proto__":{"a":2}}'));
      expect(Object.getOwnPropertyDescriptor(updated.record, '__proto__')?.value).toEqual({ a: 2 });
      const found = await store.get('messages', scope, record.id);
      expect(JSON.stringify(found?.record)).toBe(`{"id":"${record.id}","__proto__":{"a":2}}`);
    });

    test('100 levels of nesting', async () => {
      let value: unknown = 'deep';
      for (let level = 0; level < 100; level += 1) value = level % 2 === 0 ? [value] : { level, value };
      await expectRoundTrip(value);
    });

    test('one megabyte, of ASCII and of other letters', async () => {
      await expectRoundTrip('0123456789abcdef'.repeat(65_536));
      await expectRoundTrip('Żółć—漢字😀'.repeat(40_000));
    });

    test('a document that grows and shrinks by updates', async () => {
      const { store } = fixture;
      const scope = fixture.newScope();
      const id = fixture.newId();
      await store.insert<Holder>('messages', scope, { id, value: '' });
      for (const length of [10, 100_000, 3, 5_000, 0]) {
        await store.update<Holder>('messages', scope, id, { value: 'x'.repeat(length) });
        expect((await store.get<Holder>('messages', scope, id))?.record.value).toBe('x'.repeat(length));
      }
    });
  });
}
