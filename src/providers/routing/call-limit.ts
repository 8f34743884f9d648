/** No more calls to a provider at once than the operator allows: the others wait their turn. */

import { createGate } from '../../gate.ts';
import type { RelayReply } from '../document-reply.ts';
import { type CallOptions, type Provider, ProviderError } from '../provider.ts';

/** For each call that may be under way, so many may wait. */
const WAITING_PER_CALL = 16;
const RETRY_AFTER_MS = 1_000;

export interface CallLimit {
  /** Waits for its turn. Answers what ends it. Throws `ProviderError` (`rate_limit`) where too many wait, or the signal's reason. */
  enter(signal: AbortSignal): Promise<() => void>;
}

export function createCallLimit(name: string, callsMax: number): CallLimit {
  const gate = createGate(callsMax);
  return {
    async enter(signal) {
      signal.throwIfAborted();
      if (gate.waitingCount >= callsMax * WAITING_PER_CALL) throw createOverload(name, callsMax);
      return await gate.enter(signal);
    },
  };
}

function createOverload(name: string, callsMax: number): ProviderError {
  return new ProviderError(
    'rate_limit',
    `${callsMax} calls to ${name} are under way, which is as many as this server makes at once, and too many wait.`,
    { status: 429, retryAfterMs: RETRY_AFTER_MS, isRetryable: true },
  );
}

/** The same provider, with each chat and each request that is handed through under the limit until it has ended. */
export function limitCalls(provider: Provider, limit: CallLimit): Provider {
  const { pass } = provider;
  const answer = async <R extends RelayReply>(options: CallOptions, ask: () => Promise<R>) => {
    const leave = await limit.enter(options.signal);
    try {
      const reply = await ask();
      if (reply instanceof Response) return onceRead(reply, leave);
      leave();
      return reply;
    } catch (error) {
      leave();
      throw error;
    }
  };
  return {
    ...provider,
    async *chat(request, options) {
      const leave = await limit.enter(options.signal);
      try {
        yield* provider.chat(request, options);
      } finally {
        leave();
      }
    },
    relay: (path, body, options) => answer(options, () => provider.relay(path, body, options)),
    ...(pass === undefined
      ? {}
      : { pass: (request, options) => answer(options, () => pass(request, options)) }),
  };
}

/** The same answer; `onEnd` is called when its body has been read, has failed, or is no longer wanted. */
function onceRead(response: Response, onEnd: () => void): Response {
  if (response.body === null) {
    onEnd();
    return response;
  }
  const reader = response.body.getReader();
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const { done, value } = await reader.read();
        if (done) {
          onEnd();
          controller.close();
        } else controller.enqueue(value);
      } catch (error) {
        onEnd();
        controller.error(error);
      }
    },
    async cancel(reason) {
      onEnd();
      await reader.cancel(reason);
    },
  });
  const { status, headers } = response;
  return new Response(body, { status, headers });
}
