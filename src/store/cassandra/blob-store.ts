/** Bytes of files on Cassandra: a cell a piece, and a partition for so many pieces as a node handles well. */

import { createCallsUnderWay } from '../../cassandra/calls-under-way.ts';
import type { CqlSession } from '../../cassandra/session.ts';
import type { BlobStore } from '../blob-store.ts';
import { checkPiece } from '../checks.ts';

/** 32 MiB of pieces. */
const PIECES_PER_PART = 128;
/** Parts that this process knows to be noted. */
const NOTED_MAX = 4096;
/** Partitions that are removed at once. */
const REMOVED_AT_ONCE = 8;
/** Parts that are read at once of one blob: 128 GiB. */
const PARTS_MAX = 4096;

export interface CassandraBlobStoreOptions {
  /** Of a keyspace in which the tables of `toStoreMigrations` are. Whoever opened it closes it. */
  readonly session: CqlSession;
}

export function createCassandraBlobStore({ session }: CassandraBlobStoreOptions): BlobStore {
  const noted = new Set<string>();
  const calls = createCallsUnderWay('The store of bytes is closed.');
  const { track } = calls;

  /** Before its first piece: a part that nothing tells of would never be removed. */
  const notePart = async (tenant: string, blob: string, part: number): Promise<void> => {
    const name = JSON.stringify([tenant, blob, part]);
    if (noted.has(name)) return;
    await session.write({
      cql: 'INSERT INTO blob_parts (tenant, blob, part) VALUES (?, ?, ?)',
      values: [tenant, blob, part],
    });
    noted.add(name);
    const oldest = noted.values().next();
    if (noted.size > NOTED_MAX && !oldest.done) noted.delete(oldest.value);
  };

  const putPiece = async (tenant: string, blob: string, index: number, bytes: Uint8Array): Promise<void> => {
    const part = Math.floor(index / PIECES_PER_PART);
    await notePart(tenant, blob, part);
    await session.write({
      cql: 'INSERT INTO blob_pieces (tenant, blob, part, piece, bytes) VALUES (?, ?, ?, ?, ?)',
      values: [tenant, blob, part, index, Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)],
    });
  };

  const readPiece = async (tenant: string, blob: string, index: number): Promise<Uint8Array | null> => {
    const [row] = await session.read({
      cql: 'SELECT bytes FROM blob_pieces WHERE tenant = ? AND blob = ? AND part = ? AND piece = ?',
      values: [tenant, blob, Math.floor(index / PIECES_PER_PART), index],
    });
    if (row === undefined) return null;
    // An empty cell comes back as null.
    return row.bytes instanceof Buffer ? new Uint8Array(row.bytes) : new Uint8Array();
  };

  const removePart = async (tenant: string, blob: string, part: number): Promise<void> => {
    await session.write({
      cql: 'DELETE FROM blob_pieces WHERE tenant = ? AND blob = ? AND part = ?',
      values: [tenant, blob, part],
    });
    await session.write({
      cql: 'DELETE FROM blob_parts WHERE tenant = ? AND blob = ? AND part = ?',
      values: [tenant, blob, part],
    });
    noted.delete(JSON.stringify([tenant, blob, part]));
  };

  const removeBlob = async (tenant: string, blob: string): Promise<void> => {
    const rows = await session.read({
      cql: `SELECT part FROM blob_parts WHERE tenant = ? AND blob = ? LIMIT ${PARTS_MAX}`,
      values: [tenant, blob],
    });
    for (let at = 0; at < rows.length; at += REMOVED_AT_ONCE) {
      const parts = rows.slice(at, at + REMOVED_AT_ONCE);
      await Promise.all(parts.map((row) => removePart(tenant, blob, Number(row.part))));
    }
  };

  return {
    async putPiece(tenant, blob, index, bytes) {
      checkPiece(tenant, blob, index, bytes.byteLength);
      await track(() => putPiece(tenant, blob, index, bytes));
    },
    async getPiece(tenant, blob, index) {
      checkPiece(tenant, blob, index, 0);
      return await track(() => readPiece(tenant, blob, index));
    },
    async deleteBlob(tenant, blob) {
      checkPiece(tenant, blob, 0, 0);
      await track(() => removeBlob(tenant, blob));
    },
    close: () => calls.close(),
  };
}
