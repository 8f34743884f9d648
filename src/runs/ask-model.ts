/** One turn of the model: what of the thread it gets to see, and the question itself. */

import { toTokenCounts } from '../providers/chat/chat-wire.ts';
import {
  type ChatEvent,
  type ChatRequest,
  type ResolvedModel,
  toProviderName,
} from '../providers/provider.ts';
import { isContextOverflow } from './failures.ts';
import { readImages } from './images.ts';
import { toChatRequest } from './prompt.ts';
import { beginChatSpan, toCallTrace, toSpanProblem, toUsageAttributes } from './run-trace.ts';
import type { LoopState, RunLoopDeps, RunWork } from './run-work.ts';
import { estimateTokens } from './token-estimate.ts';
import { refusesTools } from './toolless-models.ts';
import { countFoundTokens, limitFound } from './tools/found-passages.ts';
import { toServerTools } from './tools/server-tool.ts';
import type { TurnRecorder } from './turn-recorder.ts';
import { type Turn, toTurnMessages } from './turns.ts';
import { readWindow, type Window } from './window.ts';

/** How often a prompt is cut by half for a model that says that it is too long. */
const SHORTENINGS_MAX = 4;
/** How often, before that, what searches found is cut by half; with fewer tokens than this, all of it goes. */
const FOUND_SHORTENINGS_MAX = 8;
const FOUND_TOKENS_MIN = 250;
/** What a prompt may have where neither the run nor the model says less. */
export const PROMPT_TOKENS_MAX = 120_000;

/** How the model is asked at the moment; it changes with what the model's server refuses. */
interface Approach {
  /** For the messages of the thread. */
  tokensMax: number;
  offersTools: boolean;
  shortenings: number;
  foundShortenings: number;
}

/**
 * Asks with as much of the thread as fits; with less, where the model says that it was too much. A model that refuses
 * tools is asked without them, after a search that nobody asked for: that is then the turn, as if the model had called.
 */
export async function* askModel(
  deps: RunLoopDeps,
  work: RunWork,
  state: LoopState,
  resolved: ResolvedModel,
): AsyncGenerator<ChatEvent, void, undefined> {
  const { signal, requestId } = work;
  const approach: Approach = {
    tokensMax: Math.max(1, toTokensLeft(work, state)),
    offersTools: needsTools(work) || !deps.toolless.has(resolved),
    shortenings: 0,
    foundShortenings: 0,
  };
  for (;;) {
    const window = await toWindow(deps, work, state, approach.tokensMax);
    const unasked = approach.offersTools ? null : toUnaskedSearch(deps, work, state, window);
    if (unasked !== null) {
      yield* unasked;
      return;
    }
    const request = await toRequest(deps, work, state, { window, approach, model: resolved.model });
    const span = beginChatSpan(work.startSpan, resolved);
    let hasBegun = false;
    try {
      const meter = deps.beginCall?.({
        tenant: work.writer.tenant,
        keyId: work.keyId,
        provider: toProviderName(resolved),
        kind: 'completion',
      });
      const options = {
        credentials: resolved.credentials,
        signal,
        requestId,
        ...toCallTrace(span),
        ...(meter ? { meter } : {}),
      };
      for await (const event of resolved.provider.chat(request, options)) {
        hasBegun = true;
        if (event.type === 'usage') {
          const counts = toTokenCounts(event.usage);
          meter?.usage(counts);
          span.set(toUsageAttributes(counts));
        }
        yield event;
      }
      return;
    } catch (error) {
      span.end(toSpanProblem(error));
      if (hasBegun) throw error;
      const isRefusal = approach.offersTools && !needsTools(work) && request.tools && refusesTools(error);
      if (isRefusal) {
        deps.toolless.add(resolved);
        approach.offersTools = false;
      } else if (!isContextOverflow(error) || !shorten(approach, work, state, window)) {
        throw error;
      }
    } finally {
      span.end();
    }
  }
}

/** Makes the prompt shorter, by what searches found before anything of the thread; false where it may not be. */
function shorten(approach: Approach, work: RunWork, state: LoopState, window: Window): boolean {
  if (approach.foundShortenings < FOUND_SHORTENINGS_MAX && shortenFound(state)) {
    approach.foundShortenings += 1;
    return true;
  }
  const mayShorten =
    approach.shortenings < SHORTENINGS_MAX &&
    work.writer.run.truncation_strategy?.type !== 'last_messages' &&
    window.messages.length > 1;
  if (!mayShorten) return false;
  approach.shortenings += 1;
  approach.tokensMax = Math.floor(Math.min(approach.tokensMax, window.tokens) / 2);
  state.window = null;
  return true;
}

