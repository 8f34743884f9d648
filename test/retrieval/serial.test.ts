import { expect, test } from 'bun:test';
import { createSerial } from '../../src/serial.ts';

test('work under one key runs one after the other, also after one that failed; other keys do not wait', async () => {
  const serial = createSerial();
  const order: string[] = [];
  const { promise: held, resolve: release } = Promise.withResolvers<void>();
  const first = serial.run('a', async () => {
    await held;
    order.push('a1');
    throw new Error('a1 failed');
  });
  const second = serial.run('a', async () => {
    order.push('a2');
    return 2;
  });
  await serial.run('b', async () => {
    order.push('b');
  });
  release();
  expect(((await first.catch((error: unknown) => error)) as Error).message).toBe('a1 failed');
  expect(await second).toBe(2);
  expect(order).toEqual(['b', 'a1', 'a2']);
});
