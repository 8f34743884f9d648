/**
 * One client's view of a run: frames in, a response body out. A client that reads too slowly loses its
 * stream, never the run.
 */

import type { StreamMeter } from '../providers/call-meter.ts';
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
export function createEventStream(onClose: () => void, meter?: StreamMeter): EventStream {
  /** Null before the reply begins, and after the client has left: Bun throws where a closed one is written to. */
  let connection: ReadableStreamDirectController | null = null;
  /** Whether the connection holds as much as it takes for now: what comes then waits here, where it is counted. */
  let isFull = false;
  let waiting = '';
  let isEnding = false;
  let isClosed = false;

  const close = (): void => {
    if (isClosed) return;
    isClosed = true;
    clearInterval(keepAlive);
    waiting = '';
    connection?.close();
    connection = null;
    meter?.end();
    onClose();
  };

  const handOn = (): void => {
    if (connection === null || isFull) return;
    if (waiting !== '') {
      meter?.piece(Buffer.byteLength(waiting));
      // Bun sends what was written within one turn of its loop at once.
      const written = connection.write(waiting);
      waiting = '';
      if (written instanceof Promise) {
        isFull = true;
        void written.then(onDrained, onDrained);
        return;
      }
    }
    if (isEnding) close();
  };

  const onDrained = (): void => {
    isFull = false;
    handOn();
  };

  const send = (frame: string): void => {
    if (isClosed || isEnding) return;
    waiting += frame;
    handOn();
    if (waiting.length > BACKLOG_MAX) close();
  };

  const keepAlive = setInterval(() => {
    if (waiting === '') send(KEEP_ALIVE_FRAME);
  }, KEEP_ALIVE_MS);
  keepAlive.unref();

  const body = new ReadableStream<Uint8Array>({
    // Bun's own kind of stream: no queue and no promises between here and the connection, so a frame costs a fifth less.
    type: 'direct',
    pull(controller) {
      if (isClosed) return controller.close();
      meter?.begin();
      connection = controller;
      handOn();
    },
    cancel() {
      connection = null;
      close();
    },
  });

  return {
    body,
    push: (event) => send(toFrame(event)),
    end() {
      send(DONE_FRAME);
      isEnding = true;
      handOn();
    },
  };
}
