/** One turn of the model: what of the thread it gets to see, and the question itself. */

import type { ChatEvent, ResolvedModel } from '../providers/provider.ts';
import { isContextOverflow } from './failures.ts';
import { toChatRequest } from './prompt.ts';
import type { LoopState, RunLoopDeps, RunWork } from './run-work.ts';
import { estimateTokens } from './token-estimate.ts';
import { readWindow, type Window } from './window.ts';

/** How often a prompt is cut by half for a model that says that it is too long. */
const SHORTENINGS_MAX = 4;
/** What a prompt may have where neither the run nor the model says less. */
export const PROMPT_TOKENS_MAX = 120_000;

/** Asks with as much of the thread as fits; with less, where the model says that it was too much. */
export async function* askModel(
  deps: RunLoopDeps,
  work: RunWork,
  state: LoopState,
  resolved: ResolvedModel,
): AsyncGenerator<ChatEvent, void, undefined> {
  const { writer } = work;
  let tokensMax = Math.max(1, toTokensLeft(work, state));
  for (let shortenings = 0; ; shortenings += 1) {
    const window = await toWindow(deps, work, state, tokensMax);
    const request = toChatRequest({
      run: writer.run,
      model: resolved.model,
      messages: window.messages,
      turns: state.turns,
      serverTools: deps.serverTools,
    });
    let hasBegun = false;
    try {
      const { signal, requestId } = work;
      for await (const event of resolved.provider.chat(request, {
        credentials: resolved.credentials,
        signal,
        requestId,
      })) {
        hasBegun = true;
        yield event;
      }
      return;
    } catch (error) {
      const mayShorten =
        !hasBegun &&
        shortenings < SHORTENINGS_MAX &&
        writer.run.truncation_strategy?.type !== 'last_messages' &&
        window.messages.length > 1;
      if (!mayShorten || !isContextOverflow(error)) throw error;
      tokensMax = Math.floor(Math.min(tokensMax, window.tokens) / 2);
      state.window = null;
    }
  }
}

/** Whether the run's own `max_prompt_tokens` does not even hold the newest message, by estimate. */
export async function isPromptTooLong(deps: RunLoopDeps, work: RunWork, state: LoopState): Promise<boolean> {
  if (work.writer.run.max_prompt_tokens === null) return false;
  const tokensLeft = toTokensLeft(work, state);
  const window = await toWindow(deps, work, state, Math.max(1, tokensLeft));
  return window.tokens > tokensLeft;
}

/** What the prompt may have for the thread's messages, once everything else of it is counted. */
function toTokensLeft(work: RunWork, state: LoopState): number {
  const { run } = work.writer;
  const rest = estimateTokens(run.instructions) + estimateTokens(JSON.stringify([run.tools, state.turns]));
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
