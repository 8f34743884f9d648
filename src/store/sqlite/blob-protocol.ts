/**
 * What the two sides of the blob engine say to each other, as in `protocol.ts`: batches of calls one way, batches of
 * replies the other. The bytes of pieces change hands with the message, they are not copied.
 */

import type { StoreErrorCode } from '../store.ts';

export type PutCall = readonly [
  kind: 'put',
  call: number,
  tenant: string,
  blob: string,
  index: number,
  bytes: Uint8Array<ArrayBuffer>,
];
export type DeleteCall = readonly [kind: 'delete', call: number, tenant: string, blob: string];
export type GetCall = readonly [kind: 'get', call: number, tenant: string, blob: string, index: number];
/** Ends the thread once everything that came before is written. */
export type CloseCall = readonly [kind: 'close', call: number];
export type ChangeCall = PutCall | DeleteCall;
export type BlobCall = ChangeCall | GetCall | CloseCall;

export type DoneReply = readonly [kind: 'done', call: number];
export type PieceReply = readonly [kind: 'piece', call: number, bytes: Uint8Array<ArrayBuffer> | null];
export type ErrorReply = readonly [kind: 'error', call: number, code: StoreErrorCode, message: string];
/** Not an answer: what the thread has done so far. */
export type StatisticsReply = readonly [
  kind: 'statistics',
  call: 0,
  transactions: number,
  pieces: number,
  lockWaits: number,
];
export type BlobReply = DoneReply | PieceReply | ErrorReply | StatisticsReply;

/** The first message to the thread: open the database. Answered by one reply to call 0. */
export interface BlobOpenRequest {
  readonly directory: string;
  readonly file: string;
  readonly lockWaitMs: number;
}

export const OPEN_CALL = 0;

/** How many bytes a call carries. */
export function countBytes(call: BlobCall): number {
  return call[0] === 'put' ? call[5].byteLength : 0;
}

/** What changes hands with a message. */
export function toTransfers(messages: readonly (BlobCall | BlobReply)[]): ArrayBuffer[] {
  const buffers: ArrayBuffer[] = [];
  for (const message of messages) {
    if (message[0] === 'put') buffers.push(message[5].buffer);
    else if (message[0] === 'piece' && message[2] !== null) buffers.push(message[2].buffer);
  }
  return buffers;
}
