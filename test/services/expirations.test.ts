/** What ends by itself: when, how often, and what stays. */

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import { ApiError } from '../../src/errors.ts';
import {
  type ExpirationKind,
  toExpirationDelete,
  toExpirationInsert,
  toExpirationMove,
} from '../../src/services/expirations.ts';
import { getFile } from '../../src/services/file-records.ts';
import { listFiles } from '../../src/services/files.ts';
import { completeUpload, createUpload } from '../../src/services/uploads.ts';
import type { Scope } from '../../src/store/store.ts';
import { makeBytes } from '../contract/blob-store.ts';
import { catchError, type Files, HOUR_MS, openFiles } from './file-fixture.ts';

const PAGE = { limit: 100, order: 'asc' } as const;
let files: Files;
let scope: Scope;
let tenants = 0;

beforeAll(async () => {
  files = await openFiles();
});
beforeEach(() => {
  tenants += 1;
  scope = { tenant: `tenant-${tenants}` };
});
afterAll(() => files.close());

describe('a file that expires', () => {
  const seconds = (count: number) => ({ expires_after: { anchor: 'created_at' as const, seconds: count } });

  test('is there until its time, gone from that moment on, and swept up with its bytes', async () => {
    const kept = await files.makeFile(scope, makeBytes(10, 1));
    const file = await files.makeFile(scope, makeBytes(10, 2), seconds(3600));
    files.advance(HOUR_MS - 5_000);
    await files.sweep();
    expect((await getFile(files, scope, file.id)).id).toBe(file.id);
    files.advance(6_000);
    expect(await catchError(getFile(files, scope, file.id))).toMatchObject({ code: 'not_found' });
    expect((await listFiles(files, scope, PAGE, null)).items.map(({ record }) => record.id)).toEqual([
      kept.id,
    ]);
    expect(await files.hasBytes(scope.tenant, file.id)).toBe(true);
    expect(await files.sweep()).toBe(1);
    expect(await files.hasBytes(scope.tenant, file.id)).toBe(false);
    expect(await files.hasBytes(scope.tenant, kept.id)).toBe(true);
    expect(files.detached).toContain(`${scope.tenant}/${file.id}`);
    expect([await files.countExpirations(), await files.countNotes()]).toEqual([0, 0]);
  });

  test('is swept by several processes at once without an error', async () => {
    const made = await Promise.all(
      Array.from({ length: 12 }, () => files.makeFile(scope, makeBytes(10, 2), seconds(3600))),
    );
    files.advance(2 * HOUR_MS);
    files.logged.length = 0;
    await Promise.all([files.sweep(), files.sweep(), files.sweep()]);
    await files.sweep();
    expect(files.logged).toEqual([]);
    for (const { id } of made) expect(await files.hasBytes(scope.tenant, id)).toBe(false);
    expect([await files.countExpirations(), await files.countNotes()]).toEqual([0, 0]);
  });
});

describe('an upload that nobody completes', () => {
  const given = { filename: 'a', purpose: 'user_data', bytes: 10, mime_type: 'text/plain' } as const;

  test('expires after an hour: it takes and makes nothing from then on, and its parts go', async () => {
    const { id } = await createUpload(files, scope, given);
    const part = await files.makePart(scope, id, makeBytes(10, 1));
    files.advance(HOUR_MS + 1_000);
    const message = `Upload ${id} is already expired.`;
    for (const when of ['before the sweep', 'after it']) {
      const calls = [
        () => files.makePart(scope, id, makeBytes(10, 2)),
        () => completeUpload(files, scope, id, { part_ids: [part] }),
      ];
      for (const call of calls) expect([when, (await catchError(call())).message]).toEqual([when, message]);
      if (when === 'before the sweep') await files.sweep();
    }
    expect(await files.hasBytes(scope.tenant, part)).toBe(false);
    const { record } = (await files.store.get<{ id: string; status: string }>('uploads', scope, id)) ?? {};
    expect(record?.status).toBe('expired');
    expect([await files.countExpirations(), await files.countNotes()]).toEqual([0, 0]);
  });

  test('that was completed leaves its file alone, also where the process died before it had cleaned up', async () => {
    const { id } = await createUpload(files, scope, given);
    const [unused, used] = [
      await files.makePart(scope, id, makeBytes(10, 1)),
      await files.makePart(scope, id, makeBytes(10, 2)),
    ];
    const broken = {
      ...files,
      blobs: {
        ...files.blobs,
        deleteBlob: async () => {
          throw new Error('the process dies here');
        },
      },
    };
    expect(await completeUpload(broken, scope, id, { part_ids: [used] })).toMatchObject({
      status: 'completed',
    });
    const [file] = (await listFiles(files, scope, PAGE, null)).items;
    expect(file?.record).toMatchObject({ bytes: 10, internal: { parts: [{ blob: used, bytes: 10 }] } });
    expect(await files.hasBytes(scope.tenant, unused)).toBe(true);
    files.advance(HOUR_MS + 1_000);
    await files.sweep();
    expect(await files.hasBytes(scope.tenant, unused)).toBe(false);
    expect(await files.hasBytes(scope.tenant, used)).toBe(true);
    expect(await files.countExpirations()).toBe(0);
  });
});

