/** The models themselves: requests that are handed through, and the list of what can be asked for. */

import { ApiError } from '../errors.ts';
import { toLogFields } from '../log.ts';
import type { Ports } from '../ports.ts';
import type { BeginCall, CallMeter } from '../providers/call-meter.ts';
import { findEntry } from '../providers/catalogue/catalogue.ts';
import { DocumentReply, type RelayReply } from '../providers/document-reply.ts';
import {
  type AvailableProvider,
  type CallOptions,
  type ModelInfo,
  ProviderError,
  type RelayPath,
  type ResolvedModel,
  type Router,
  toProviderName,
} from '../providers/provider.ts';
import { toEmbeddingHeaders, toParameterFields } from '../providers/routing/embedding-headers.ts';
import { findUsage } from '../providers/usage-scan.ts';
import { toCallTrace, toModelAttributes, toSpanProblem, toUsageAttributes } from '../runs/run-trace.ts';
import type { Model } from '../schemas/generated/models.ts';
import type { Span, Tracing } from '../tracing/tracing.ts';
import type { Caller } from './caller.ts';
import { toApiError } from './provider-errors.ts';

type Deps = Pick<Ports, 'router' | 'log'>;
type RelayDeps = Deps & { readonly beginCall: BeginCall; readonly tracing: Tracing };

/** An answer: a whole document as text, or a response that streams. */
export type RelayedReply =
  | { readonly kind: 'stream'; readonly response: Response }
  | {
      readonly kind: 'document';
      readonly status: number;
      readonly contentType: string;
      readonly text: string;
    };

/**
 * Hands the request to the provider of its model; fields that are not known here go along.
 * Errors: 400 without a model; the provider's own, in OpenAI's envelope.
 */
export async function relay(
  deps: RelayDeps,
  caller: Caller,
  path: RelayPath,
  body: Readonly<Record<string, unknown>>,
  signal: AbortSignal,
): Promise<RelayedReply> {
  const model = readModel(deps, body);
  const isEmbedding = path === 'embeddings';
  const headers = isEmbedding ? toEmbeddingHeaders(caller.headers) : caller.headers;
  try {
    const resolved = deps.router.resolve(model, headers);
    const fields = isEmbedding ? toParameterFields(caller.headers) : {};
    const span = beginRelaySpan(deps, caller, isEmbedding ? 'embeddings' : 'chat', resolved);
    const meter = traceCall(
      deps.beginCall({
        tenant: caller.scope.tenant,
        keyId: caller.key?.id ?? null,
        provider: toProviderName(resolved),
        kind: isEmbedding ? 'embedding' : 'completion',
        requestBytes: Number(caller.headers['content-length'] ?? 0),
      }),
      span,
    );
    try {
      const response = await resolved.provider.relay(
        path,
        { ...body, ...fields, model: resolved.model },
        { ...toOptions(caller, resolved, signal), ...toCallTrace(span), meter },
      );
      const reply = await toReply(response, meter);
      // Of a stream its end is told to the meter.
      if (reply.kind === 'document') span.end();
      return reply;
    } catch (error) {
      span.end(toSpanProblem(error));
      throw error;
    }
  } catch (error) {
    throw toApiError(error);
  }
}

function beginRelaySpan(
  { tracing }: RelayDeps,
  { trace }: Caller,
  operation: string,
  resolved: ResolvedModel,
): Span {
  const attributes = toModelAttributes(operation, resolved);
  return tracing.start(`${operation} ${resolved.model}`, {
    kind: 'client',
    parent: trace ?? null,
    attributes,
  });
}

/** The span gets to know what the meter is told. */
function traceCall(meter: CallMeter, span: Span): CallMeter {
  if (span.context === null) return meter;
  const { stream } = meter;
  return {
    answeredBy(provider) {
      span.set({ 'gen_ai.provider.name': provider });
      meter.answeredBy(provider);
    },
    usage(counts) {
      span.set(toUsageAttributes(counts));
      meter.usage(counts);
    },
    stream: {
      begin: () => stream.begin(),
      piece: (bytes) => stream.piece(bytes),
      end() {
        stream.end();
        span.end();
      },
    },
  };
}

/**
 * A document becomes text: the router adds its headers to a `Response` by making a stream of its body, which costs more than
 * everything else that is done here for a request.
 */
async function toReply(response: RelayReply, meter: CallMeter): Promise<RelayedReply> {
  if (response instanceof DocumentReply) {
    const { status, contentType, document, usage } = response;
    if (usage !== null) meter.usage(usage);
    return { kind: 'document', status, contentType, text: document };
  }
  const contentType = response.headers.get('content-type') ?? '';
  if (!contentType.startsWith('application/json')) return { kind: 'stream', response };
  const text = await response.text();
  const counts = findUsage(text);
  if (counts !== null) meter.usage(counts);
  return { kind: 'document', status: response.status, contentType, text };
}

