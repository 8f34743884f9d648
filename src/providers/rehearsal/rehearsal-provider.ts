/**
 * The built-in model: no language model, no network, always the same answer to the same request.
 *
 * It lets users try the server, and test their own programs, before a model stands behind it.
 */

import { type Clock, toSeconds } from '../../clock.ts';
import type { Ids } from '../../ids.ts';
import { readRelayedChat } from '../chat/chat-request.ts';
import { toChatResponse } from '../chat/chat-wire.ts';
import { type JsonRecord, toText } from '../json-values.ts';
import {
  type CallOptions,
  type ChatEvent,
  type ChatUsage,
  type Provider,
  ProviderError,
} from '../provider.ts';
import { waitFor } from '../wait.ts';
import { toEmbeddingList } from './rehearsal-embeddings.ts';
import { type PlannedReply, planReply } from './reply.ts';

const MODEL_ID = 'understudy/rehearsal';

export interface RehearsalOptions {
  readonly clock: Clock;
  readonly ids: Ids;
}

export function createRehearsalProvider({ clock, ids }: RehearsalOptions): Provider {
  const relayChat = async (body: JsonRecord, { signal, meter }: CallOptions): Promise<Response> => {
    const { request, isStream, includesUsage, choiceCount } = readRelayedChat(body);
    // Planned at once: what is wrong with the request is answered before any byte.
    const plan = planReply(request);
    const abort = new AbortController();
    const both = AbortSignal.any([signal, abort.signal]);
    return await toChatResponse({
      head: {
        id: ids.create('chat_completion'),
        created: toSeconds(clock.nowMs()),
        model: toText(body.model) ?? MODEL_ID,
      },
      choices: Array.from({ length: choiceCount }, () => playReply(plan, ids, both)),
      isStream,
      includesUsage,
      // All choices have the one prompt.
      toUsage: () => toUsage(plan, choiceCount),
      // A word that is being waited for is waited for no longer.
      onLeave: () => abort.abort(),
      meter,
    });
  };

  return {
    id: 'understudy',

    async *chat(request, { signal }) {
      yield* playReply(planReply(request), ids, signal);
    },

    async relay(path, body, options) {
      options.signal.throwIfAborted();
      return path === 'embeddings' ? Response.json(toEmbeddingList(body)) : await relayChat(body, options);
    },

    async listModels() {
      return [{ id: MODEL_ID, created: 0, ownedBy: 'understudy' }];
    },
  };
}

async function* playReply(
  plan: PlannedReply,
  ids: Ids,
  signal: AbortSignal,
): AsyncGenerator<ChatEvent, void, undefined> {
  for (const event of toEvents(plan, ids)) {
    if (plan.delayMs > 0 && event.type !== 'finish' && event.type !== 'usage')
      await waitFor(plan.delayMs, signal);
    signal.throwIfAborted();
    yield event;
  }
}

function* toEvents(plan: PlannedReply, ids: Ids): Generator<ChatEvent, void, undefined> {
  for (const text of plan.thoughts) yield { type: 'reasoning', text };
  const half = Math.ceil(plan.text.length / 2);
  for (const [at, text] of plan.text.entries()) {
    if (plan.failsMidway && at === half) break;
    yield { type: 'text', text };
  }
  if (plan.failsMidway) {
    throw new ProviderError('server', 'The rehearsal model fails midway because it was told to.', {
      status: 500,
    });
  }
  for (const text of plan.refusal) yield { type: 'refusal', text };
  for (const [index, call] of plan.calls.entries()) {
    yield { type: 'tool_call', index, id: ids.create('call'), name: call.name };
    for (const text of call.pieces) yield { type: 'tool_arguments', index, text };
  }
  yield { type: 'finish', reason: plan.finish };
  yield { type: 'usage', usage: toUsage(plan, 1) };
}

function toUsage({ promptTokens, completionTokens }: PlannedReply, choiceCount: number): ChatUsage {
  const all = completionTokens * choiceCount;
  return { promptTokens, completionTokens: all, totalTokens: promptTokens + all };
}
