/** Files as pictures: what is read of real files in real stores. */

import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../src/clock.ts';
import { readImageFile } from '../../src/services/file-images.ts';
import type { BlobStore } from '../../src/store/blob-store.ts';
import { writeBlob } from '../../src/store/blobs.ts';
import { createSqliteBlobStore } from '../../src/store/sqlite/blob-store.ts';
import { createSqliteStore } from '../../src/store/sqlite/sqlite-store.ts';
import type { Store } from '../../src/store/store.ts';

let directory: string;
let store: Store;
let blobs: BlobStore;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'understudy-pictures-'));
  [store, blobs] = await Promise.all([
    createSqliteStore({ directory }),
    createSqliteBlobStore({ directory }),
  ]);
});

afterAll(async () => {
  await Promise.all([store.close(), blobs.close()]);
  await rm(directory, { recursive: true, force: true });
});

const SCOPE = { tenant: 'test' };

async function addFile(id: string, bytes: Uint8Array, fields: object = {}): Promise<void> {
  await writeBlob(blobs, 'test', id, new Blob([bytes.slice()]).stream());
  const internal = { parts: [{ blob: id, bytes: bytes.length }], content_type: null };
  await store.insert('files', SCOPE, { id, bytes: bytes.length, filename: 'x', internal, ...fields });
}

const read = (id: string, bytesMax = 1_000_000, tenant = 'test') =>
  readImageFile({ store, blobs, clock: systemClock }, tenant, id, bytesMax);

const BEGINNINGS = {
  'image/png': [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a],
  'image/jpeg': [0xff, 0xd8, 0xff, 0xe0],
  'image/gif': [...Buffer.from('GIF89a')],
  'image/webp': [...Buffer.from('RIFF\u0001\u0002\u0003\u0004WEBP', 'latin1')],
};

for (const [type, beginning] of Object.entries(BEGINNINGS)) {
  test(`${type} is known by its bytes, and comes whole, over many pieces`, async () => {
    const bytes = new Uint8Array(600_001).map((_, at) => beginning[at] ?? at % 251);
    await addFile(type, bytes);
    const [head, body = ''] = (await read(type))?.split(',') ?? [];
    expect(head).toBe(`data:${type};base64`);
    expect(Buffer.from(body, 'base64').equals(Buffer.from(bytes))).toBe(true);
  });
}

test('what is no picture, too large, expired, gone or of another tenant is none', async () => {
  const png = new Uint8Array(BEGINNINGS['image/png']);
  await addFile('text', new TextEncoder().encode('Only words.'));
  await addFile('small', png);
  await addFile('expired', png, { expires_at: 1 });
  expect(await read('small')).toStartWith('data:image/png;base64,');
  expect(await read('text')).toBeNull();
  expect(await read('small', png.length - 1)).toBeNull();
  expect(await read('expired')).toBeNull();
  expect(await read('nobody')).toBeNull();
  expect(await read('small', 1_000, 'another')).toBeNull();
});

test('a picture that is deleted amid its reading is none, and bytes that are lost are an error', async () => {
  await addFile('file-cut', new Uint8Array(600_001).fill(1));
  await blobs.deleteBlob('test', 'file-cut');
  const lost = await read('file-cut').catch((error: unknown) => error);
  expect(lost).toMatchObject({ name: 'StoreError', code: 'unavailable' });
  await addFile('file-gone', new Uint8Array(600_001).fill(1));
  const deleting = { ...blobs, getPiece: toDeletingRead('file-gone') };
  const found = readImageFile({ store, blobs: deleting, clock: systemClock }, 'test', 'file-gone', 1_000_000);
  expect(await found).toBeNull();
});

/** Deletes the file behind its first piece. */
function toDeletingRead(id: string): BlobStore['getPiece'] {
  return async (tenant, blob, index) => {
    if (index === 1) {
      await store.delete('files', SCOPE, id);
      await blobs.deleteBlob(tenant, blob);
    }
    return await blobs.getPiece(tenant, blob, index);
  };
}