/** A run with functions of the client's is of no use without tools: the client hears what the model's server says. */
function needsTools(work: RunWork): boolean {
  return work.writer.run.tools.some(({ type }) => type === 'function');
}

async function toRequest(
  deps: RunLoopDeps,
  work: RunWork,
  state: LoopState,
  given: { readonly window: Window; readonly approach: Approach; readonly model: string },
): Promise<ChatRequest> {
  const { run, tenant } = work.writer;
  const { messages } = given.window;
  await readImages(deps.readImage, tenant, messages, state.images);
  return toChatRequest({
    run,
    model: given.model,
    messages,
    turns: toShownTurns(state),
    serverTools: deps.serverTools,
    offersTools: given.approach.offersTools,
    images: state.images,
  });
}

function toShownTurns({ turns, foundTokensMax }: LoopState): readonly Turn[] {
  return foundTokensMax === null ? turns : limitFound(turns, foundTokensMax);
}

/** Halves what searches found, before anything of the thread has to go for it; false where none of it is left. */
function shortenFound(state: LoopState): boolean {
  const tokens = countFoundTokens(toShownTurns(state));
  if (tokens === 0) return false;
  state.foundTokensMax = tokens / 2 < FOUND_TOKENS_MIN ? 0 : Math.floor(tokens / 2);
  return true;
}

/** The calls that a model without tools would have made at the beginning of its run; null where there are none. */
function toUnaskedSearch(
  deps: RunLoopDeps,
  work: RunWork,
  state: LoopState,
  window: Window,
): readonly ChatEvent[] | null {
  const { run } = work.writer;
  if (state.turns.length > 0 || run.tool_choice === 'none') return null;
  const words = window.messages
    .filter(({ role }) => role === 'user')
    .map(({ content }) => content.map((part) => (part.type === 'text' ? part.text.value : '')).join('\n'));
  const calls = [...toServerTools(run, deps.serverTools)].flatMap(([name, tool]) => {
    const args = tool.toUnaskedArguments(words);
    return args === null ? [] : [{ name, args }];
  });
  if (calls.length === 0) return null;
  return [
    ...calls.flatMap(({ name, args }, index): ChatEvent[] => [
      { type: 'tool_call', index, id: deps.ids.create('call'), name },
      { type: 'tool_arguments', index, text: args },
    ]),
    { type: 'finish', reason: 'tool_calls' },
  ];
}

/** Whether the run's own `max_prompt_tokens` does not even hold the newest message, by estimate. */
export async function isPromptTooLong(deps: RunLoopDeps, work: RunWork, state: LoopState): Promise<boolean> {
  if (work.writer.run.max_prompt_tokens === null) return false;
  const tokensLeft = toTokensLeft(work, state);
  const window = await toWindow(deps, work, state, Math.max(1, tokensLeft));
  return window.tokens > tokensLeft;
}

/**
 * What the answers to this turn's calls may have together in the next prompt, so that nothing else of it has to go for
 * them: its thread, its instructions, its earlier turns.
 */
export function toAnswerTokensMax(work: RunWork, state: LoopState, recorder: TurnRecorder): number {
  const { max_prompt_tokens: own } = work.writer.run;
  const used = own === null ? 0 : (recorder.usage?.prompt_tokens ?? 0);
  const turn = estimateTokens(JSON.stringify([recorder.text, recorder.calls]));
  return Math.max(0, toTokensLeft(work, state) - (state.window?.tokens ?? 0) - used - turn);
}

/** What the prompt may have for the thread's messages, once everything else of it is counted. */
function toTokensLeft(work: RunWork, state: LoopState): number {
  const { run } = work.writer;
  const others = JSON.stringify([run.tools, toTurnMessages(toShownTurns(state))]);
  const rest = estimateTokens(run.instructions) + estimateTokens(others);
  const own =
    run.max_prompt_tokens === null
      ? PROMPT_TOKENS_MAX
      : run.max_prompt_tokens - run.internal.usage.prompt_tokens;
  return Math.min(PROMPT_TOKENS_MAX, own) - rest;
}

async function toWindow(
  deps: RunLoopDeps,
  work: RunWork,
  state: LoopState,
  tokensMax: number,
): Promise<Window> {
  if (state.window !== null && state.window.tokens <= tokensMax) return state.window;
  const { run, tenant } = work.writer;
  const { truncation_strategy: strategy } = run;
  state.window = await readWindow(deps, {
    tenant,
    threadId: run.thread_id,
    runId: run.id,
    tokensMax,
    messagesMax: strategy?.type === 'last_messages' ? (strategy.last_messages ?? null) : null,
  });
  return state.window;
}
