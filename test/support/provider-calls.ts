/** Providers against the scripted upstream, with bounds that a test can wait for. */

import { systemClock } from '../../src/clock.ts';
import { createIds } from '../../src/ids.ts';
import { DocumentReply, type RelayReply } from '../../src/providers/document-reply.ts';
import { createOpenAiProvider } from '../../src/providers/openai/openai-provider.ts';
import type { RetryPolicy } from '../../src/providers/openai/retry.ts';
import type { ConnectionProbe } from '../../src/providers/outbound/call-watch.ts';
import { createPlainClient } from '../../src/providers/outbound/http1/client.ts';
import {
  createUpstream,
  type FetchPort,
  type UpstreamTimeouts,
} from '../../src/providers/outbound/upstream.ts';
import {
  type CallOptions,
  type ChatEvent,
  type ChatRequest,
  type Provider,
  ProviderError,
} from '../../src/providers/provider.ts';

/** Waits of a millisecond: a test is about how often and why, not about how long. */
export const QUICK_RETRIES: RetryPolicy = Object.freeze({
  attemptsMax: 3,
  backoffMs: 1,
  backoffMaxMs: 4,
  retryAfterMaxMs: 200,
});

export function createTestProvider(
  options: {
    fetch?: FetchPort;
    timeouts?: Partial<UpstreamTimeouts>;
    probe?: ConnectionProbe | null;
    retryPolicy?: Partial<RetryPolicy>;
    trailerMs?: number;
  } = {},
): Provider {
  const timeouts = { connectMs: 5_000, firstByteMs: 5_000, idleMs: 5_000, ...options.timeouts };
  return createOpenAiProvider({
    upstream: createUpstream({
      fetch: options.fetch ?? fetch,
      // As the server has it, unless a test looks at what `fetch` is given.
      ...(options.fetch === undefined ? { plain: createPlainClient() } : {}),
      timeouts,
      ...(options.probe === undefined ? {} : { probe: options.probe }),
    }),
    clock: systemClock,
    ids: createIds(systemClock),
    retryPolicy: { ...QUICK_RETRIES, ...options.retryPolicy },
    trailerMs: options.trailerMs ?? 1_000,
  });
}

export function toCallOptions(
  baseUrl: string | null,
  options: { apiKey?: string | null; signal?: AbortSignal; requestId?: string } = {},
): CallOptions {
  return {
    credentials: { apiKey: options.apiKey ?? null, baseUrl, fromRequest: false },
    signal: options.signal ?? new AbortController().signal,
    requestId: options.requestId ?? 'req_test',
  };
}

export function toChatRequest(model: string, extra: Partial<ChatRequest> = {}): ChatRequest {
  return { model, messages: [{ role: 'user', content: 'Hello' }], ...extra };
}

export function toFunctionTool(name: string, parameters: Record<string, unknown> = { type: 'object' }) {
  return { type: 'function' as const, function: { name, parameters } };
}

/** The events up to the end or the error, and the error. */
export async function collectEvents(
  events: AsyncIterable<ChatEvent>,
): Promise<{ events: ChatEvent[]; error: unknown }> {
  const collected: ChatEvent[] = [];
  try {
    for await (const event of events) collected.push(event);
    return { events: collected, error: null };
  } catch (error) {
    return { events: collected, error };
  }
}

/** The text of all text events. */
export function joinText(
  events: readonly ChatEvent[],
  type: 'text' | 'reasoning' | 'refusal' = 'text',
): string {
  return events.flatMap((event) => (event.type === type ? [event.text] : [])).join('');
}

/** Tool calls with their arguments put together, in the order of their announcement. */
export function joinCalls(
  events: readonly ChatEvent[],
): { index: number; id: string; name: string; arguments: string }[] {
  const calls: { index: number; id: string; name: string; arguments: string }[] = [];
  for (const event of events) {
    if (event.type === 'tool_call') {
      calls.push({ index: event.index, id: event.id, name: event.name, arguments: '' });
    } else if (event.type === 'tool_arguments') {
      const call = calls.find((candidate) => candidate.index === event.index);
      if (call === undefined)
        throw new Error(`Arguments for call ${event.index}, which was never announced.`);
      call.arguments += event.text;
    }
  }
  return calls;
}

/** The error that a promise is expected to end in; anything else fails the test. */
export async function catchProviderError(promise: Promise<unknown>): Promise<ProviderError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof ProviderError) return error;
    throw error;
  }
  throw new Error('A ProviderError was expected, but all went well.');
}

/** Polls until it holds; rejects after the bound. For what no event announces (a closed connection elsewhere). */
export async function waitUntil(condition: () => boolean, timeoutMs = 3_000): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`Still not so after ${timeoutMs} ms.`);
    await Bun.sleep(2);
  }
}

/** A reply as a server would hand it on. */
export function toResponse(reply: RelayReply): Response {
  if (!(reply instanceof DocumentReply)) return reply;
  const { document, status, headers } = reply;
  return new Response(document, { status, headers });
}
