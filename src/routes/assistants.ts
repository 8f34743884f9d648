/** `/v1/assistants`. */

import type { Elysia } from 'elysia';
import { CreateAssistantRequest, ModifyAssistantRequest } from '../schemas/generated/assistants.ts';
import {
  createAssistant,
  deleteAssistant,
  getAssistant,
  listAssistants,
  modifyAssistant,
  toAssistant,
} from '../services/assistants.ts';
import { toListObject, toPageRequest } from '../services/lists.ts';
import { readBody, readQuery, toCaller } from './request.ts';
import type { RouteDeps } from './route-deps.ts';

export function registerAssistants(app: Elysia, deps: RouteDeps): void {
  app
    .post(
      '/v1/assistants',
      async ({ request, set }) => {
        const caller = toCaller(deps, request, set);
        const body = await readBody(deps, request, CreateAssistantRequest);
        return toAssistant(await createAssistant(deps, caller, body));
      },
      { parse: 'none' },
    )
    .get('/v1/assistants', async ({ request }) => {
      const page = toPageRequest(readQuery(request));
      return toListObject(await listAssistants(deps, deps.authenticate(request), page), toAssistant);
    })
    .get('/v1/assistants/:assistant_id', async ({ request, params }) =>
      toAssistant(await getAssistant(deps, deps.authenticate(request), params.assistant_id)),
    )
    .post(
      '/v1/assistants/:assistant_id',
      async ({ request, params, set }) => {
        const caller = toCaller(deps, request, set);
        const body = await readBody(deps, request, ModifyAssistantRequest);
        return toAssistant(await modifyAssistant(deps, caller, params.assistant_id, body));
      },
      { parse: 'none' },
    )
    .delete('/v1/assistants/:assistant_id', ({ request, params }) =>
      deleteAssistant(deps, deps.authenticate(request), params.assistant_id),
    );
}
