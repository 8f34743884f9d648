/** `/v1/threads/{thread_id}/messages`. */

import type { Elysia } from 'elysia';
import { CreateMessageRequest, ModifyMessageRequest } from '../schemas/generated/messages.ts';
import { toListObject, toPageRequest } from '../services/lists.ts';
import { toMessage } from '../services/message-records.ts';
import {
  createMessage,
  deleteMessage,
  getMessage,
  listMessages,
  modifyMessage,
} from '../services/messages.ts';
import { readBody, readQuery, toCaller } from './request.ts';
import type { RouteDeps } from './route-deps.ts';

export function registerMessages(app: Elysia, deps: RouteDeps): void {
  app
    .post(
      '/v1/threads/:thread_id/messages',
      async ({ request, params, set }) => {
        const caller = toCaller(deps, request, set);
        const body = await readBody(deps, request, CreateMessageRequest);
        return toMessage(await createMessage(deps, caller, params.thread_id, body));
      },
      { parse: 'none' },
    )
    .get('/v1/threads/:thread_id/messages', async ({ request, params }) => {
      const query = readQuery(request);
      const page = toPageRequest(query);
      const scope = deps.authenticate(request);
      return toListObject(
        await listMessages(deps, scope, params.thread_id, page, query.get('run_id')),
        toMessage,
      );
    })
    .get('/v1/threads/:thread_id/messages/:message_id', async ({ request, params }) =>
      toMessage(await getMessage(deps, deps.authenticate(request), params.thread_id, params.message_id)),
    )
    .post(
      '/v1/threads/:thread_id/messages/:message_id',
      async ({ request, params }) => {
        const scope = deps.authenticate(request);
        const body = await readBody(deps, request, ModifyMessageRequest);
        return toMessage(await modifyMessage(deps, scope, params.thread_id, params.message_id, body));
      },
      { parse: 'none' },
    )
    .delete('/v1/threads/:thread_id/messages/:message_id', ({ request, params }) =>
      deleteMessage(deps, deps.authenticate(request), params.thread_id, params.message_id),
    );
}
