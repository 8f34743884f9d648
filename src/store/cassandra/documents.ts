/** Documents as columns: text, and what would be too much for one write packed. */

import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import type { CqlRow, CqlValue } from '../../cassandra/session.ts';
import { StoreError } from '../store.ts';

/** Text above this is packed. JSON shrinks to a third or less. */
const TEXT_BYTES_MAX = 512 * 1024;
/** Half of a segment of the commit log is the most that a node takes in one write; the smallest usual one is 16 MiB. */
const PACKED_BYTES_MAX = 7 * 1024 * 1024;

const pack = promisify(gzip);
const unpack = promisify(gunzip);

export interface DocumentColumns {
  readonly body: CqlValue;
  readonly packed: CqlValue;
}

/** Errors: `misuse` for a document that the cluster would not take. */
export async function toDocumentColumns(document: string): Promise<DocumentColumns> {
  if (document.length * 3 <= TEXT_BYTES_MAX || Buffer.byteLength(document) <= TEXT_BYTES_MAX) {
    return { body: document, packed: null };
  }
  const packed = await pack(document, { level: 1 });
  if (packed.byteLength > PACKED_BYTES_MAX) {
    throw new StoreError(
      'misuse',
      `A document takes at most ${PACKED_BYTES_MAX} bytes in Cassandra when packed.`,
    );
  }
  return { body: null, packed };
}

/** The text of a row's document. */
export async function readDocument(row: CqlRow): Promise<string> {
  if (typeof row.body === 'string') return row.body;
  if (row.packed instanceof Buffer) return (await unpack(row.packed)).toString('utf8');
  throw new Error('A row of a record has no document.');
}
