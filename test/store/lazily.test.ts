import { expect, test } from 'bun:test';
import { createLazy } from '../../src/lazily.ts';

const toClosed = (): Error => new Error('closed');

test('it is opened once, whoever asks first and however many ask at once', async () => {
  let openings = 0;
  const lazy = createLazy(async () => {
    openings += 1;
    await new Promise<void>((resolve) => setImmediate(resolve));
    return openings;
  }, toClosed);
  expect(openings).toBe(0);
  expect(await Promise.all([lazy.get(), lazy.get(), lazy.get()])).toEqual([1, 1, 1]);
  expect(await lazy.get()).toBe(1);
});

test('an opening that fails is told to all who wait for it, and tried again by the next', async () => {
  let openings = 0;
  const lazy = createLazy(async () => {
    openings += 1;
    if (openings === 1) throw new Error('held by another');
    return openings;
  }, toClosed);
  const failed = await Promise.allSettled([lazy.get(), lazy.get()]);
  expect(failed.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  expect(await lazy.get()).toBe(2);
});

test('closing ends what is being opened, opens nothing, and refuses whoever comes later', async () => {
  const ended: string[] = [];
  const used = createLazy(async () => 'used', toClosed);
  void used.get();
  await used.close(async (value) => {
    ended.push(value);
  });
  const unused = createLazy(async () => 'unused', toClosed);
  await unused.close(async (value) => {
    ended.push(value);
  });
  expect(ended).toEqual(['used']);
  const late = await used.get().catch((error: unknown) => error);
  expect((late as Error).message).toBe('closed');
});
