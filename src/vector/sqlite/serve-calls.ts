/** The thread's end of `caller.ts`: takes calls, sends replies off in batches. */

import { toStoreError } from '../../store/sqlite/faults.ts';
import type { CallMessage, ReplyMessage } from './protocol.ts';

/** How one call is answered. */
export interface Reply {
  answer(result: unknown): void;
  refuse(error: unknown): void;
}

/** The methods of a thread; what is thrown refuses the call. */
export type Handlers<M> = {
  readonly [K in keyof M]: M[K] extends (...parameters: infer P) => unknown
    ? (parameters: P, reply: Reply) => void
    : never;
};

declare const self: Pick<Worker, 'onmessage'>;

export function serveCalls<M>(handlers: Handlers<M>): void {
  let replies: ReplyMessage[] = [];

  const flush = (): void => {
    const batch = replies;
    replies = [];
    postMessage(batch);
  };
  const send = (reply: ReplyMessage): void => {
    if (replies.length === 0) queueMicrotask(flush);
    replies.push(reply);
  };

  self.onmessage = (event: MessageEvent<CallMessage>) => {
    const [call, method, parameters] = event.data;
    const reply: Reply = {
      answer: (result) => send([call, result ?? null]),
      refuse(error) {
        const { code, message } = toStoreError(error);
        send([call, null, code, message]);
      },
    };
    try {
      // Checked at the other end, which is typed by the same methods.
      const handle = handlers[method as keyof M] as unknown as (
        parameters: readonly unknown[],
        reply: Reply,
      ) => void;
      handle(parameters, reply);
    } catch (error) {
      reply.refuse(error);
    }
  };
}
