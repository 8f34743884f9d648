/** Uploads in parts: through the official client, in parallel, and with everything that may be wrong with them. */

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { toFile } from 'openai';
import type { UploadRecord } from '../../src/services/upload-records.ts';
import { makeBytes, toHash } from '../contract/blob-store.ts';
import { connectRaw, toFilePart, toFormBytes, toHead, toOpenForm } from '../support/forms.ts';
import { startServer, type TestServer, waitUntil } from '../support/server.ts';
import { countPieces, countRecords, readRecords, useStore } from '../support/stored.ts';

const MIB = 1024 * 1024;
/** Whose all records of an open server are. */
const OPEN_TENANT = 'default';
let server: TestServer;

beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.stop());

const NEW = { filename: 'whole.bin', purpose: 'user_data', mime_type: 'application/octet-stream' } as const;

async function create(bytes: number, more: Record<string, unknown> = {}) {
  const { status, json, text } = await server.call('POST', '/v1/uploads', { ...NEW, bytes, ...more });
  if (status !== 200) throw new Error(text);
  return json as { id: string; created_at: number; expires_at: number };
}

async function add(uploadId: string, bytes: Uint8Array): Promise<string> {
  const data = await toFile(bytes, 'part');
  return (await server.client().uploads.parts.create(uploadId, { data })).id;
}

function complete(uploadId: string, partIds: readonly string[], md5?: string) {
  return server.call('POST', `/v1/uploads/${uploadId}/complete`, {
    part_ids: partIds,
    ...(md5 === undefined ? {} : { md5 }),
  });
}

const cancel = (uploadId: string) => server.call('POST', `/v1/uploads/${uploadId}/cancel`);

async function readContent(fileId: string): Promise<Uint8Array> {
  const content = await server.client().files.content(fileId);
  return new Uint8Array(await content.arrayBuffer());
}

describe('the official client', () => {
  test('sends parts in parallel, in any order, and gets them back in the order that it names', async () => {
    const client = server.client();
    const bytes = makeBytes(7 * MIB + 13, 1);
    const upload = await client.uploads.create({ ...NEW, bytes: bytes.length, filename: 'Ü 日本.bin' });
    expect(upload).toMatchObject({ object: 'upload', status: 'pending', bytes: bytes.length, file: null });
    expect(upload.expires_at).toBe(upload.created_at + 3600);
    const size = 1_000_003;
    const count = Math.ceil(bytes.length / size);
    const shuffled = Array.from({ length: count }, (_, i) => (i * 5) % count);
    expect(new Set(shuffled).size).toBe(count);
    const ids = new Map<number, string>();
    await Promise.all(
      shuffled.map(async (index) => {
        const data = await toFile(bytes.slice(index * size, (index + 1) * size), 'part');
        const part = await client.uploads.parts.create(upload.id, { data });
        expect(part).toMatchObject({ object: 'upload.part', upload_id: upload.id });
        ids.set(index, part.id);
      }),
    );
    const done = await client.uploads.complete(upload.id, {
      part_ids: Array.from({ length: count }, (_, index) => ids.get(index) ?? ''),
      md5: createHash('md5').update(bytes).digest('hex'),
    });
    expect(done).toMatchObject({ status: 'completed', id: upload.id });
    expect(done.file).toMatchObject({
      object: 'file',
      bytes: bytes.length,
      filename: 'Ü 日本.bin',
      status: 'processed',
    });
    const file = done.file?.id ?? '';
    expect(toHash(await readContent(file))).toBe(toHash(bytes));
    expect(await client.files.retrieve(file)).toEqual(done.file ?? expect.unreachable());
    const range = await client.files.content(file, { headers: { range: `bytes=${size - 5}-${size + 4}` } });
    expect(new Uint8Array(await range.arrayBuffer())).toEqual(bytes.slice(size - 5, size + 5));
    await client.files.delete(file);
    expect(await countRecords(server.dataDirectory, 'upload_parts')).toBe(0);
  });

  test('cancels, which frees the space', async () => {
    const client = server.client();
    const before = await countPieces(server.dataDirectory);
    const upload = await client.uploads.create({ ...NEW, bytes: MIB });
    await add(upload.id, makeBytes(MIB, 1));
    expect(await countPieces(server.dataDirectory)).toBe(before + 4);
    expect(await client.uploads.cancel(upload.id)).toMatchObject({ status: 'cancelled', file: null });
    expect(await countPieces(server.dataDirectory)).toBe(before);
    expect(await countRecords(server.dataDirectory, 'upload_parts')).toBe(0);
  });

  test('makes a file that expires when asked to', async () => {
    const client = server.client();
    const expires_after = { anchor: 'created_at', seconds: 3600 } as const;
    const upload = await client.uploads.create({ ...NEW, bytes: 3, expires_after });
    const done = await client.uploads.complete(upload.id, {
      part_ids: [await add(upload.id, makeBytes(3, 1))],
    });
    expect(done.file?.expires_at).toBe((done.file?.created_at ?? 0) + 3600);
  });
});

