/**
 * The thread that holds the database of the blobs. Its file is an entry point of its own, in the source as well as in
 * the compiled executable. Reads are answered as they arrive; writes wait for the next transaction.
 */

import { PIECE_BYTES_MAX } from '../blob-store.ts';
import {
  type BlobCall,
  type BlobOpenRequest,
  type BlobReply,
  type GetCall,
  OPEN_CALL,
  toTransfers,
} from './blob-protocol.ts';
import { openBlobDatabase } from './blob-schema.ts';
import { createShrinker } from './blob-shrinker.ts';
import { createBlobWriter } from './blob-writer.ts';
import { isBusy, toStoreError } from './faults.ts';
import { closeDatabase } from './write-ahead-log.ts';

/** Reads meet a lock only while another process repairs the log after a crash or closes the file last. */
const READ_RETRY_MS = 2;

/**
 * Pieces that have passed are garbage of which the collector takes no notice, since this thread makes little else. Its
 * heap is small, so that collecting each time so many bytes have passed takes a millisecond.
 */
const GARBAGE_BYTES_MAX = 8 * 1024 * 1024;

type Send = (replies: readonly BlobReply[]) => void;

/** Answers a function that takes batches of calls. Throws a `StoreError` where the file cannot be opened. */
function startEngine(request: BlobOpenRequest, send: Send): (calls: readonly BlobCall[]) => void {
  const database = openBlobDatabase(request);
  const find = database.prepare<{ bytes: Uint8Array<ArrayBuffer> }, [string, string, number]>(
    'SELECT bytes FROM pieces WHERE tenant = ? AND blob = ? AND number = ?',
  );
  let replies: BlobReply[] = [];

  const flush = (): void => {
    if (replies.length === 0) return;
    send(replies);
    replies = [];
  };
  const reply = (one: BlobReply): void => {
    replies.push(one);
  };
  const shrinker = createShrinker(database, () => writer.isIdle());
  const writer = createBlobWriter({
    database,
    lockWaitMs: request.lockWaitMs,
    onDeleted: () => shrinker.wake(),
    reply,
    flush,
  });

  const answerRead = (call: GetCall, deadlineMs: number): void => {
    const [, number, tenant, blob, index] = call;
    try {
      reply(['piece', number, find.get(tenant, blob, index)?.bytes ?? null]);
    } catch (error) {
      if (isBusy(error) && performance.now() < deadlineMs) {
        setTimeout(() => {
          answerRead(call, deadlineMs);
          flush();
        }, READ_RETRY_MS);
        return;
      }
      const { code, message } = toStoreError(error);
      reply(['error', number, code, message]);
    }
  };

  let passed = 0;
  const collectGarbage = (calls: readonly BlobCall[]): void => {
    for (const call of calls) if (call[0] === 'put' || call[0] === 'get') passed += PIECE_BYTES_MAX;
    if (passed < GARBAGE_BYTES_MAX) return;
    passed = 0;
    setImmediate(() => Bun.gc(true));
  };

  const finish = (call: number): void => {
    shrinker.stop();
    writer.whenIdle(() => {
      closeDatabase(database);
      reply(['done', call]);
      flush();
    });
  };

  return (calls) => {
    const deadlineMs = performance.now() + request.lockWaitMs;
    for (const call of calls) {
      if (call[0] === 'get') answerRead(call, deadlineMs);
      else if (call[0] === 'close') finish(call[1]);
      else writer.enqueue(call);
    }
    flush();
    collectGarbage(calls);
  };
}

declare const self: Pick<Worker, 'onmessage'>;

/** The first message opens the database, the others are batches of calls. */
function takeMessages(): void {
  let receive: ((calls: readonly BlobCall[]) => void) | null = null;
  self.onmessage = (event: MessageEvent) => {
    if (receive !== null) {
      receive(event.data as readonly BlobCall[]);
      return;
    }
    try {
      receive = startEngine(event.data as BlobOpenRequest, (replies) =>
        postMessage(replies, toTransfers(replies)),
      );
      postMessage([['done', OPEN_CALL]] satisfies BlobReply[]);
    } catch (error) {
      const { code, message } = toStoreError(error);
      postMessage([['error', OPEN_CALL, code, message]] satisfies BlobReply[]);
    }
  };
}

takeMessages();
