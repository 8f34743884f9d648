/** Chats with a provider that is spoken to by a package: as events, and in OpenAI's wire format. */

import { toSeconds } from '../../clock.ts';
import { readRelayedChat } from '../chat/chat-request.ts';
import { type ChoiceEvents, sumUsage, toChatResponse } from '../chat/chat-wire.ts';
import type { JsonRecord } from '../json-values.ts';
import type { CallOptions, ChatEvent, ChatRequest } from '../provider.ts';
import { type BegunTurn, beginTurn, prepareTurn } from './chat-turn.ts';
import { createUnsupported, type OpenAccess, openAccess, type ProviderParts, retry } from './open-access.ts';

export async function* chat(parts: ProviderParts, request: ChatRequest, call: CallOptions): ChoiceEvents {
  const { protocol, deps } = parts;
  const speaks = protocol.chat;
  if (speaks === null) throw createUnsupported(`${protocol.name} has no models for chat.`);
  const turn = await prepareTurn(speaks, request, deps, call);
  const opened: OpenAccess[] = [];
  const attempt = async (): Promise<{ begun: BegunTurn; first: readonly ChatEvent[] | null }> => {
    const open = await openAccess(parts, request.model, call);
    opened.push(open);
    const begun = await beginTurn(speaks, turn, open.access, deps, call);
    return { begun, first: await begun.nextBatch() };
  };
  try {
    const { begun, first } = await retry(parts, call, attempt);
    for (let batch = first; batch !== null; batch = await begun.nextBatch()) {
      for (const event of batch) {
        call.signal.throwIfAborted();
        yield event;
      }
    }
  } finally {
    for (const open of opened) open.close();
  }
}

/** Each choice is a call of its own. Throws `ProviderError` while no word has been answered. */
export async function relayChat(
  parts: ProviderParts,
  body: JsonRecord,
  call: CallOptions,
): Promise<Response> {
  const { ids, clock } = parts.options;
  const { request, isStream, includesUsage, choiceCount } = readRelayedChat(body);
  const abort = new AbortController();
  const signal = AbortSignal.any([call.signal, abort.signal]);
  const choices = Array.from({ length: choiceCount }, () => chat(parts, request, { ...call, signal }));
  try {
    return await toChatResponse({
      head: {
        id: ids.create('chat_completion'),
        created: toSeconds(clock.nowMs()),
        model: request.model,
      },
      // What fails before the first word is answered with its status.
      choices: isStream ? [await beginEvents(choices[0]), ...choices.slice(1)] : choices,
      isStream,
      includesUsage,
      // The prompt was paid for by each.
      toUsage: sumUsage,
      onLeave: () => abort.abort(),
      meter: call.meter,
    });
  } catch (error) {
    // One choice has failed: nobody waits for the others.
    abort.abort();
    throw error;
  }
}

/** The same events, the first of which has come. */
async function beginEvents(events: ChoiceEvents | undefined): Promise<ChoiceEvents> {
  if (events === undefined) throw new Error('There is one choice at least.');
  const first = await events.next();
  return (async function* () {
    try {
      if (first.done === true) return;
      yield first.value;
      yield* events;
    } finally {
      await events.return();
    }
  })();
}
