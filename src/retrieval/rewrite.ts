/** Search questions worded anew by a language model, where the operator named one for it. */

import { type Log, toLogFields } from '../log.ts';
import type { BeginCall } from '../providers/call-meter.ts';
import { toTokenCounts } from '../providers/chat/chat-wire.ts';
import { type ChatRequest, ProviderError, type Router, toProviderName } from '../providers/provider.ts';
import { QUERIES_MAX, type SearchCaller } from './search.ts';

/** Questions for searching in the place of those that were asked. Never throws because of the model. */
export type RewriteQueries = (queries: readonly string[], caller: SearchCaller) => Promise<readonly string[]>;

const REWRITE_MS = 10_000;
const TOKENS_MAX = 256;
const QUERY_LENGTH_MAX = 1_024;
const ANSWER_LENGTH_MAX = 4_096;

const INSTRUCTIONS =
  'You word questions anew for a document search. Answer with one search query for each question, each on a line of its own, ' +
  'in the language of the question: short, without words of courtesy, with every name, number and identifier kept as it is. ' +
  'Answer with nothing else.';

/** `model` is the operator's; null: questions stay as they are. */
export function createRewrite(
  deps: { readonly router: Router; readonly log: Log; readonly beginCall?: BeginCall },
  model: string | null,
): RewriteQueries {
  if (model === null) return async (queries) => queries;
  return async (queries, caller) => {
    try {
      const lines = await ask(deps, model, queries, caller);
      return lines.length === 0 ? queries : lines;
    } catch (error) {
      caller.signal.throwIfAborted();
      if (!(error instanceof ProviderError)) throw error;
      deps.log.warn('question not rewritten', { requestId: caller.requestId, ...toLogFields(error) });
      return queries;
    }
  };
}

async function ask(
  { router, beginCall }: { readonly router: Router; readonly beginCall?: BeginCall },
  model: string,
  queries: readonly string[],
  { scope, headers, requestId, signal, keyId = null }: SearchCaller,
): Promise<readonly string[]> {
  const resolved = router.resolve(model, headers);
  const overdue = new AbortController();
  const timer = setTimeout(
    () => overdue.abort(new ProviderError('timeout', 'It took too long.')),
    REWRITE_MS,
  );
  const request: ChatRequest = {
    model: resolved.model,
    max_completion_tokens: TOKENS_MAX,
    messages: [
      { role: 'system', content: INSTRUCTIONS },
      {
        role: 'user',
        content: queries.map((query) => query.replace(/\s+/g, ' ').slice(0, QUERY_LENGTH_MAX)).join('\n'),
      },
    ],
  };
  try {
    let text = '';
    const provider = toProviderName(resolved);
    const meter = beginCall?.({ tenant: scope.tenant, keyId, provider, kind: 'completion' });
    const events = resolved.provider.chat(request, {
      credentials: resolved.credentials,
      signal: AbortSignal.any([signal, overdue.signal]),
      requestId,
      ...(meter ? { meter } : {}),
    });
    for await (const event of events) {
      if (event.type === 'usage') meter?.usage(toTokenCounts(event.usage));
      if (event.type === 'text') text += event.text;
      if (text.length > ANSWER_LENGTH_MAX) break;
    }
    return toLines(text);
  } finally {
    clearTimeout(timer);
  }
}

/** Models number their lines, or put them into quotation marks. */
function toLines(text: string): readonly string[] {
  return text
    .split('\n')
    .map((line) =>
      line
        .replace(/^\s*(?:[-*•]|\d+[.)])\s+/, '')
        .replace(/^["“](.*)["”]$/, '$1')
        .trim(),
    )
    .filter((line) => line !== '')
    .slice(0, QUERIES_MAX);
}