describe('completing', () => {
  test('frees parts that are not named, and copies none', async () => {
    const before = await countPieces(server.dataDirectory);
    const { id } = await create(1000);
    await add(id, makeBytes(MIB, 1));
    const used = await add(id, makeBytes(1000, 2));
    const { status, json } = await complete(id, [used]);
    expect(status).toBe(200);
    expect(await countPieces(server.dataDirectory)).toBe(before + 1);
    expect(await readContent(json.file.id)).toEqual(makeBytes(1000, 2));
    await server.client().files.delete(json.file.id);
    expect(await countPieces(server.dataDirectory)).toBe(before);
  });

  test('is refused while sizes, parts or sum are wrong, and possible afterwards', async () => {
    const { id } = await create(20);
    const other = await create(20);
    const [first, second] = [await add(id, makeBytes(10, 1)), await add(id, makeBytes(10, 2))];
    const foreign = await add(other.id, makeBytes(10, 3));
    const bytes = Buffer.concat([makeBytes(10, 2), makeBytes(10, 1)]);
    const md5 = createHash('md5').update(bytes).digest('hex');
    const refused: [partIds: string[], md5: string | undefined, param: string][] = [
      [[first], undefined, 'part_ids'],
      [[], undefined, 'part_ids'],
      [[first, first], undefined, 'part_ids'],
      [[first, 'part_x'], undefined, 'part_ids[1]'],
      [[first, foreign], undefined, 'part_ids[1]'],
      [[first, second], md5, 'md5'],
      [[second, first], 'f'.repeat(31), 'md5'],
    ];
    for (const [partIds, sum, param] of refused) {
      const { status, json } = await complete(id, partIds, sum);
      expect([status, json.error.type, json.error.param]).toEqual([400, 'invalid_request_error', param]);
    }
    expect((await server.call('POST', `/v1/uploads/${id}/complete`, {})).json.error.param).toBe('part_ids');
    const { status, json } = await complete(id, [second, first], md5.toUpperCase());
    expect([status, json.status]).toEqual([200, 'completed']);
    expect(Buffer.from(await readContent(json.file.id))).toEqual(bytes);
  });

  test('and cancelling are each the end: nothing follows', async () => {
    const completed = await create(10);
    const part = await add(completed.id, makeBytes(10, 1));
    await complete(completed.id, [part]);
    const cancelled = await create(10);
    await cancel(cancelled.id);
    const ended = [
      [completed.id, 'completed'],
      [cancelled.id, 'cancelled'],
    ] as const;
    for (const [id, word] of ended) {
      const form = new FormData();
      form.append('data', new File(['x'], 'part'));
      const answers = [
        await server.call('POST', `/v1/uploads/${id}/parts`, form),
        await complete(id, [part]),
        await cancel(id),
      ];
      for (const { status, json } of answers) {
        expect([status, json.error.message]).toEqual([400, `Upload ${id} is already ${word}.`]);
      }
    }
  });

  test('by several at once, beside those that cancel: exactly one wins, each time', async () => {
    for (let round = 0; round < 8; round += 1) {
      const { id } = await create(10);
      const part = await add(id, makeBytes(10, round));
      const answers = await Promise.all(
        Array.from({ length: 8 }, (_, i) => (i % 2 === 0 ? complete(id, [part]) : cancel(id))),
      );
      const won = answers.filter(({ status }) => status === 200);
      expect([won.length, answers.filter(({ status }) => status === 400).length]).toEqual([1, 7]);
      const file = won[0]?.json.file?.id;
      if (file === undefined) continue;
      expect(await readContent(file)).toEqual(makeBytes(10, round));
    }
  });

  test('and adding at once: a part is in the file or refused, and none is left over', async () => {
    const before = await countPieces(server.dataDirectory);
    const partsBefore = await countRecords(server.dataDirectory, 'upload_parts');
    const { id } = await create(10);
    const part = await add(id, makeBytes(10, 1));
    const adding = Array.from({ length: 8 }, () =>
      add(id, makeBytes(10, 2)).then(
        () => 200,
        (error) => error.status,
      ),
    );
    const { json } = await complete(id, [part]);
    const outcomes = await Promise.all(adding);
    expect(outcomes.filter((status) => status !== 200 && status !== 400)).toEqual([]);
    await waitUntil(
      'only the part that was named is left',
      async () => (await countPieces(server.dataDirectory)) === before + 1,
    );
    expect(await countRecords(server.dataDirectory, 'upload_parts')).toBe(partsBefore);
    expect(await readContent(json.file.id)).toEqual(makeBytes(10, 1));
  });
});

