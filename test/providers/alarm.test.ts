import { expect, test } from 'bun:test';
import { createAlarm } from '../../src/providers/outbound/alarm.ts';

function wait(waitMs: number): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  const startedMs = performance.now();
  createAlarm().set(waitMs, () => resolve(performance.now() - startedMs));
  return promise;
}

test('an alarm goes off when its time has come, and not before, however long it waits', async () => {
  const [short, long] = await Promise.all([wait(30), wait(1_050)]);
  expect(short).toBeGreaterThanOrEqual(29);
  expect(long).toBeGreaterThanOrEqual(1_050);
  expect(long).toBeLessThan(5_000);
});

test('one that is called off is silent, and those beside it are not', async () => {
  const alarm = createAlarm();
  const heard: string[] = [];
  const done = Promise.withResolvers<void>();
  const off = [alarm.set(1_000, () => heard.push('long')), alarm.set(20, () => heard.push('short'))];
  alarm.set(1_200, done.resolve);
  for (const callOff of off) callOff();
  await done.promise;
  expect(heard).toEqual([]);
});

test('an alarm may be set while another one goes off', async () => {
  const alarm = createAlarm();
  const done = Promise.withResolvers<void>();
  alarm.set(1_000, () => void alarm.set(1_000, done.resolve));
  await done.promise;
});