describe('the sweep', () => {
  const seen: string[] = [];
  const note = (id: string): null => {
    seen.push(id);
    return null;
  };
  const insert = (kind: ExpirationKind, id: string, dueMs: number) =>
    files.store.write([toExpirationInsert(scope.tenant, kind, id, dueMs)]);
  beforeEach(() => {
    seen.length = 0;
  });

  test('ends what is due in the order of its time, and nothing that is not, whatever order it came in', async () => {
    const now = files.clock.nowMs();
    for (const [id, inMs] of [
      ['late', 60_000],
      ['c', -1],
      ['a', -3_000],
      ['b', -2_000],
    ] as const) {
      await insert('vector_store', `order-${id}`, now + inMs);
    }
    await files.sweep({ vector_store: async (_, id) => note(id) });
    expect(seen).toEqual(['order-a', 'order-b', 'order-c']);
    await files.store.write([toExpirationDelete('order-late'), toExpirationDelete('not-there')]);
  });

  test('hands over the tenant and asks again when it is told to', async () => {
    const now = files.clock.nowMs();
    await insert('vector_store', 'again', now - 1);
    let next: number | null = now + HOUR_MS;
    const handler = async (tenant: string, id: string): Promise<number | null> => {
      seen.push(`${tenant}/${id}`);
      return next;
    };
    await files.sweep({ vector_store: handler });
    await files.sweep({ vector_store: handler });
    expect(seen).toEqual([`${scope.tenant}/again`]);
    files.advance(HOUR_MS + 1);
    next = null;
    await files.sweep({ vector_store: handler });
    await files.sweep({ vector_store: handler });
    expect(seen).toHaveLength(2);
    expect(await files.countExpirations()).toBe(0);
  });

  test('moves what is given another time', async () => {
    const now = files.clock.nowMs();
    await insert('vector_store', 'moved', now - 1);
    await files.store.write(toExpirationMove(scope.tenant, 'vector_store', 'moved', now + HOUR_MS));
    await files.store.write(toExpirationMove(scope.tenant, 'vector_store', 'new', now + HOUR_MS));
    await files.sweep({ vector_store: async (_, id) => note(id) });
    expect(seen).toEqual([]);
    files.advance(HOUR_MS + 1);
    await files.sweep({ vector_store: async (_, id) => note(id) });
    expect(seen.toSorted()).toEqual(['moved', 'new']);
  });

  test('goes on behind one that fails, says so, and tries it again the next time', async () => {
    const now = files.clock.nowMs();
    for (let i = 0; i < 250; i += 1) await insert('vector_store', `many-${i}`, now - 1000 + i);
    let fails = true;
    const handler = async (_: string, id: string): Promise<null> => {
      if (fails && id === 'many-3') throw new ApiError('service_unavailable', 'not now');
      return note(id);
    };
    files.logged.length = 0;
    expect(await files.sweep({ vector_store: handler })).toBe(249);
    expect(files.logged.filter((line) => line.includes('many-3'))).toHaveLength(1);
    fails = false;
    expect(await files.sweep({ vector_store: handler })).toBe(1);
    expect(new Set(seen).size).toBe(250);
    expect(seen).toHaveLength(250);
  });
});
