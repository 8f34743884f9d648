/** The event loop's end of a thread of the index: sends calls, hands replies to those who wait for them. */

import { StoreError } from '../../store/store.ts';
import type { CallMessage, ReplyMessage } from './protocol.ts';

/** Calls that may wait for a thread; beyond it they are refused. */
export const PENDING_CALLS_MAX = 16_384;
/** What they may bring, in bytes, unless one call alone is larger. */
const PENDING_BYTES_MAX = 256 * 1024 * 1024;

/** A function of each of these names, which the thread carries out. */
type MethodsOf<M> = { [K in keyof M]: (...parameters: never[]) => unknown };

export interface CallOptions {
  /** What the call brings. */
  readonly bytes?: number;
  /** Buffers that are handed over. */
  readonly transfer?: readonly ArrayBuffer[];
}

export interface ThreadCaller<M extends MethodsOf<M>> {
  /** Errors: those of the thread; `unavailable`. */
  call<K extends keyof M & string>(
    method: K,
    parameters: Parameters<M[K]>,
    options?: CallOptions,
  ): Promise<ReturnType<M[K]>>;
  /** Ends the thread after everything that was called before. Idempotent. */
  close(): Promise<void>;
}

interface Pending {
  readonly bytes: number;
  resolve(result: unknown): void;
  reject(error: StoreError): void;
}

/** `onLost` is called once where the thread ends without having been closed, after it was opened. */
export function createThreadCaller<M extends MethodsOf<M>>(
  thread: Worker,
  onLost: (reason: string) => void,
): ThreadCaller<M> {
  const pending = new Map<number, Pending>();
  let lastCall = 0;
  let isOpen = false;
  let pendingBytes = 0;
  let closing: Promise<void> | null = null;
  let ended: StoreError | null = null;
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

  thread.onmessage = (event: MessageEvent<readonly ReplyMessage[]>) => {
    for (const [call, result, code, message] of event.data) {
      const one = pending.get(call);
      if (one === undefined) continue;
      pending.delete(call);
      pendingBytes -= one.bytes;
      if (code === undefined) one.resolve(result);
      else one.reject(new StoreError(code, message ?? ''));
    }
  };
  thread.onerror = (event) => {
    end(`A thread of the index has failed: ${event.message}`);
    thread.terminate();
  };
  thread.addEventListener('close', () => end('A thread of the index has ended.'));

  const send = (
    method: string,
    parameters: readonly unknown[],
    { bytes = 0, transfer = [] }: CallOptions,
  ): Promise<unknown> => {
    lastCall += 1;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    pending.set(lastCall, { bytes, resolve, reject });
    pendingBytes += bytes;
    thread.postMessage([lastCall, method, parameters] satisfies CallMessage, [...transfer]);
    return promise;
  };

  const finish = async (): Promise<void> => {
    if (ended === null) {
      try {
        await send('close', [], {});
      } catch (error) {
        // A thread that dies meanwhile has nothing left to write; whoever waited for it has been told.
        if (ended === null) throw error;
      }
      ended ??= new StoreError('unavailable', 'The index is closed.');
      thread.terminate();
    }
    await gone;
  };

  return {
    async call(method, parameters, options = {}) {
      if (ended !== null) throw ended;
      if (closing !== null) throw new StoreError('unavailable', 'The index is closed.');
      const isFull =
        pending.size >= PENDING_CALLS_MAX || pendingBytes + (options.bytes ?? 0) > PENDING_BYTES_MAX;
      if (isFull && pending.size > 0) {
        throw new StoreError('unavailable', 'Too many calls wait for the index.');
      }
      try {
        const result = await send(method, parameters, options);
        if (method === 'open') isOpen = true;
        // The thread carries out the method of this name, whose result is of this type.
        return result as ReturnType<M[typeof method]>;
      } catch (error) {
        if (method === 'open') thread.terminate();
        throw error;
      }
    },
    close() {
      closing ??= finish();
      return closing;
    },
  };
}
