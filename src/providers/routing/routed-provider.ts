/** Providers around providers: what headers add to a request, and other models where one fails. */

import {
  type CallOptions,
  type ChatEvent,
  type ChatRequest,
  type Provider,
  ProviderError,
  type ResolvedModel,
  toProviderName,
} from '../provider.ts';

/** Adds fields to each request for a chat; they win over those of the request. */
export function addFields(provider: Provider, fields: Readonly<Record<string, unknown>>): Provider {
  return {
    ...provider,
    chat: (request, options) => provider.chat({ ...withoutLimits(request, fields), ...fields }, options),
    relay: (path, body, options) =>
      provider.relay(
        path,
        path === 'chat/completions' ? { ...withoutLimits(body, fields), ...fields } : body,
        options,
      ),
  };
}

const LIMITS = ['max_tokens', 'max_completion_tokens'] as const;

/** The limit of tokens has two names, and a request with both is refused. */
function withoutLimits<R extends object>(request: R, fields: Readonly<Record<string, unknown>>): R {
  if (!LIMITS.some((name) => name in fields)) return request;
  const rest: R & { [N in (typeof LIMITS)[number]]?: unknown } = { ...request };
  for (const name of LIMITS) delete rest[name];
  return rest;
}

/**
 * Asks the first model, and the next ones where one fails before its first word. The credentials of a call are those of
 * the model that is asked, whatever the caller hands in; errors are those of the last one that was asked. Embeddings are asked
 * of other providers of the same model alone: vectors of another one mean nothing beside those that are kept.
 */
export function createFallbacks(candidates: readonly [ResolvedModel, ...ResolvedModel[]]): Provider {
  const [first] = candidates;
  const alike = candidates.filter(({ model }) => toBareName(model) === toBareName(first.model));

  return {
    ...first.provider,
    async *chat(request, options) {
      const begun = await askInTurn(candidates, options, (one, own) => begin(one, request, own));
      yield* drain(begun);
    },
    relay: (path, body, options) =>
      askInTurn(path === 'embeddings' ? alike : candidates, options, (one, own) =>
        one.provider.relay(path, { ...body, model: one.model }, own),
      ),
  };
}

async function askInTurn<T>(
  candidates: readonly ResolvedModel[],
  options: CallOptions,
  ask: (one: ResolvedModel, options: CallOptions) => Promise<T>,
): Promise<T> {
  const last = candidates.length - 1;
  for (const [at, one] of candidates.entries()) {
    try {
      const answer = await ask(one, { ...options, credentials: one.credentials });
      options.meter?.answeredBy(toProviderName(one));
      return answer;
    } catch (error) {
      options.signal.throwIfAborted();
      if (at === last || !mayFallBack(error, one)) throw error;
    }
  }
  throw new Error('There is no candidate.');
}

/** What a model is called wherever it is: `BAAI/bge-m3` and `bge-m3` are one. */
function toBareName(model: string): string {
  return model.slice(model.lastIndexOf('/') + 1).toLowerCase();
}

interface BegunChat {
  readonly first: IteratorResult<ChatEvent, void>;
  readonly rest: AsyncGenerator<ChatEvent, void, undefined>;
}

/** Waits for the first event: up to it another model may be asked. */
async function begin(one: ResolvedModel, request: ChatRequest, options: CallOptions): Promise<BegunChat> {
  const rest = one.provider.chat({ ...request, model: one.model }, options);
  return { first: await rest.next(), rest };
}

async function* drain({ first, rest }: BegunChat): AsyncGenerator<ChatEvent, void, undefined> {
  try {
    for (let next = first; !next.done; next = await rest.next()) yield next.value;
  } finally {
    await rest.return();
  }
}

/** Another model would say the same of a request that is wrong in itself. */
function mayFallBack(error: unknown, { credentials }: ResolvedModel): boolean {
  if (!(error instanceof ProviderError)) return false;
  switch (error.kind) {
    case 'invalid_request':
    case 'content_filter':
      return false;
    case 'authentication':
      // A request should learn that its own key is wrong.
      return !credentials.fromRequest;
    default:
      return true;
  }
}
