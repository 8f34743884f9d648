/**
 * The contract of the blob store port (`src/store/blob-store.ts`), rule by rule. An engine joins by one line in
 * `blob-store.test.ts` and passes every case; none is skipped.
 */

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { type BlobStore, PIECE_BYTES_MAX } from '../../src/store/blob-store.ts';
import { createBlobWriter, PIECES_IN_FLIGHT_MAX, readBlobs, writeBlob } from '../../src/store/blobs.ts';
import { expectRefusal } from './store-fixture.ts';

/** One engine's store over storage of its own. */
export interface OpenedBlobStore {
  readonly blobs: BlobStore;
  /** Another store over the same storage, beside the first or after it was closed. */
  reopen(): Promise<BlobStore>;
  /** Closes what is open and removes the storage. */
  close(): Promise<void>;
}

export type OpenBlobStore = () => Promise<OpenedBlobStore>;

/** Bytes that differ from place to place and from seed to seed. */
export function makeBytes(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = (seed + 1) * 2_654_435_761;
  for (let i = 0; i < length; i += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

export function toHash(bytes: Uint8Array): string {
  return new Bun.CryptoHasher('sha256').update(bytes).digest('hex');
}

async function readAll(stream: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Declares the cases. `open` answers a store over new, empty storage each time. */
export function describeBlobStoreContract(name: string, open: OpenBlobStore): void {
  describe(`blob store contract: ${name}`, () => {
    let opened: OpenedBlobStore;
    let made = 0;
    const newBlob = (): string => {
      made += 1;
      return `blob-${made}`;
    };
    beforeAll(async () => {
      opened = await open();
    });
    afterAll(() => opened.close());

    describePieces(() => opened, newBlob);
    describeStreams(() => opened, newBlob);
    describeEnd(open);
  });
}

function describePieces(get: () => OpenedBlobStore, newBlob: () => string): void {
  for (const length of [0, 1, 4095, PIECE_BYTES_MAX - 1, PIECE_BYTES_MAX]) {
    test(`a piece of ${length} bytes comes back as it was`, async () => {
      const { blobs } = get();
      const blob = newBlob();
      await blobs.putPiece('t', blob, 0, makeBytes(length, length));
      expect(toHash((await blobs.getPiece('t', blob, 0)) ?? new Uint8Array(1))).toBe(
        toHash(makeBytes(length, length)),
      );
    });
  }

  test('what was handed in as part of a larger buffer is that part, and the buffer stays usable', async () => {
    const { blobs } = get();
    const blob = newBlob();
    const whole = makeBytes(1000, 1);
    await blobs.putPiece('t', blob, 0, whole.subarray(100, 200));
    expect(await blobs.getPiece('t', blob, 0)).toEqual(makeBytes(1000, 1).slice(100, 200));
    expect(whole).toEqual(makeBytes(1000, 1));
  });

  test('a piece, a blob and a tenant that are not there are null, beside ones that are', async () => {
    const { blobs } = get();
    const blob = newBlob();
    await blobs.putPiece('t', blob, 1, makeBytes(10, 1));
    expect(await blobs.getPiece('t', blob, 0)).toBeNull();
    expect(await blobs.getPiece('t', blob, 2)).toBeNull();
    expect(await blobs.getPiece('t', newBlob(), 1)).toBeNull();
    expect(await blobs.getPiece('other', blob, 1)).toBeNull();
  });

  test('writing a piece again replaces it', async () => {
    const { blobs } = get();
    const blob = newBlob();
    await blobs.putPiece('t', blob, 0, makeBytes(5000, 1));
    await blobs.putPiece('t', blob, 0, makeBytes(20, 2));
    expect(await blobs.getPiece('t', blob, 0)).toEqual(makeBytes(20, 2));
  });

  test('a piece that is too large, a negative place and an empty name are refused as misuse', async () => {
    const { blobs } = get();
    await expectRefusal(blobs.putPiece('t', newBlob(), 0, new Uint8Array(PIECE_BYTES_MAX + 1)), 'misuse');
    await expectRefusal(blobs.putPiece('t', newBlob(), -1, new Uint8Array(1)), 'misuse');
    await expectRefusal(blobs.putPiece('t', newBlob(), 0.5, new Uint8Array(1)), 'misuse');
    await expectRefusal(blobs.putPiece('t', '', 0, new Uint8Array(1)), 'misuse');
    await expectRefusal(blobs.putPiece('', newBlob(), 0, new Uint8Array(1)), 'misuse');
  });

  test('what one store has acknowledged another over the same storage reads', async () => {
    const { blobs, reopen } = get();
    const other = await reopen();
    const blob = newBlob();
    await blobs.putPiece('t', blob, 0, makeBytes(100, 1));
    expect(await other.getPiece('t', blob, 0)).toEqual(makeBytes(100, 1));
    await other.deleteBlob('t', blob);
    expect(await blobs.getPiece('t', blob, 0)).toBeNull();
    await other.close();
  });

  test('deleting takes every piece of that blob and of no other, and may be done again', async () => {
    const { blobs } = get();
    const [blob, other] = [newBlob(), newBlob()];
    const count = 200;
    for (const name of [blob, other]) {
      await Promise.all(
        Array.from({ length: count }, (_, index) => blobs.putPiece('t', name, index, makeBytes(300, index))),
      );
    }
    await blobs.putPiece('u', blob, 0, makeBytes(3, 3));
    await blobs.deleteBlob('t', blob);
    await blobs.deleteBlob('t', blob);
    const left = await Promise.all(Array.from({ length: count }, (_, i) => blobs.getPiece('t', blob, i)));
    expect(left.filter((piece) => piece !== null)).toEqual([]);
    const kept = await Promise.all(Array.from({ length: count }, (_, i) => blobs.getPiece('t', other, i)));
    expect(kept.every((piece, index) => Bun.deepEquals(piece, makeBytes(300, index)))).toBe(true);
    expect(await blobs.getPiece('u', blob, 0)).toEqual(makeBytes(3, 3));
  });

  test('a blob can be written anew after it was deleted', async () => {
    const { blobs } = get();
    const blob = newBlob();
    await blobs.putPiece('t', blob, 0, makeBytes(10, 1));
    await blobs.deleteBlob('t', blob);
    await blobs.putPiece('t', blob, 0, makeBytes(10, 2));
    expect(await blobs.getPiece('t', blob, 0)).toEqual(makeBytes(10, 2));
  });

  test('many pieces at once, of many blobs, each come to their place', async () => {
    const { blobs } = get();
    const names = Array.from({ length: 10 }, newBlob);
    const places = names.flatMap((name, n) => Array.from({ length: 20 }, (_, i) => ({ name, n, i })));
    await Promise.all(
      places.map(({ name, n, i }) => blobs.putPiece('t', name, i, makeBytes(2000, n * 100 + i))),
    );
    const found = await Promise.all(places.map(({ name, i }) => blobs.getPiece('t', name, i)));
    expect(places.filter(({ n, i }, at) => !Bun.deepEquals(found[at], makeBytes(2000, n * 100 + i)))).toEqual(
      [],
    );
  });
}

function describeStreams(get: () => OpenedBlobStore, newBlob: () => string): void {
  for (const length of [0, 1, PIECE_BYTES_MAX - 1, PIECE_BYTES_MAX, PIECE_BYTES_MAX + 1, 3_000_000]) {
    test(`a stream of ${length} bytes in odd portions comes back byte for byte`, async () => {
      const { blobs } = get();
      const blob = newBlob();
      const bytes = makeBytes(length, 7);
      expect(await writeBlob(blobs, 't', blob, toStream(bytes, 77_777))).toBe(length);
      const read = await readAll(readBlobs(blobs, 't', [{ blob, bytes: length }]));
      expect(toHash(read)).toBe(toHash(bytes));
    });
  }

  test('several blobs are read as one, and every range of them is that range', async () => {
    const { blobs } = get();
    const lengths = [1000, PIECE_BYTES_MAX, 0, PIECE_BYTES_MAX * 2 + 17, 5];
    const parts = lengths.map((bytes) => ({ blob: newBlob(), bytes }));
    const contents = lengths.map((length, index) => makeBytes(length, index));
    for (const [at, part] of parts.entries()) {
      await writeBlob(blobs, 't', part.blob, toStream(contents[at] ?? new Uint8Array(), 100_000));
    }
    const whole = new Uint8Array(Buffer.concat(contents));
    expect(toHash(await readAll(readBlobs(blobs, 't', parts)))).toBe(toHash(whole));
    const edges = [0, 1, 999, 1000, 1001, 1000 + PIECE_BYTES_MAX, whole.length - 6, whole.length - 1];
    for (const start of edges) {
      for (const end of [start + 1, start + 2000, start + PIECE_BYTES_MAX + 1, whole.length]) {
        const read = await readAll(readBlobs(blobs, 't', parts, { start, end }));
        expect(toHash(read)).toBe(toHash(whole.slice(start, end)));
      }
    }
  });

  test('a writer waits for the store: no more than its few pieces are on their way', async () => {
    let underWay = 0;
    let mostUnderWay = 0;
    const { blobs } = get();
    const counted: BlobStore = {
      ...blobs,
      async putPiece(...place) {
        underWay += 1;
        mostUnderWay = Math.max(mostUnderWay, underWay);
        await blobs.putPiece(...place);
        underWay -= 1;
      },
    };
    const writer = createBlobWriter(counted, 't', newBlob());
    for (let i = 0; i < 60; i += 1) {
      writer.append(makeBytes(100_000, i));
      await writer.drain();
    }
    await writer.finish();
    expect(mostUnderWay).toBeGreaterThan(1);
    expect(mostUnderWay).toBeLessThanOrEqual(PIECES_IN_FLIGHT_MAX);
  });

  test('a reader is read ahead of by few pieces, however long it waits', async () => {
    const { blobs } = get();
    const blob = newBlob();
    const length = PIECE_BYTES_MAX * 12;
    await writeBlob(blobs, 't', blob, toStream(makeBytes(length, 3), 500_000));
    let reads = 0;
    const counted: BlobStore = {
      ...blobs,
      getPiece(...place) {
        reads += 1;
        return blobs.getPiece(...place);
      },
    };
    const reader = readBlobs(counted, 't', [{ blob, bytes: length }]).getReader();
    await reader.read();
    // Everything that would be read ahead is read before this answers: the store answers in order.
    for (let i = 0; i < 20; i += 1) await blobs.getPiece('t', blob, 0);
    expect(reads).toBeLessThanOrEqual(4);
    await reader.cancel();
  });

  test('the stream of a blob that is deleted meanwhile fails, and does not end as if it were whole', async () => {
    const { blobs } = get();
    const blob = newBlob();
    const length = PIECE_BYTES_MAX * 20;
    await writeBlob(blobs, 't', blob, toStream(makeBytes(length, 3), 500_000));
    const stream = readBlobs(blobs, 't', [{ blob, bytes: length }]);
    const reader = stream.getReader();
    await reader.read();
    await blobs.deleteBlob('t', blob);
    const readOn = async (): Promise<void> => {
      for (let i = 0; i < 20; i += 1) if ((await reader.read()).done) return;
    };
    await expectRefusal(readOn(), 'unavailable');
  });
}

function describeEnd(open: OpenBlobStore): void {
  test('closing writes what was accepted; later calls are refused as unavailable; closing again is no error', async () => {
    const opened = await open();
    const { blobs } = opened;
    const waiting = Array.from({ length: 20 }, (_, i) => blobs.putPiece('t', 'b', i, makeBytes(1000, i)));
    await blobs.close();
    await Promise.all(waiting);
    await blobs.close();
    await expectRefusal(blobs.putPiece('t', 'b', 0, new Uint8Array(1)), 'unavailable');
    await expectRefusal(blobs.getPiece('t', 'b', 0), 'unavailable');
    await expectRefusal(blobs.deleteBlob('t', 'b'), 'unavailable');
    const again = await opened.reopen();
    const found = await Promise.all(Array.from({ length: 20 }, (_, i) => again.getPiece('t', 'b', i)));
    expect(found.every((piece, i) => Bun.deepEquals(piece, makeBytes(1000, i)))).toBe(true);
    await opened.close();
  });
}

function toStream(bytes: Uint8Array, portion: number): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at >= bytes.length) controller.close();
      else controller.enqueue(bytes.slice(at, at + portion));
      at += portion;
    },
  });
}
