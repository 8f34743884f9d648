/** Parts of the engine on Cassandra that need no cluster. */

import { describe, expect, test } from 'bun:test';
import { PostingsList, PostingsWriter } from '../../src/vector/cassandra/postings.ts';
import {
  createVersionId,
  fromVectorId,
  toVectorId,
  toVectorMigration,
} from '../../src/vector/cassandra/schema.ts';
import { createTurns, forEachBounded } from '../../src/vector/cassandra/turns.ts';
import { toVectorBytes } from '../../src/vector/cassandra/vector-rows.ts';
import { POSITIONS_MAX } from '../../src/vector/checks.ts';

describe('postings', () => {
  test('what is written is read, whatever the places, counts and lengths', () => {
    const entries = [
      [0, 1, 0],
      [1, 2, 127],
      [130, 1, 128],
      [1023, 70_000, 2_000_000],
    ] as const;
    const writer = new PostingsWriter();
    for (const [place, count, length] of entries) writer.add(place, count, length);
    const list = new PostingsList();
    list.addRow(writer.toBuffer(), 5000);
    expect([...list.toNumbers()]).toEqual(
      entries.flatMap(([place, count, length]) => [5000 + place, count, length]),
    );
  });
});

describe('keys of vectors', () => {
  test('ids of a version sort by position, and tell version and position', () => {
    const version = createVersionId();
    const positions = [0, 9, 10, 35, 36, 1023, 1024, 99_999, POSITIONS_MAX - 1];
    const ids = positions.map((position) => toVectorId(version, position));
    expect(ids).toEqual(ids.toSorted());
    expect(ids.map((id) => fromVectorId(id))).toEqual(positions.map((position) => ({ version, position })));
  });
});

describe('vectors on their way', () => {
  test('they are of length 1, big-endian; what is zero, not finite or of other dimensions is misuse', () => {
    const bytes = toVectorBytes(Float32Array.of(3, 4), 2);
    expect([bytes.readFloatBE(0), bytes.readFloatBE(4)]).toEqual([Math.fround(0.6), Math.fround(0.8)]);
    for (const bad of [
      [0, 0],
      [Number.NaN, 1],
      [Number.NEGATIVE_INFINITY, 1],
      [1, 2, 3],
      [1e-30, 0],
    ]) {
      expect(() => toVectorBytes(Float32Array.from(bad), 2)).toThrow();
    }
  });

  test('a vector that is of length 1 already stays as it is, to the bit', () => {
    const once = toVectorBytes(Float32Array.of(0.1, 0.2, 0.7), 3);
    const again = Float32Array.of(once.readFloatBE(0), once.readFloatBE(4), once.readFloatBE(8));
    expect(toVectorBytes(again, 3)).toEqual(once);
  });

  test('a managed cluster is not told how to keep its tables', () => {
    expect(toVectorMigration(8, true).statements.join()).not.toContain('compression');
    expect(toVectorMigration(8, false).statements.join()).toContain('memtable_flush_period_in_ms');
  });
});

describe('turns', () => {
  test('what is alone waits for all before it, and all after it wait; what is shared goes side by side', async () => {
    const turns = createTurns();
    const order: string[] = [];
    const log = (name: string, ms: number) => async () => {
      order.push(`${name} begins`);
      await Bun.sleep(ms);
      order.push(`${name} ends`);
    };
    await Promise.all([
      turns.share('key', log('a', 20)),
      turns.share('key', log('b', 5)),
      turns.alone('key', log('c', 5)),
      turns.share('key', log('d', 1)),
      turns.alone('other', log('x', 1)),
    ]);
    const own = order.filter((line) => !line.startsWith('x'));
    expect(own.slice(0, 2).toSorted()).toEqual(['a begins', 'b begins']);
    expect(own.slice(2)).toEqual(['b ends', 'a ends', 'c begins', 'c ends', 'd begins', 'd ends']);
  });

  test('a failure ends its own turn only', async () => {
    const turns = createTurns();
    const failed = turns.alone('key', async () => {
      throw new Error('failed');
    });
    const next = turns.share('key', async () => 'next');
    expect(failed).rejects.toThrow('failed');
    expect(await next).toBe('next');
  });

  test('bounded work ends with the first failure, after what is under way', async () => {
    const done: number[] = [];
    const work = forEachBounded([1, 2, 3, 4, 5], 2, async (number) => {
      await Bun.sleep(number);
      if (number === 2) throw new Error('two');
      done.push(number);
    });
    expect(work).rejects.toThrow('two');
    await work.catch(() => undefined);
    expect(done).not.toContain(5);
  });
});
