/** The event loop's end of the blobs' thread: gathers calls into batches, hands replies to their callers. */

import { StoreError } from '../store.ts';
import {
  type BlobCall,
  type BlobOpenRequest,
  type BlobReply,
  countBytes,
  OPEN_CALL,
  toTransfers,
} from './blob-protocol.ts';

/** Calls that may wait for the thread; beyond it they are refused. */
export const PENDING_CALLS_MAX = 16_384;
/** Bytes of pieces that may wait for the thread: what 128 uploads have under way at once. */
export const PENDING_BYTES_MAX = 256 * 1024 * 1024;

/** What the thread has done, for metrics. */
export interface BlobStatistics {
  /** Committed; every piece that is acknowledged was in one of them. */
  readonly transactions: number;
  /** Written. */
  readonly pieces: number;
  /** Attempts to begin that met another process's lock. */
  readonly lockWaits: number;
}

export interface BlobCaller {
  /** Errors: `unavailable`. */
  open(request: BlobOpenRequest): Promise<void>;
  /** Sends what `toCall` makes of the call's number. Errors: those of the thread; `unavailable`. */
  call(toCall: (call: number) => BlobCall): Promise<BlobReply>;
  /** Ends the thread after everything that was called before. Idempotent. */
  close(): Promise<void>;
  getStatistics(): BlobStatistics;
}

interface Pending {
  readonly bytes: number;
  resolve(reply: BlobReply): void;
  reject(error: StoreError): void;
}

/** `onLost` is called once where the thread ends without having been closed. */
export function createBlobCaller(
  thread: Worker,
  onLost: (reason: string) => void = () => undefined,
): BlobCaller {
  const pending = new Map<number, Pending>();
  let outbox: BlobCall[] = [];
  let lastCall = OPEN_CALL;
  let isOpen = false;
  let bytes = 0;
  let closing: Promise<void> | null = null;
  let ended: StoreError | null = null;
  let statistics: BlobStatistics = { transactions: 0, pieces: 0, lockWaits: 0 };
  const { promise: gone, resolve: setGone } = Promise.withResolvers<void>();

  const end = (reason: string): void => {
    const isLost = isOpen && ended === null && closing === null;
    ended ??= new StoreError('unavailable', reason);
    const failed = [...pending.values()];
    pending.clear();
    for (const one of failed) one.reject(ended);
    setGone();
    if (isLost) onLost(reason);
  };

  const take = (reply: BlobReply): void => {
    if (reply[0] === 'statistics') {
      const [, , transactions, pieces, lockWaits] = reply;
      statistics = { transactions, pieces, lockWaits };
      return;
    }
    const one = pending.get(reply[1]);
    if (one === undefined) return;
    pending.delete(reply[1]);
    bytes -= one.bytes;
    if (reply[0] === 'error') one.reject(new StoreError(reply[2], reply[3]));
    else one.resolve(reply);
  };

  thread.onmessage = (event: MessageEvent<readonly BlobReply[]>) => {
    for (const reply of event.data) take(reply);
  };
  thread.onerror = (event) => {
    end(`The thread of the files' database has failed: ${event.message}`);
    thread.terminate();
  };
  thread.addEventListener('close', () => end("The thread of the files' database has ended."));

  const expectReply = (call: number, size: number): Promise<BlobReply> => {
    const { promise, resolve, reject } = Promise.withResolvers<BlobReply>();
    pending.set(call, { bytes: size, resolve, reject });
    bytes += size;
    return promise;
  };

  const flush = (): void => {
    const batch = outbox;
    outbox = [];
    if (ended === null) thread.postMessage(batch, toTransfers(batch));
  };

  const send = (toCall: (call: number) => BlobCall): Promise<BlobReply> => {
    lastCall += 1;
    if (outbox.length === 0) queueMicrotask(flush);
    const call = toCall(lastCall);
    outbox.push(call);
    return expectReply(lastCall, countBytes(call));
  };

  const finish = async (): Promise<void> => {
    if (ended === null) {
      try {
        await send((call) => ['close', call]);
      } catch (error) {
        // A thread that dies meanwhile has nothing left to write; whoever waited for it has been told.
        if (ended === null) throw error;
      }
      ended ??= new StoreError('unavailable', 'The store of the files is closed.');
      thread.terminate();
    }
    await gone;
  };

  return {
    async open(request) {
      const opened = expectReply(OPEN_CALL, 0);
      thread.postMessage(request);
      try {
        await opened;
        isOpen = true;
      } catch (error) {
        thread.terminate();
        throw error;
      }
    },
    async call(toCall) {
      if (ended !== null) throw ended;
      if (closing !== null) throw new StoreError('unavailable', 'The store of the files is closed.');
      if (pending.size >= PENDING_CALLS_MAX || bytes >= PENDING_BYTES_MAX) {
        throw new StoreError('unavailable', 'Too many calls wait for the database of the files.');
      }
      return await send(toCall);
    },
    close() {
      closing ??= finish();
      return closing;
    },
    getStatistics: () => statistics,
  };
}
