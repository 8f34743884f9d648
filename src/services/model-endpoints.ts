/** The models themselves: requests that are handed through, and the list of what can be asked for. */

import { ApiError } from '../errors.ts';
import { toLogFields } from '../log.ts';
import type { Ports } from '../ports.ts';
import type { CallOptions, ModelInfo, RelayPath, ResolvedModel } from '../providers/provider.ts';
import type { Model } from '../schemas/generated/models.ts';
import type { Caller } from './caller.ts';
import { toApiError } from './provider-errors.ts';

type Deps = Pick<Ports, 'router' | 'log'>;

/**
 * Hands the request to the provider of its model; fields that are not known here go along.
 * Errors: 400 without a model; the provider's own, in OpenAI's envelope.
 */
export async function relay(
  deps: Deps,
  caller: Caller,
  path: RelayPath,
  body: Readonly<Record<string, unknown>>,
  signal: AbortSignal,
): Promise<Response> {
  const { model } = body;
  if (typeof model !== 'string' || model === '') {
    throw model === undefined
      ? new ApiError('missing_required_parameter', "Missing required parameter: 'model'.", { param: 'model' })
      : new ApiError('invalid_type', "Invalid type for 'model': expected a string.", { param: 'model' });
  }
  try {
    const resolved = deps.router.resolve(model, caller.headers);
    return await resolved.provider.relay(
      path,
      { ...body, model: resolved.model },
      toOptions(caller, resolved, signal),
    );
  } catch (error) {
    throw toApiError(error);
  }
}

/** A provider that does not answer hides only its own models. */
export async function listModels(deps: Deps, caller: Caller, signal: AbortSignal): Promise<Model[]> {
  const lists = await Promise.all(
    deps.router.available(caller.headers).map(async (resolved) => {
      try {
        return await resolved.provider.listModels(toOptions(caller, resolved, signal));
      } catch (error) {
        deps.log.warn('models not listed', { provider: resolved.provider.id, ...toLogFields(error) });
        return [];
      }
    }),
  );
  return lists.flat().map(toModel);
}

/** Errors: 404 where no provider lists the name. */
export async function getModel(deps: Deps, caller: Caller, id: string, signal: AbortSignal): Promise<Model> {
  const found = (await listModels(deps, caller, signal)).find((model) => model.id === id);
  if (found !== undefined) return found;
  throw new ApiError('model_not_found', `The model '${id}' does not exist or you do not have access to it.`, {
    param: 'model',
  });
}

function toOptions(caller: Caller, resolved: ResolvedModel, signal: AbortSignal): CallOptions {
  return { credentials: resolved.credentials, signal, requestId: caller.requestId };
}

function toModel(info: ModelInfo): Model {
  return { id: info.id, object: 'model', created: info.created, owned_by: info.ownedBy };
}
