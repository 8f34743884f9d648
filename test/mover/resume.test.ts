/** A copy that is cut short, at whatever moment, is gone on with by the same command. */

import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { waitUntil } from '../support/server.ts';
import { type CopyProcess, copy, makeDirectories, readCounts, startCopy } from './copy-process.ts';
import {
  countRecords,
  importRecords,
  makeDocuments,
  makeThreads,
  readPlaces,
  TENANT,
} from './large-tenant.ts';

const THREADS = 2_500;

let directories: Awaited<ReturnType<typeof makeDirectories<'source' | 'copy'>>>;
let records: number;
beforeEach(async () => {
  directories = await makeDirectories('source', 'copy');
  records = await makeThreads(directories.source, THREADS);
});
afterEach(() => directories.remove());

function start(): CopyProcess {
  return startCopy(['--from', `sqlite:${directories.source}`, '--to', `sqlite:${directories.copy}`]);
}

async function waitForThreads(count: number): Promise<void> {
  await waitUntil(
    `${count} threads are copied`,
    () => countRecords(directories.copy, 'threads') >= count,
    30_000,
  );
}

describe('a copy that is', () => {
  test('killed, again and again, comes to its end all the same, and reads most only once', async () => {
    let before = 0;
    for (const share of [0.15, 0.4, 0.7]) {
      const killed = start();
      await waitForThreads(THREADS * share);
      killed.kill('SIGKILL');
      expect((await killed.ended).code).not.toBe(0);
      before = countRecords(directories.copy, 'threads');
      expect(before).toBeLessThan(THREADS);
    }
    const last = await start().ended;
    expect(last).toMatchObject({ code: 0 });
    expect(last.stderr).toContain('Going on where an earlier copy has ended.');
    const { copied, present } = readCounts(last);
    expect(copied).toBeGreaterThan(0);
    // The page that was under way when it was killed is looked at again.
    expect(copied + present).toBeLessThan(records * 0.85);
    for (const collection of ['threads', 'messages', 'runs', 'steps'] as const) {
      expect(readPlaces(directories.copy, collection)).toEqual(readPlaces(directories.source, collection));
    }
    expect(countRecords(directories.copy, 'copies')).toBe(0);
  });

  test('interrupted ends cleanly, says what to do, and has no record whose contents are missing', async () => {
    const interrupted = start();
    await waitForThreads(THREADS * 0.2);
    interrupted.kill('SIGINT');
    const result = await interrupted.ended;
    expect(result.code).toBe(130);
    expect(result.stderr).toContain('Interrupted. Call the same command again, and it goes on from here.');
    expect(result.stdout).toBe('');
    const threads = countRecords(directories.copy, 'threads');
    expect(threads).toBeLessThan(THREADS);
    expect(countRecords(directories.copy, 'messages')).toBeGreaterThanOrEqual(3 * threads);
    const last = await start().ended;
    expect(last).toMatchObject({ code: 0 });
    expect(last.stderr).toContain('Going on where an earlier copy has ended.');
    // The note is exact where the copy was not killed: at most a page is looked at again.
    expect(readCounts(last).present).toBeLessThan(100 * 6 * 1.5);
  });

  test('gone on with after the source has grown has what is new, too', async () => {
    const interrupted = start();
    await waitForThreads(THREADS * 0.2);
    interrupted.kill('SIGINT');
    await interrupted.ended;
    await makeThreads(directories.source, 10);
    const place = { collection: 'assistants', scope: TENANT } as const;
    await importRecords(directories.source, [{ ...place, record: { id: 'asst_late' } }]);
    expect(await start().ended).toMatchObject({ code: 0 });
    expect(countRecords(directories.copy, 'threads')).toBe(THREADS + 10);
    expect(countRecords(directories.copy, 'assistants')).toBe(1);
  });
});

test('killed amid bytes and chunks, it makes no file visible whose bytes or chunks are missing, and ends whole', async () => {
  const { source, copy: target } = directories;
  await makeDocuments(source, 12, 600);
  for (const files of [1, 3, 7]) {
    const killed = start();
    await waitUntil(
      `${files} files of the store are copied`,
      () => countRecords(target, 'vector_store_files') >= files,
      30_000,
    );
    killed.kill('SIGKILL');
    expect((await killed.ended).code).not.toBe(0);
  }
  const partial = await copy(source, target, '--verify-only');
  expect(partial.code).toBe(1);
  expect(partial.stdout).toContain('is missing at the destination');
  expect(partial.stdout).not.toContain('the bytes of');
  expect(partial.stdout).not.toContain('the chunks of');
  const last = await copy(source, target);
  expect(last).toMatchObject({ code: 0 });
  expect(last.stdout).toMatch(/chunks +7,200/);
});

test('records with ids from elsewhere stand in the copy where they stood, among all others', async () => {
  const { source, copy: target } = directories;
  const ids = ['thread_abc', 'foreign', '€uro', 'A_0123456789abcdefghijklmn'];
  await importRecords(
    source,
    ids.map((id, at) => ({
      collection: 'threads',
      scope: TENANT,
      record: { id, metadata: { at } },
      ...(at % 2 === 0 ? {} : { sortKey: `0${9 - at}` }),
    })),
  );
  // Of the same tenant's records alone: those of others stay where they are.
  await importRecords(source, [
    { collection: 'threads', scope: { tenant: 'other' }, record: { id: 'hidden' } },
  ]);
  expect(await copy(source, target)).toMatchObject({ code: 0 });
  const all = readPlaces(source, 'threads') as unknown[][];
  expect(readPlaces(target, 'threads')).toEqual(all.filter(([tenant]) => tenant === 'default'));
  expect(await copy(source, target, '--tenant', 'other')).toMatchObject({ code: 0 });
  expect(readPlaces(target, 'threads')).toEqual(all);
});
