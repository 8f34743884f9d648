import { describe, expect, test } from 'bun:test';
import { createGate } from '../../src/gate.ts';
import { createFairQueue } from '../../src/ingest/fair-queue.ts';
import { createLanes } from '../../src/ingest/lanes.ts';

const NEVER = new AbortController().signal;

describe('createFairQueue', () => {
  test('lets groups take turns, so that thousands of one do not hold up one of another', () => {
    const queue = createFairQueue<string>();
    for (let i = 0; i < 1000; i += 1) queue.push('large', `large ${i}`);
    queue.push('small', 'small 0');
    queue.push('other', 'other 0');
    expect([queue.take(), queue.take(), queue.take(), queue.take()]).toEqual([
      'large 0',
      'small 0',
      'other 0',
      'large 1',
    ]);
    expect(queue.size).toBe(998);
  });

  test('keeps the order within a group, and what is left after a removal', () => {
    const queue = createFairQueue<number>();
    for (let i = 0; i < 10; i += 1) queue.push('group', i);
    queue.remove((item) => item % 2 === 0);
    expect(queue.size).toBe(5);
    expect([queue.take(), queue.take(), queue.take(), queue.take(), queue.take(), queue.take()]).toEqual([
      1,
      3,
      5,
      7,
      9,
      undefined,
    ]);
  });
});

describe('createGate', () => {
  test('never lets more in than it has places, and everybody in the end, in their order', async () => {
    const gate = createGate(3);
    let inside = 0;
    let most = 0;
    const order: number[] = [];
    await Promise.all(
      Array.from({ length: 50 }, async (_, number) => {
        const leave = await gate.enter(NEVER);
        inside += 1;
        most = Math.max(most, inside);
        order.push(number);
        await new Promise<void>((resolve) => setImmediate(resolve));
        inside -= 1;
        leave();
        leave();
      }),
    );
    expect(most).toBe(3);
    expect(order).toEqual(Array.from({ length: 50 }, (_, number) => number));
  });

  test('loses no place to one that gives up waiting', async () => {
    const gate = createGate(1);
    const leave = await gate.enter(NEVER);
    const abort = new AbortController();
    const given = gate.enter(abort.signal).catch((error: unknown) => error);
    const next = gate.enter(NEVER);
    abort.abort(new Error('gave up'));
    expect(((await given) as Error).message).toBe('gave up');
    leave();
    (await next)();
    expect(typeof (await gate.enter(NEVER))).toBe('function');
  });
});

describe('createLanes', () => {
  test('one lane never has more under way than its share, and the others go on', () => {
    const lanes = createLanes<string>({ activeMax: 4, activePerLaneMax: 2, callsPerLaneMax: 1 });
    for (let i = 0; i < 5; i += 1) lanes.push('slow', 'group', `slow ${i}`);
    lanes.push('quick', 'group', 'quick 0');
    const begun = [lanes.take(), lanes.take(), lanes.take(), lanes.take()];
    expect(begun.map((one) => one?.item ?? null)).toEqual(['slow 0', 'quick 0', 'slow 1', null]);
    expect(lanes.waiting).toBe(3);
    begun[0]?.leave();
    expect(lanes.take()?.item).toBe('slow 2');
    expect(lanes.active).toBe(3);
  });

  test('all lanes together stay within the bound, and what is removed never begins', () => {
    const lanes = createLanes<string>({ activeMax: 3, activePerLaneMax: 2, callsPerLaneMax: 1 });
    for (const lane of ['a', 'b', 'c'])
      for (let i = 0; i < 2; i += 1) lanes.push(lane, 'group', `${lane} ${i}`);
    lanes.remove((item) => item === 'b 0');
    const begun = Array.from({ length: 4 }, () => lanes.take());
    expect(begun.map((one) => one?.item ?? null)).toEqual(['a 0', 'b 1', 'c 0', null]);
    for (const one of begun) one?.leave();
    expect([lanes.take()?.item, lanes.take()?.item, lanes.take()]).toEqual(['a 1', 'c 1', null]);
  });
});
