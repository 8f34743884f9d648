/** `/v1/chat/completions`, `/v1/embeddings` and `/v1/models`: the models themselves, without a thread. */

import type { Elysia } from 'elysia';
import { ApiError } from '../errors.ts';
import type { RelayPath } from '../providers/provider.ts';
import { getModel, listModels, type RelayedReply, relay } from '../services/model-endpoints.ts';
import { type ResponseSettings, readJson, toCaller } from './request.ts';
import type { RouteDeps } from './route-deps.ts';

export function registerModelEndpoints(app: Elysia, deps: RouteDeps): void {
  for (const path of ['chat/completions', 'embeddings'] satisfies RelayPath[]) {
    app.post(
      `/v1/${path}`,
      async ({ request, set }) => {
        const caller = toCaller(deps, request, set);
        const body = toObject(await readJson(request, deps.bodyBytesMax));
        return toReply(await relay(deps, caller, path, body, request.signal), set);
      },
      { parse: 'none' },
    );
  }
  app
    .get('/v1/models', async ({ request, set }) => ({
      object: 'list',
      data: await listModels(deps, toCaller(deps, request, set), request.signal),
    }))
    // Names of models hold slashes.
    .get('/v1/models/*', ({ request, params, set }) =>
      getModel(deps, toCaller(deps, request, set), decodeName(params['*']), request.signal),
    );
}

function toReply(reply: RelayedReply, set: ResponseSettings): Response | string {
  if (reply.kind === 'stream') return reply.response;
  set.status = reply.status;
  set.headers['content-type'] = reply.contentType;
  return reply.text;
}

function toObject(body: unknown): Record<string, unknown> {
  if (body === null || typeof body !== 'object' || Array.isArray(body)) {
    throw ApiError.invalidRequest('The request body must be a JSON object.');
  }
  return body as Record<string, unknown>;
}

function decodeName(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}
