/** Bytes without a record: whose they are, and when they go. */

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { type LooseBlobRecord, rethrowGivenUp } from '../../src/services/blob-drafts.ts';
import { deleteFile } from '../../src/services/files.ts';
import { makeBytes } from '../contract/blob-store.ts';
import { catchError, type Files, HOUR_MS, openFiles, SYSTEM } from './file-fixture.ts';

const TENANT = 't';
let files: Files;

beforeAll(async () => {
  files = await openFiles();
});
afterAll(() => files.close());

/** A draft of another process with some bytes in it. */
async function beginElsewhere(pid: number, host?: string) {
  const drafts = files.openDrafts(pid, host);
  const draft = await drafts.begin(TENANT, files.ids.create('file'));
  draft.writer.append(makeBytes(300_000, pid));
  await draft.writer.finish();
  return { draft, drafts };
}

const isThere = (blob: string) => files.hasBytes(TENANT, blob);

describe('bytes that are being written', () => {
  test('stay while their process lives, however long it takes, and however many others sweep', async () => {
    const { draft, drafts } = await beginElsewhere(20);
    for (let hours = 0; hours < 5; hours += 1) {
      files.advance(HOUR_MS / 2);
      await drafts.sweep();
      await files.drafts.sweep();
      await files.openDrafts(7, 'another-host').sweep();
      expect(await isThere(draft.blob)).toBe(true);
    }
    await files.store.write(draft.toKeepWrites());
    draft.keep();
    await files.drafts.sweep();
    expect(await isThere(draft.blob)).toBe(true);
    expect(await files.countNotes()).toBe(0);
  });

  test('go when their process has died: at once on its host, after an hour elsewhere', async () => {
    const { draft } = await beginElsewhere(21);
    await files.openDrafts(7, 'another-host').sweep();
    expect(await isThere(draft.blob)).toBe(true);
    files.deadPids.add(21);
    await files.openDrafts(7, 'another-host').sweep();
    expect(await isThere(draft.blob)).toBe(true);
    expect(await files.drafts.sweep()).toBe(1);
    expect(await isThere(draft.blob)).toBe(false);

    const other = await beginElsewhere(22);
    files.deadPids.add(22);
    files.advance(HOUR_MS + 1);
    expect(await files.openDrafts(7, 'another-host').sweep()).toBe(1);
    expect(await isThere(other.draft.blob)).toBe(false);
    expect(await files.countNotes()).toBe(0);
  });

  test('that were given up can not be made visible any more, and are not lost silently', async () => {
    const { draft } = await beginElsewhere(23);
    files.deadPids.add(23);
    await files.drafts.sweep();
    const error = await catchError(files.store.write(draft.toKeepWrites()).catch(rethrowGivenUp));
    expect(error).toMatchObject({ code: 'service_unavailable' });
  });

  test('go when they are discarded, but not once they have been made visible', async () => {
    const { draft } = await beginElsewhere(24);
    await draft.discard();
    expect(await isThere(draft.blob)).toBe(false);
    const { draft: visible } = await beginElsewhere(24);
    await files.store.write(visible.toKeepWrites());
    // As where the answer of that write was lost on its way.
    await visible.discard();
    expect(await isThere(visible.blob)).toBe(true);
    expect(await files.countNotes()).toBe(0);
  });

  test('whose removal fails are removed by the next sweep', async () => {
    let fails = true;
    const blobs = {
      ...files.blobs,
      deleteBlob(tenant: string, blob: string): Promise<void> {
        if (fails) throw new Error('the disk is full');
        return files.blobs.deleteBlob(tenant, blob);
      },
    };
    const drafts = files.openDrafts(25, 'host', { blobs });
    const draft = await drafts.begin(TENANT, files.ids.create('file'));
    draft.writer.append(makeBytes(300_000, 1));
    await draft.writer.finish();
    await draft.discard();
    expect(await isThere(draft.blob)).toBe(true);
    fails = false;
    expect(await drafts.sweep()).toBe(1);
    expect(await isThere(draft.blob)).toBe(false);
  });

  test('are waited for when the server stops, for as long as the grace is', async () => {
    const { draft, drafts } = await beginElsewhere(26);
    await drafts.drain(1);
    const drained = drafts.drain(60_000);
    await draft.discard();
    await drained;
    await drafts.drain(60_000);
  });
});

describe('a file that is deleted', () => {
  test('takes its bytes along, and leaves its vector stores first', async () => {
    const file = await files.makeFile({ tenant: TENANT }, makeBytes(500_000, 1));
    expect(await deleteFile(files, { tenant: TENANT }, file.id)).toEqual({
      id: file.id,
      object: 'file',
      deleted: true,
    });
    expect(await isThere(file.id)).toBe(false);
    expect(files.detached).toContain(`${TENANT}/${file.id}`);
    expect(await files.countNotes()).toBe(0);
    expect(await catchError(deleteFile(files, { tenant: TENANT }, file.id))).toMatchObject({
      code: 'not_found',
    });
  });

  test('is finished by the sweep where the process died in the middle: out of its vector stores, then its bytes', async () => {
    const file = await files.makeFile({ tenant: TENANT }, makeBytes(500_000, 1));
    const broken = {
      ...files,
      detachFile: async () => {
        throw new Error('the process dies here');
      },
    };
    expect(await deleteFile(broken, { tenant: TENANT }, file.id)).toMatchObject({ deleted: true });
    expect(await files.store.get('files', { tenant: TENANT }, file.id)).toBeNull();
    expect(await isThere(file.id)).toBe(true);
    expect(await files.drafts.sweep()).toBe(1);
    expect(files.detached).toContain(`${TENANT}/${file.id}`);
    expect(await isThere(file.id)).toBe(false);
  });

  test('by several at once is deleted once', async () => {
    const file = await files.makeFile({ tenant: TENANT }, makeBytes(10, 1));
    const outcomes = await Promise.all(
      Array.from({ length: 6 }, () =>
        deleteFile(files, { tenant: TENANT }, file.id).then(
          () => 'deleted',
          (error) => error.code,
        ),
      ),
    );
    expect(outcomes.toSorted()).toEqual(['deleted', ...Array.from({ length: 5 }, () => 'not_found')]);
  });
});

test('a foreign tenant sees neither a file nor its bytes', async () => {
  const file = await files.makeFile({ tenant: TENANT }, makeBytes(10, 1));
  expect(await catchError(deleteFile(files, { tenant: 'other' }, file.id))).toMatchObject({
    code: 'not_found',
  });
  expect(await files.hasBytes('other', file.id)).toBe(false);
  expect(await isThere(file.id)).toBe(true);
});

test('notes are found page after page, however many there are', async () => {
  const notes = Array.from({ length: 1100 }, (): LooseBlobRecord => {
    return {
      id: files.ids.create('file'),
      tenant: TENANT,
      blobs: [],
      owner: 'host/99/x',
      until_ms: 0,
      was_file: false,
    };
  });
  for (let at = 0; at < notes.length; at += 250) {
    await files.store.write(
      notes
        .slice(at, at + 250)
        .map((record) => ({ kind: 'insert', collection: 'loose_blobs', scope: SYSTEM, record })),
    );
  }
  expect(await files.drafts.sweep()).toBe(1100);
  expect(await files.countNotes()).toBe(0);
}, 30_000);
