/** `/v1/threads`. */

import type { Elysia } from 'elysia';
import { CreateThreadRequest, ModifyThreadRequest } from '../schemas/generated/threads.ts';
import { toListObject, toPageRequest } from '../services/lists.ts';
import {
  createThread,
  deleteThread,
  getThread,
  listThreads,
  modifyThread,
  toThread,
} from '../services/threads.ts';
import { readBody, readMetadataFilter, readQuery, toCaller } from './request.ts';
import type { RouteDeps } from './route-deps.ts';

export function registerThreads(app: Elysia, deps: RouteDeps): void {
  app
    .post(
      '/v1/threads',
      async ({ request, set }) => {
        const caller = toCaller(deps, request, set);
        const body = await readBody(deps, request, CreateThreadRequest);
        return toThread(await createThread(deps, caller, body));
      },
      { parse: 'none' },
    )
    .get('/v1/threads', async ({ request }) => {
      const query = readQuery(request);
      const page = toPageRequest(query);
      const found = await listThreads(deps, deps.authenticate(request), page, readMetadataFilter(query));
      return toListObject(found, toThread);
    })
    .get('/v1/threads/:thread_id', async ({ request, params }) =>
      toThread((await getThread(deps, deps.authenticate(request), params.thread_id)).record),
    )
    .post(
      '/v1/threads/:thread_id',
      async ({ request, params, set }) => {
        const caller = toCaller(deps, request, set);
        const body = await readBody(deps, request, ModifyThreadRequest);
        return toThread(await modifyThread(deps, caller, params.thread_id, body));
      },
      { parse: 'none' },
    )
    .delete('/v1/threads/:thread_id', ({ request, params }) =>
      deleteThread(deps, deps.authenticate(request), params.thread_id),
    );
}
