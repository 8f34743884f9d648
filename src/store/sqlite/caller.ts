/** The event loop's end of the thread: gathers calls into batches, hands replies to their callers. */

import { StoreError } from '../store.ts';
import {
  type Call,
  countCharacters,
  OPEN_CALL,
  type OpenRequest,
  type Reply,
  type Step,
} from './protocol.ts';

/** Calls that may wait for the thread; beyond it they are refused. */
export const PENDING_CALLS_MAX = 16_384;
/** Characters of documents that may wait for the thread, unless one call alone is larger. */
const PENDING_CHARACTERS_MAX = 128 * 1024 * 1024;

/** What the thread has done, for metrics. */
export interface SqliteStatistics {
  /** Committed; every write that is acknowledged was in one of them. */
  readonly transactions: number;
  /** Single writes inside of the transactions. */
  readonly writes: number;
  /** Attempts to begin that met another process's lock. */
  readonly lockWaits: number;
}

export interface Caller {
  /** Errors: `unavailable`. */
  open(request: OpenRequest): Promise<void>;
  /** Sends what `toCall` makes; `steps` are what it carries. Errors: those of the thread; `unavailable`. */
  call(toCall: (call: number) => Call, steps?: readonly Step[]): Promise<Reply>;
  /** Ends the thread after everything that was called before. Idempotent. */
  close(): Promise<void>;
  getStatistics(): SqliteStatistics;
}

interface Pending {
  readonly characters: number;
  resolve(reply: Reply): void;
  reject(error: StoreError): void;
}

/** `onLost` is called once where the thread ends without having been closed. */
export function createCaller(thread: Worker, onLost: (reason: string) => void = () => undefined): Caller {
  const pending = new Map<number, Pending>();
  let outbox: Call[] = [];
  let lastCall = OPEN_CALL;
  let isOpen = false;
  let characters = 0;
  let closing: Promise<void> | null = null;
  let ended: StoreError | null = null;
  let statistics: SqliteStatistics = { transactions: 0, writes: 0, lockWaits: 0 };
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

  const take = (reply: Reply): void => {
    if (reply[0] === 'statistics') {
      const [, , transactions, writes, lockWaits] = reply;
      statistics = { transactions, writes, lockWaits };
      return;
    }
    const one = pending.get(reply[1]);
    if (one === undefined) return;
    pending.delete(reply[1]);
    characters -= one.characters;
    if (reply[0] === 'error') {
      const [, , code, message, index] = reply;
      one.reject(new StoreError(code, message, index === null ? {} : { index }));
    } else one.resolve(reply);
  };

  thread.onmessage = (event: MessageEvent<readonly Reply[]>) => {
    for (const reply of event.data) take(reply);
  };
  thread.onerror = (event) => {
    end(`The database's thread has failed: ${event.message}`);
    thread.terminate();
  };
  thread.addEventListener('close', () => end("The database's thread has ended."));

  const expectReply = (call: number, size: number): Promise<Reply> => {
    const { promise, resolve, reject } = Promise.withResolvers<Reply>();
    pending.set(call, { characters: size, resolve, reject });
    characters += size;
    return promise;
  };

  const flush = (): void => {
    const batch = outbox;
    outbox = [];
    if (ended === null) thread.postMessage(batch);
  };

  const send = (toCall: (call: number) => Call, size: number): Promise<Reply> => {
    lastCall += 1;
    if (outbox.length === 0) queueMicrotask(flush);
    outbox.push(toCall(lastCall));
    return expectReply(lastCall, size);
  };

  const finish = async (): Promise<void> => {
    if (ended === null) {
      try {
        await send((call) => ['close', call], 0);
      } catch (error) {
        // A thread that dies meanwhile has nothing left to write; whoever waited for it has been told.
        if (ended === null) throw error;
      }
      ended ??= new StoreError('unavailable', 'The store is closed.');
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
    async call(toCall, steps = []) {
      if (ended !== null) throw ended;
      if (closing !== null) throw new StoreError('unavailable', 'The store is closed.');
      const size = countCharacters(steps);
      const isFull = pending.size >= PENDING_CALLS_MAX || characters + size > PENDING_CHARACTERS_MAX;
      if (isFull && pending.size > 0) {
        throw new StoreError('unavailable', 'Too many calls wait for the database.');
      }
      return await send(toCall, size);
    },
    close() {
      closing ??= finish();
      return closing;
    },
    getStatistics: () => statistics,
  };
}
