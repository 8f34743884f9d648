import { describe, expect, test } from 'bun:test';
import { createFairQueue } from '../../src/ingest/fair-queue.ts';
import { createGate } from '../../src/ingest/gate.ts';

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