describe('what is refused', () => {
  const bad: Readonly<Record<string, [more: Record<string, unknown>, param: string]>> = {
    'more than 8 GiB': [{ bytes: 8 * 1024 ** 3 + 1 }, 'bytes'],
    'no bytes at all': [{ bytes: 0 }, 'bytes'],
    'bytes that are no number': [{ bytes: '10' }, 'bytes'],
    'an unknown purpose': [{ purpose: 'nonsense' }, 'purpose'],
    'a type that is none': [{ mime_type: 'text' }, 'mime_type'],
    'a batch that is no .jsonl': [
      { purpose: 'batch', filename: 'a.txt', mime_type: 'text/plain' },
      'filename',
    ],
    'a batch of pictures': [{ purpose: 'batch', filename: 'a.jsonl', mime_type: 'image/png' }, 'mime_type'],
    'a picture that is a text': [{ purpose: 'vision', mime_type: 'text/plain' }, 'mime_type'],
    'an empty name': [{ filename: '' }, 'filename'],
    'an expiry beyond 30 days': [
      { expires_after: { anchor: 'created_at', seconds: 2_592_001 } },
      'expires_after.seconds',
    ],
  };
  for (const [name, [more, param]] of Object.entries(bad)) {
    test(`${name}: 400 that names '${param}'`, async () => {
      const { status, json } = await server.call('POST', '/v1/uploads', { ...NEW, bytes: 10, ...more });
      expect([status, json.error.param]).toEqual([400, param]);
    });
  }

  test('the largest upload may be declared', async () => {
    expect((await create(8 * 1024 ** 3)).id).toStartWith('upload_');
  });

  test('an empty part, and one of more than 64 MiB before a byte of it is read', async () => {
    const { id } = await create(10);
    const empty = new FormData();
    empty.append('data', new File([], 'part'));
    const { status, json } = await server.call('POST', `/v1/uploads/${id}/parts`, empty);
    expect([status, json.error.param]).toEqual([400, 'data']);
    const connection = await connectRaw(server.url);
    await connection.write(toHead(`/v1/uploads/${id}/parts`, 70 * MIB));
    await waitUntil('the refusal has come', () => connection.received().includes('\r\n\r\n'));
    expect(connection.received()).toStartWith('HTTP/1.1 413 ');
    connection.abort();
    expect(await countRecords(server.dataDirectory, 'loose_blobs')).toBe(0);
  });

  test('more parts than an upload may have', async () => {
    const { id } = await create(10);
    const count = 1000;
    const form = toFormBytes([toFilePart('data', 'filename="p"', 'x')]);
    // What a thousand requests would do, written by hand: the upload's own count is what is asked.
    const [upload] = (await readRecords(server.dataDirectory, 'uploads')).filter((one) => one.id === id);
    await useStore(server.dataDirectory, (store) =>
      store.update<UploadRecord>('uploads', { tenant: OPEN_TENANT }, id, {
        internal: { ...upload?.document.internal, parts: count - 1 },
      }),
    );
    const post = () =>
      fetch(`${server.url}/v1/uploads/${id}/parts`, {
        method: 'POST',
        headers: { 'content-type': 'multipart/form-data; boundary=----boundary4471' },
        body: form,
      });
    const statuses = await Promise.all(Array.from({ length: 4 }, async () => (await post()).status));
    expect(statuses.toSorted()).toEqual([200, 400, 400, 400]);
  });
});

test('kill -9 while parts come: after a restart the upload goes on with the parts that were acknowledged', async () => {
  const dataDirectory = await mkdtemp(join(tmpdir(), 'understudy-uploads-'));
  const first = await startServer({ dataDirectory });
  const client = first.client();
  const upload = await client.uploads.create({ ...NEW, bytes: 2 * MIB });
  const part = await client.uploads.parts.create(upload.id, { data: await toFile(makeBytes(MIB, 1), 'p') });
  const connection = await connectRaw(first.url);
  await connection.write(toHead(`/v1/uploads/${upload.id}/parts`, 20 * MIB));
  await connection.write(toOpenForm([toFilePart('data', 'filename="p"', makeBytes(4 * MIB, 2))]));
  await waitUntil('some of it is stored', async () => (await countPieces(dataDirectory)) > 12);
  await first.kill();

  const second = await startServer({ dataDirectory });
  await waitUntil('what was not acknowledged is gone', async () => (await countPieces(dataDirectory)) === 4);
  const again = second.client();
  const rest = await again.uploads.parts.create(upload.id, { data: await toFile(makeBytes(MIB, 3), 'p') });
  const done = await again.uploads.complete(upload.id, { part_ids: [part.id, rest.id] });
  const content = new Uint8Array(await (await again.files.content(done.file?.id ?? '')).arrayBuffer());
  expect(toHash(content)).toBe(toHash(Buffer.concat([makeBytes(MIB, 1), makeBytes(MIB, 3)])));
  expect(await countRecords(dataDirectory, 'loose_blobs')).toBe(0);
  await second.stop();
  await rm(dataDirectory, { recursive: true });
}, 60_000);
