/**
 * One client's view of a run: frames in, a response body out. A client that reads too slowly loses its
 * stream, never the run.
 */

import { DONE_FRAME, KEEP_ALIVE_FRAME, type RunEvent, toFrame } from './events.ts';

/** Characters that may wait for a client that does not read. */
export const BACKLOG_MAX = 8 * 1024 * 1024;
/** How often an idle stream shows that it is alive; proxies commonly close after 30 to 60 seconds. */
export const KEEP_ALIVE_MS = 15_000;

export interface EventStream {
  readonly body: ReadableStream<Uint8Array>;
  push(event: RunEvent): void;
  /** Sends the last frame and closes. Idempotent. */
  end(): void;
}

/** `onClose` is called once, when the stream has ended or the client has left. */
export function createEventStream(onClose: () => void): EventStream {
  const encoder = new TextEncoder();
  let waiting = '';
  let isEnding = false;
  let isClosed = false;
  let wake: (() => void) | null = null;

  const close = (): void => {
    if (isClosed) return;
    isClosed = true;
    clearInterval(keepAlive);
    waiting = '';
    wake?.();
    onClose();
  };

  const send = (frame: string): void => {
    if (isClosed || isEnding) return;
    waiting += frame;
    if (waiting.length > BACKLOG_MAX) close();
    wake?.();
  };

  const keepAlive = setInterval(() => {
    if (waiting === '') send(KEEP_ALIVE_FRAME);
  }, KEEP_ALIVE_MS);
  keepAlive.unref();

  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        if (waiting === '' && !isEnding && !isClosed) {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
          wake = null;
        }
        if (waiting !== '') {
          controller.enqueue(encoder.encode(waiting));
          waiting = '';
          return;
        }
        controller.close();
        close();
      },
      cancel: close,
    },
    // Nothing is asked for before the client reads: what waits is counted here, not in the stream.
    { highWaterMark: 0 },
  );

  return {
    body,
    push: (event) => send(toFrame(event)),
    end() {
      send(DONE_FRAME);
      isEnding = true;
      wake?.();
    },
  };
}
