/** Files in and out of a store: staging, publishing, replacing, removing. */

import { describe, expect, test } from 'bun:test';
import type { IndexScope, SearchHit } from '../../src/vector/vector-index.ts';
import { CHUNKS_MAX } from '../../src/vector/vector-index.ts';
import {
  type OpenIndex,
  publish,
  toChunk,
  toChunks,
  toPlaces,
  toQuery,
  toVector,
  useIndex,
} from './vector-index-fixture.ts';

export function describeFiles(open: OpenIndex): void {
  describe('staging and publishing', () => {
    const fixture = useIndex(open);
    const find = async (scope: IndexScope, words: string): Promise<readonly SearchHit[]> =>
      await fixture.index.search(scope, toQuery(words, null));

    test('what is staged is neither found, nor read, nor counted, before it is published', async () => {
      const { index } = fixture;
      const scope = fixture.newScope();
      await index.stageChunks(scope, 'file', 'first', toChunks('apple', 'pear'));
      expect(await find(scope, 'apple')).toEqual([]);
      expect(await index.readChunks(scope, 'file', 0, 10)).toEqual([]);
      expect(await index.describe(scope)).toEqual({ chunks: 0, dimensions: null, languages: [] });
      await index.publishFile(scope, { file: 'file', attributes: {}, languages: ['en'] }, 'first');
      expect(toPlaces(await find(scope, 'apple'))).toEqual(['file:0']);
      expect(await index.describe(scope)).toEqual({ chunks: 2, dimensions: null, languages: ['en'] });
    });

    test('a chunk comes back as it went in, whatever its text, page and context', async () => {
      const { index } = fixture;
      const scope = fixture.newScope();
      const texts = [
        'plain',
        'naïve 日本語 🦊',
        'a\0b',
        '',
        ' \n\t ',
        "'; DROP TABLE chunks; --",
        'x'.repeat(100_000),
      ];
      const chunks = texts.map((text, position) => {
        const page = position % 2 === 0 ? null : position;
        return toChunk(position, 'word', toVector(1, 2, 3), {
          ...{
            text,
            page,
            start: 7 * position,
            end: 7 * position + 3,
            context: `Heading ${text.slice(0, 9)}`,
          },
          tokens: position,
        });
      });
      await publish(index, scope, 'file', chunks);
      const expected = chunks.map(({ terms, vector, ...stored }) => stored);
      expect(await index.readChunks(scope, 'file', 0, 10)).toEqual(expected);
      const hits = await find(scope, 'word');
      expect(hits.map(({ chunk }) => chunk)).toEqual(expected);
    });

    test('publishing answers how many chunks there are and what they take, and does so again without a change', async () => {
      const { index } = fixture;
      const scope = fixture.newScope();
      const chunks = ['one two', 'three'].map((words, position) =>
        toChunk(position, words, toVector(1, 0, 1)),
      );
      const published = await publish(index, scope, 'file', chunks, { attributes: { a: 1 } });
      expect(published.chunks).toBe(2);
      const least = chunks.reduce(
        (sum, { text, vector }) => sum + text.length + (vector?.byteLength ?? 0),
        0,
      );
      expect(published.bytes).toBeGreaterThanOrEqual(least);
      const entry = { file: 'file', attributes: { a: 2 }, languages: ['de'] };
      expect(await index.publishFile(scope, entry, 'first')).toEqual(published);
      expect((await find(scope, 'one'))[0]?.attributes).toEqual({ a: 1 });
    });

    test('a text of three bytes a character takes what it takes in UTF-8', async () => {
      const { index } = fixture;
      const scope = fixture.newScope();
      const toSize = async (file: string, text: string) =>
        (await publish(index, scope, file, [toChunk(0, 'word', null, { text })])).bytes;
      const ascii = await toSize('ascii', 'x'.repeat(1000));
      expect((await toSize('japanese', '語'.repeat(1000))) - ascii).toBe(2000);
    });

    test('chunks may come in any order and in many calls', async () => {
      const { index } = fixture;
      const scope = fixture.newScope();
      const chunks = toChunks(...Array.from({ length: 700 }, (_, position) => `word w${position}`));
      const parts = [chunks.slice(500), chunks.slice(0, 200), chunks.slice(200, 300), chunks.slice(300, 500)];
      for (const part of parts) await index.stageChunks(scope, 'file', 'first', part);
      const entry = { file: 'file', attributes: {}, languages: [] };
      expect((await index.publishFile(scope, entry, 'first')).chunks).toBe(700);
      for (const position of [0, 255, 256, 499, 500, 699]) {
        expect(toPlaces(await find(scope, `w${position}`))).toEqual([`file:${position}`]);
      }
    });

    test('calls that are under way side by side are all kept', async () => {
      const { index } = fixture;
      const scope = fixture.newScope();
      const chunks = toChunks(...Array.from({ length: 400 }, (_, position) => `w${position}`));
      const calls = Array.from({ length: 40 }, (_, call) =>
        index.stageChunks(scope, 'file', 'first', chunks.slice(10 * call, 10 * call + 10)),
      );
      await Promise.all(calls);
      expect(await index.countStaged(scope, 'file', 'first')).toBe(400);
    });

    test('a chunk that is staged again replaces the one before, however late', async () => {
      const { index } = fixture;
      const scope = fixture.newScope();
      const chunks = Array.from({ length: 600 }, (_, position) =>
        toChunk(position, `old w${position}`, toVector(1, 0, 0)),
      );
      for (const from of [0, 200, 400])
        await index.stageChunks(scope, 'file', 'first', chunks.slice(from, from + 200));
      await index.stageChunks(scope, 'file', 'first', [
        toChunk(3, 'new', toVector(0, 1, 0)),
        toChunk(599, 'new', null),
      ]);
      const entry = { file: 'file', attributes: {}, languages: [] };
      expect((await index.publishFile(scope, entry, 'first')).chunks).toBe(600);
      expect(toPlaces(await find(scope, 'new'))).toEqual(['file:3', 'file:599']);
      expect(await find(scope, 'w3')).toEqual([]);
      expect((await find(scope, 'w4')).map(({ chunk }) => chunk.text)).toEqual(['old w4']);
      const [best] = await index.search(scope, toQuery('', toVector(0, 1, 0), { wanted: 1 }));
      expect([best?.chunk.position, best?.chunk.text]).toEqual([3, 'new']);
    });

    test('countStaged counts the chunks of this attempt from position 0 up to the first gap', async () => {
      const { index } = fixture;
      const scope = fixture.newScope();
      const count = (ingest = 'first') => index.countStaged(scope, 'file', ingest);
      const chunks = toChunks(...Array.from({ length: 600 }, (_, position) => `w${position}`));
      expect(await count()).toBe(0);
      await index.stageChunks(scope, 'file', 'first', chunks.slice(1, 3));
      expect(await count()).toBe(0);
      await index.stageChunks(scope, 'file', 'first', chunks.slice(0, 1));
      expect(await count()).toBe(3);
      await index.stageChunks(scope, 'file', 'first', chunks.slice(4, 256));
      await index.stageChunks(scope, 'file', 'first', chunks.slice(256, 500));
      expect(await count()).toBe(3);
      await index.stageChunks(scope, 'file', 'first', chunks.slice(3, 4));
      expect([await count(), await count('second')]).toEqual([500, 0]);
      await index.publishFile(scope, { file: 'file', attributes: {}, languages: [] }, 'first');
      expect(await count()).toBe(500);
    });

    test('a file with a gap, and an attempt of which nothing is there, are not published, and nothing is lost', async () => {
      const { index } = fixture;
      const scope = fixture.newScope();
      const entry = { file: 'file', attributes: {}, languages: [] };
      expect((await index.publishFile(scope, entry, 'first')).chunks).toBe(0);
      await publish(index, scope, 'file', toChunks('kept'));
      expect((await index.publishFile(scope, entry, 'second')).chunks).toBe(0);
      await index.stageChunks(scope, 'file', 'second', [toChunk(0, 'new'), toChunk(2, 'new')]);
      expect((await index.publishFile(scope, entry, 'second')).chunks).toBe(1);
      expect(toPlaces(await find(scope, 'kept new'))).toEqual(['file:0']);
      await index.stageChunks(scope, 'file', 'second', [toChunk(1, 'new')]);
      expect((await index.publishFile(scope, entry, 'second')).chunks).toBe(3);
      expect(toPlaces(await find(scope, 'kept new'))).toEqual(['file:0', 'file:1', 'file:2']);
    });

    test('another attempt drops what was staged before it, and only what was staged', async () => {
      const { index } = fixture;
      const scope = fixture.newScope();
      await publish(index, scope, 'file', toChunks('published'));
      await index.stageChunks(scope, 'file', 'second', toChunks('dropped', 'dropped'));
      await index.stageChunks(scope, 'file', 'third', toChunks('third'));
      expect(await index.countStaged(scope, 'file', 'second')).toBe(0);
      expect(await index.countStaged(scope, 'file', 'third')).toBe(1);
      expect(toPlaces(await find(scope, 'published'))).toEqual(['file:0']);
      await index.publishFile(scope, { file: 'file', attributes: {}, languages: [] }, 'third');
      expect(await find(scope, 'published dropped')).toEqual([]);
      expect(toPlaces(await find(scope, 'third'))).toEqual(['file:0']);
    });

    test('chunks of an attempt that is published already change nothing', async () => {
      const { index } = fixture;
      const scope = fixture.newScope();
      await publish(index, scope, 'file', toChunks('apple'));
      await index.stageChunks(scope, 'file', 'first', [toChunk(0, 'pear'), toChunk(1, 'pear')]);
      const entry = { file: 'file', attributes: {}, languages: [] };
      expect((await index.publishFile(scope, entry, 'first')).chunks).toBe(1);
      expect(toPlaces(await find(scope, 'apple pear'))).toEqual(['file:0']);
    });

    test('a new version takes the place of the old one, with its attributes, languages and counts', async () => {
      const { index } = fixture;
      const scope = fixture.newScope();
      await publish(index, scope, 'other', toChunks('apple'), { languages: ['fr'] });
      await publish(index, scope, 'file', toChunks('apple old', 'apple old', 'apple old'), {
        attributes: { v: 1 },
      });
      const options = { attributes: { v: 2 }, languages: ['de'], ingest: 'second' };
      await publish(index, scope, 'file', toChunks('apple new', 'apple new'), options);
      expect(await find(scope, 'old')).toEqual([]);
      const hits = await find(scope, 'apple');
      expect(toPlaces(hits)).toEqual(['other:0', 'file:0', 'file:1']);
      expect(hits.map(({ attributes }) => attributes)).toEqual([{}, { v: 2 }, { v: 2 }]);
      expect(await index.describe(scope)).toEqual({ chunks: 3, dimensions: null, languages: ['de', 'fr'] });
      expect((await index.readChunks(scope, 'file', 0, 10)).map(({ text }) => text)).toEqual([
        'apple new',
        'apple new',
      ]);
    });
  });

  describe('removal', () => {
    const fixture = useIndex(open);

    test('a removed file is gone from search, reading, counting and statistics; others stay', async () => {
      const { index } = fixture;
      const scope = fixture.newScope();
      await publish(index, scope, 'gone', toChunks(...Array.from({ length: 700 }, () => 'apple pear')), {
        languages: ['fr'],
      });
      await publish(index, scope, 'kept', toChunks('apple'));
      await index.stageChunks(scope, 'gone', 'second', toChunks('apple'));
      await index.removeFile(scope, 'gone');
      expect(toPlaces(await index.search(scope, toQuery('apple pear', null)))).toEqual(['kept:0']);
      expect(await index.readChunks(scope, 'gone', 0, 10)).toEqual([]);
      expect(await index.countStaged(scope, 'gone', 'second')).toBe(0);
      expect(await index.describe(scope)).toEqual({ chunks: 1, dimensions: null, languages: ['en'] });
      await index.removeFile(scope, 'gone');
      await index.removeFile(scope, 'never there');
      await index.removeFile(fixture.newScope(), 'gone');
    });

    test('a file can be added again after its removal, under the same attempt too', async () => {
      const { index } = fixture;
      const scope = fixture.newScope();
      await publish(index, scope, 'file', toChunks('apple', 'apple'));
      await index.removeFile(scope, 'file');
      expect(await index.countStaged(scope, 'file', 'first')).toBe(0);
      await publish(index, scope, 'file', toChunks('pear'));
      expect(toPlaces(await index.search(scope, toQuery('apple pear', null)))).toEqual(['file:0']);
    });

    test('a removed store holds nothing, remembers no dimensions, and can be filled again', async () => {
      const { index } = fixture;
      const scope = fixture.newScope();
      const other = { tenant: scope.tenant, store: `${scope.store}x` };
      await publish(index, scope, 'file', [toChunk(0, 'apple', toVector(1, 2, 3))]);
      await publish(index, other, 'file', [toChunk(0, 'apple', toVector(1, 2, 3))]);
      await index.removeStore(scope);
      await index.removeStore(scope);
      expect(await index.search(scope, toQuery('apple', toVector(1, 2, 3)))).toEqual([]);
      expect(await index.describe(scope)).toEqual({ chunks: 0, dimensions: null, languages: [] });
      await publish(index, scope, 'file', [toChunk(0, 'apple', toVector(1, 2))]);
      expect((await index.describe(scope)).dimensions).toBe(2);
      expect(toPlaces(await index.search(scope, toQuery('', toVector(1, 2))))).toEqual(['file:0']);
      expect(toPlaces(await index.search(other, toQuery('', toVector(1, 2, 3))))).toEqual(['file:0']);
    });
  });

  describe('reading', () => {
    const fixture = useIndex(open);

    test('chunks are read from a position on, in order, as many as are wanted, never more than the bound', async () => {
      const { index } = fixture;
      const scope = fixture.newScope();
      await publish(
        index,
        scope,
        'file',
        toChunks(...Array.from({ length: 300 }, (_, position) => `w${position}`)),
      );
      const read = async (from: number, limit: number) =>
        (await index.readChunks(scope, 'file', from, limit)).map(({ position }) => position);
      expect(await read(0, 3)).toEqual([0, 1, 2]);
      expect(await read(298, 5)).toEqual([298, 299]);
      expect(await read(300, 5)).toEqual([]);
      expect(await read(0, 1000)).toEqual(Array.from({ length: CHUNKS_MAX }, (_, position) => position));
    });
  });

  describe('scopes', () => {
    const fixture = useIndex(open);

    test('tenants and stores see nothing of each other: neither hits, nor chunks, nor statistics', async () => {
      const { index } = fixture;
      const scope = fixture.newScope();
      const others = [
        { tenant: `${scope.tenant}x`, store: scope.store },
        { tenant: scope.tenant, store: `${scope.store}x` },
        { tenant: scope.store, store: scope.tenant },
      ];
      await publish(index, scope, 'file', toChunks('apple', 'apple pear'), { languages: ['fr'] });
      const before = await index.search(scope, toQuery('apple pear', null));
      for (const [number, other] of others.entries()) {
        expect(await index.search(other, toQuery('apple', null))).toEqual([]);
        expect(await index.readChunks(other, 'file', 0, 10)).toEqual([]);
        expect(await index.countStaged(other, 'file', 'first')).toBe(0);
        expect((await index.describe(other)).chunks).toBe(0);
        await publish(index, other, 'file', toChunks(...Array.from({ length: 20 }, () => 'pear')));
        await index.setAttributes(other, 'file', { number });
      }
      expect(await index.search(scope, toQuery('apple pear', null))).toEqual(before);
      for (const other of others) await index.removeFile(other, 'file');
      expect(await index.search(scope, toQuery('apple pear', null))).toEqual(before);
    });
  });
}
