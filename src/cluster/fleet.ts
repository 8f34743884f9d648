/**
 * What the processes of a server have in common, as a worker sees it: questions that the primary answers for all of them,
 * and notices that it sends to all of them.
 */

import type { AnswerMessage, NoticeMessage, PrimaryMessage, WorkerMessage } from './messages.ts';

export interface Fleet {
  /**
   * Asks the primary. The answer is whatever the part of the primary that knows the topic says, to be checked by whoever asks.
   * Errors: `FleetError` where nobody knows the topic, the primary is gone, or does not answer within `ANSWER_MS`.
   */
  ask(topic: string, body: unknown): Promise<unknown>;
  /** Calls `listener` with each notice of the topic from now on, and with the last that came before anybody listened. */
  onNotice(topic: string, listener: (body: unknown) => void): void;
}

export class FleetError extends Error {
  override readonly name = 'FleetError';
}

/** A worker has ended, whose work is to be taken up. Body: null. */
export const WORKER_ENDED = 'worker-ended';
/** The configuration of providers and models was read anew. Body: the sections of the file. */
export const MODELS_CHANGED = 'models-changed';

export const ANSWER_MS = 5_000;
const QUESTIONS_MAX = 10_000;
const TOPICS_MAX = 100;

interface Waiting {
  readonly resolve: (body: unknown) => void;
  readonly reject: (error: FleetError) => void;
  readonly timer: ReturnType<typeof setTimeout>;
}

/** The worker's end of the channel. */
export interface FleetChannel extends Fleet {
  take(message: AnswerMessage | NoticeMessage): void;
  /** The primary is gone: whoever waits is told so. */
  close(): void;
}

/** `send` answers false where the channel is closed. */
export function createFleetChannel(send: (message: WorkerMessage) => boolean): FleetChannel {
  const waiting = new Map<number, Waiting>();
  const listeners = new Map<string, ((body: unknown) => void)[]>();
  /** What came while the worker was still starting counts, too. */
  const unheard = new Map<string, unknown>();
  let lastId = 0;

  const settle = (id: number): Waiting | null => {
    const found = waiting.get(id) ?? null;
    if (found !== null) clearTimeout(found.timer);
    waiting.delete(id);
    return found;
  };

  return {
    ask(topic, body) {
      const { promise, resolve, reject } = Promise.withResolvers<unknown>();
      if (waiting.size >= QUESTIONS_MAX)
        return Promise.reject(new FleetError('Too many questions are open.'));
      lastId += 1;
      const id = lastId;
      const timer = setTimeout(
        () => settle(id)?.reject(new FleetError(`The primary does not answer '${topic}'.`)),
        ANSWER_MS,
      );
      waiting.set(id, { resolve, reject, timer });
      if (!send({ kind: 'question', id, topic, body: body ?? null })) {
        settle(id)?.reject(new FleetError('The primary is gone.'));
      }
      return promise;
    },

    onNotice(topic, listener) {
      listeners.set(topic, [...(listeners.get(topic) ?? []), listener]);
      if (unheard.has(topic)) listener(unheard.get(topic));
      unheard.delete(topic);
    },

    take(message) {
      if (message.kind === 'notice') {
        const { topic, body } = message;
        const hearing = listeners.get(topic) ?? [];
        for (const listener of hearing) listener(body);
        if (hearing.length === 0 && unheard.size < TOPICS_MAX) unheard.set(topic, body);
        return;
      }
      const asker = settle(message.id);
      if (message.problem === null) asker?.resolve(message.body);
      else asker?.reject(new FleetError(message.problem));
    },

    close() {
      for (const id of [...waiting.keys()]) settle(id)?.reject(new FleetError('The primary is gone.'));
    },
  };
}

// ——— The primary's end ———

/** Which worker: `serial` is never used again, `slot` (from 1) is its successor's, too. */
export interface WorkerName {
  readonly serial: number;
  readonly slot: number;
}

/** A part of the primary that serves the workers. */
export interface FleetPart {
  /** Called before a worker is started. What it answers is added to the worker's environment. */
  beforeStart?(worker: WorkerName): Readonly<Record<string, string>>;
  /** The worker serves. */
  onReady?(worker: WorkerName): void;
  /** The worker has ended, however. Called once for each `beforeStart`. */
  onEnded?(worker: WorkerName): void;
  /** Answers by topic. Errors reach the worker by their message alone. */
  readonly answers?: Readonly<Record<string, FleetAnswer>>;
}

export type FleetAnswer = (body: unknown, worker: WorkerName) => unknown;

/** Answers a worker's question by the first part that knows its topic. */
export async function answerQuestion(
  parts: readonly FleetPart[],
  worker: WorkerName,
  { id, topic, body }: Extract<WorkerMessage, { kind: 'question' }>,
): Promise<PrimaryMessage> {
  const answer = parts.find((part) => part.answers !== undefined && Object.hasOwn(part.answers, topic))
    ?.answers?.[topic];
  if (answer === undefined) {
    return { kind: 'answer', id, problem: `The primary does not know '${topic}'.`, body: null };
  }
  try {
    return { kind: 'answer', id, problem: null, body: (await answer(body, worker)) ?? null };
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    return { kind: 'answer', id, problem: problem.slice(0, PROBLEM_MAX), body: null };
  }
}

const PROBLEM_MAX = 1_000;