/** Errors: 400 where there is none, and the operator has none for such requests, or where it is no text. */
function readModel({ router }: Deps, { model }: Readonly<Record<string, unknown>>): string {
  const isMissing = model === undefined || model === '';
  if (isMissing && router.defaultModel) return router.defaultModel;
  if (isMissing) {
    throw new ApiError('missing_required_parameter', "Missing required parameter: 'model'.", {
      param: 'model',
    });
  }
  if (typeof model === 'string') return model;
  throw new ApiError('invalid_type', "Invalid type for 'model': expected a string.", { param: 'model' });
}

/** Providers that are asked for their models at once; the next one when one has answered. */
const LISTS_AT_ONCE = 8;
/** How long one may take: a list is of no use to whoever waits for the slowest of many. */
const LIST_MS = 10_000;

/** What can be asked for now: the operator's names, then each provider's. One that does not answer hides only its own. */
export async function listModels(deps: Deps, caller: Caller, signal: AbortSignal): Promise<Model[]> {
  const { router } = deps;
  const providers = router.available(caller.headers);
  const lists: (readonly ModelInfo[])[] = providers.map(() => []);
  const queue = providers.entries();
  const work = async (): Promise<void> => {
    // The workers share the one iterator: each takes the next provider.
    for (const [at, one] of queue) lists[at] = await listQuietly(deps, caller, one, signal);
  };
  await Promise.all(Array.from({ length: Math.min(LISTS_AT_ONCE, providers.length) }, work));
  signal.throwIfAborted();
  const models = new Map<string, Model>();
  for (const info of [...toAliasInfos(router), ...lists.flat()]) {
    if (!models.has(info.id)) models.set(info.id, toModel(info));
  }
  return [...models.values()];
}

function toAliasInfos({ aliases = [] }: Router): readonly ModelInfo[] {
  return aliases.map((id) => ({ id, created: 0, ownedBy: 'operator' }));
}

/** The models of one provider, under the names by which they are asked for. */
async function listQuietly(
  deps: Deps,
  caller: Caller,
  available: AvailableProvider,
  signal: AbortSignal,
): Promise<readonly ModelInfo[]> {
  const { provider, prefix } = available;
  const timely = AbortSignal.any([signal, AbortSignal.timeout(LIST_MS)]);
  try {
    const infos = await provider.listModels(toOptions(caller, available, timely));
    return prefix === '' ? infos : infos.map((info) => ({ ...info, id: prefix + info.id }));
  } catch (error) {
    const id = available.credentials.style?.provider ?? provider.id;
    deps.log.warn('models not listed', { provider: id, ...toLogFields(error) });
    return [];
  }
}

/** Asks the one provider that would answer. Errors: 404 where it does not list the name; its own. */
export async function getModel(deps: Deps, caller: Caller, id: string, signal: AbortSignal): Promise<Model> {
  const alias = toAliasInfos(deps.router).find((info) => info.id === id);
  if (alias !== undefined) return toModel(alias);
  const resolved = tryResolve(deps, caller, id);
  if (resolved === null) throw createUnknown(id);
  const owner = resolved.credentials.style?.provider ?? resolved.provider.id;
  // Deployments and the like are told to nobody: whether there is such a model is seen when it is asked.
  if (findEntry(owner)?.listsModels === false) return toModel({ id, created: 0, ownedBy: owner });
  const { model } = resolved;
  try {
    const infos = await resolved.provider.listModels(toOptions(caller, resolved, signal));
    const found = infos.find((info) => info.id === model || info.id === `${model}:latest`);
    if (found !== undefined) return toModel({ ...found, id });
  } catch (error) {
    throw toApiError(error);
  }
  throw createUnknown(id);
}

/** Null where nobody takes the name, or there is no key for who does. */
function tryResolve(deps: Deps, caller: Caller, id: string): ResolvedModel | null {
  try {
    return deps.router.resolve(id, caller.headers);
  } catch (error) {
    if (error instanceof ProviderError) return null;
    throw error;
  }
}

function createUnknown(id: string): ApiError {
  return new ApiError(
    'model_not_found',
    `The model '${id}' does not exist or you do not have access to it.`,
    {
      param: 'model',
    },
  );
}

function toOptions(caller: Caller, resolved: ResolvedModel, signal: AbortSignal): CallOptions {
  return { credentials: resolved.credentials, signal, requestId: caller.requestId };
}

function toModel(info: ModelInfo): Model {
  return { id: info.id, object: 'model', created: info.created, owned_by: info.ownedBy };
}
