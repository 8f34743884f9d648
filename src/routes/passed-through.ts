/**
 * What this server has no word in, and hands to a provider that has it: completions of the older kind, moderations, images,
 * audio, fine-tuning, batches.
 */

import type { Elysia } from 'elysia';
import { ApiError } from '../errors.ts';
import { passThrough } from '../services/pass-through.ts';
import {
  createHeldBytes,
  type HeldBytes,
  type NamedBody,
  toFormBody,
  toJsonBody,
  toOpaqueBody,
} from '../services/pass-through-bodies.ts';
import { toPath } from './manners.ts';
import { readBytes, readQuery, toCaller } from './request.ts';
import type { RouteDeps } from './route-deps.ts';

type Method = 'GET' | 'POST' | 'DELETE';

/** Below `/v1`. */
export const ENDPOINTS: readonly (readonly [Method, string])[] = Object.freeze([
  ['POST', 'completions'],
  ['POST', 'moderations'],
  ['POST', 'images/*'],
  ['GET', 'audio/*'],
  ['POST', 'audio/*'],
  ['DELETE', 'audio/*'],
  ['GET', 'fine_tuning/*'],
  ['POST', 'fine_tuning/*'],
  ['DELETE', 'fine_tuning/*'],
  ['GET', 'batches'],
  ['POST', 'batches'],
  ['GET', 'batches/*'],
  ['POST', 'batches/*'],
] as const);

/** OpenAI takes 25 MB of sound, which official clients write before the model's name when their caller does. */
const HELD_BYTES_MAX = 32 * 1024 * 1024;
const HELD_BYTES_ALL_MAX = 128 * 1024 * 1024;

export function registerPassedThrough(app: Elysia, deps: RouteDeps): void {
  const budget = createHeldBytes(HELD_BYTES_MAX, HELD_BYTES_ALL_MAX);
  for (const [method, path] of ENDPOINTS) {
    app.route(
      method,
      `/v1/${path}`,
      async ({ request, set }) => {
        const caller = toCaller(deps, request, set);
        const query = readQuery(request);
        const passed = {
          method,
          path: toPassedPath(request, query),
          accept: request.headers.get('accept') ?? '*/*',
          contentType: request.headers.get('content-type'),
        };
        const named = await toNamedBody(request, query.get('model') || null, deps.bodyBytesMax, budget);
        return await passThrough(deps, caller, { ...passed, named }, request.signal);
      },
      { parse: 'none' },
    );
  }
}

/** Below `/v1`, as it came; `model` in the query is ours. Errors: 404 for a path that leads elsewhere. */
function toPassedPath(request: Request, query: URLSearchParams): string {
  const path = toPath(request);
  if (leadsElsewhere(path)) {
    throw new ApiError('unknown_url', `Invalid URL (${request.method} ${path})`);
  }
  const further = new URLSearchParams(query);
  further.delete('model');
  return path.slice('/v1/'.length) + (further.size === 0 ? '' : `?${further}`);
}

/** Whether some server would see a step upwards in it, or in what it makes of `%2F` and `\\`. */
function leadsElsewhere(path: string): boolean {
  const plain = path.replace(/%(2e|2f|5c)/gi, (_, code: string) =>
    String.fromCharCode(Number.parseInt(code, 16)),
  );
  return plain.split(/[/\\]/).some((part) => part === '.' || part === '..');
}

async function toNamedBody(
  request: Request,
  model: string | null,
  bytesMax: number,
  budget: HeldBytes,
): Promise<NamedBody> {
  const { body } = request;
  const type = request.headers.get('content-type') ?? '';
  const length = request.headers.get('content-length');
  const contentLength = length === null ? null : Number(length);
  if (body === null || request.method === 'GET') return toOpaqueBody(null, null, model);
  if (/^application\/([\w.-]+\+)?json\b/i.test(type)) {
    const bytes = await readBytes(request, bytesMax);
    return bytes.byteLength === 0 ? toOpaqueBody(null, null, model) : toJsonBody(bytes, model);
  }
  const boundary = /^multipart\/form-data\b.*;\s*boundary=(?:"([^"]{1,200})"|([^\s;]{1,200}))/i.exec(type);
  const name = boundary?.[1] ?? boundary?.[2];
  if (name !== undefined && model === null) return await toFormBody(body, name, contentLength, budget);
  if (name !== undefined) return toOpaqueBody(body, contentLength, model);
  if (contentLength === 0) return toOpaqueBody(null, null, model);
  throw new ApiError(
    'unsupported_media_type',
    `Unsupported content type: '${type.slice(0, 100)}'. This API takes 'application/json' and 'multipart/form-data'.`,
  );
}
