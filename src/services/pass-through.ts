/** OpenAI's other endpoints, handed through to a provider that has them. */

import { ApiError } from '../errors.ts';
import type { Ports } from '../ports.ts';
import type { BeginCall } from '../providers/call-meter.ts';
import {
  type PassedRequest,
  type Provider,
  type ResolvedModel,
  toProviderName,
} from '../providers/provider.ts';
import type { Caller } from './caller.ts';
import type { NamedBody } from './pass-through-bodies.ts';
import { toApiError } from './provider-errors.ts';

type Deps = Pick<Ports, 'router'> & { readonly beginCall: BeginCall };

export interface PassThroughRequest extends Omit<PassedRequest, 'model' | 'body' | 'contentLength'> {
  readonly named: NamedBody;
}

/**
 * Hands the request to the provider of the model that it names, or to the default upstream where it names none. Its body
 * stays what it is but for the model's name, where the provider knows the model without our prefix.
 * Errors: 501 where the provider has no such endpoint; the provider's own, in OpenAI's envelope.
 */
export async function passThrough(
  deps: Deps,
  caller: Caller,
  { named, ...request }: PassThroughRequest,
  signal: AbortSignal,
): Promise<Response> {
  try {
    const resolved =
      named.model === null
        ? findDefault(deps, caller, request)
        : deps.router.resolve(named.model, caller.headers);
    const pass = toPass(resolved, named.model, request);
    const model = named.model === null ? null : resolved.model;
    const passed: PassedRequest = { ...request, model, ...named.toBody(model) };
    const meter = deps.beginCall({
      tenant: caller.scope.tenant,
      keyId: caller.key?.id ?? null,
      provider: toProviderName(resolved),
      kind: 'completion',
    });
    const { requestId } = caller;
    return await pass(passed, { credentials: resolved.credentials, signal, requestId, meter });
  } catch (error) {
    throw toApiError(error);
  }
}

type Pass = NonNullable<Provider['pass']>;
type Target = Pick<PassedRequest, 'method' | 'path'>;

function toPass({ provider, credentials }: ResolvedModel, model: string | null, target: Target): Pass {
  const { pass } = provider;
  if (pass !== undefined) return pass;
  const id = credentials.style?.provider ?? provider.id;
  const whose = model === null ? '' : ` of the model '${model}'`;
  throw createNotSupported(target, `The provider '${id}'${whose} has no such endpoint.`);
}

/** The upstream that takes models without a prefix; where that has no such endpoints, the first one that has. */
function findDefault({ router }: Deps, caller: Caller, target: Target): ResolvedModel {
  const able = router.available(caller.headers).filter(({ provider }) => provider.pass !== undefined);
  const found = able.find((one) => 'prefix' in one && one.prefix === '') ?? able[0];
  if (found !== undefined) return found;
  throw createNotSupported(
    target,
    "No provider is configured that has it. Set OPENAI_API_KEY, or OPENAI_BASE_URL for another server that has it, or send a key as 'authorization'.",
  );
}

function createNotSupported({ method, path }: Target, reason: string): ApiError {
  const where = `${method} /v1/${path.split('?', 1)[0]}`;
  return new ApiError('not_supported', `${where} is handed to a model's provider. ${reason}`, {
    param: 'model',
  });
}
