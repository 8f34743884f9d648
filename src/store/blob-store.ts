/**
 * The port for the bytes of files. A blob is a row of pieces, each small enough to be held in memory; it has no
 * meaning of its own: the record that names it is written after its last piece, and makes it visible.
 */

/** No piece is larger; all but the last of a blob are exactly as large. */
export const PIECE_BYTES_MAX = 256 * 1024;

export interface BlobStore {
  /**
   * Writes one piece, counted from 0. Acknowledged when it is durable. Writing it again replaces it. The bytes
   * are handed over: the caller neither reads nor changes them any more.
   * Errors: `StoreError` (`unavailable`, `misuse` for a piece that is too large).
   */
  putPiece(tenant: string, blob: string, index: number, bytes: Uint8Array): Promise<void>;

  /** Reads one piece, or null where there is none. Sees every piece acknowledged before the call, by any process. */
  getPiece(tenant: string, blob: string, index: number): Promise<Uint8Array | null>;

  /** Removes every piece of a blob, in bounded steps. Idempotent. */
  deleteBlob(tenant: string, blob: string): Promise<void>;

  /** Ends after what was accepted is written. Later calls reject with `unavailable`. Idempotent. */
  close(): Promise<void>;
}
