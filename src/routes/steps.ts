/** `/v1/threads/{thread_id}/runs/{run_id}/steps`. */

import type { Elysia } from 'elysia';
import { toStep } from '../runs/run-records.ts';
import { toListObject, toPageRequest } from '../services/lists.ts';
import { getStep, listSteps } from '../services/steps.ts';
import { readQuery } from './request.ts';
import type { RouteDeps } from './route-deps.ts';

export function registerSteps(app: Elysia, deps: RouteDeps): void {
  app
    .get('/v1/threads/:thread_id/runs/:run_id/steps', async ({ request, params }) => {
      const page = toPageRequest(readQuery(request));
      const scope = deps.authenticate(request);
      return toListObject(await listSteps(deps, scope, params.thread_id, params.run_id, page), toStep);
    })
    .get('/v1/threads/:thread_id/runs/:run_id/steps/:step_id', async ({ request, params }) => {
      const scope = deps.authenticate(request);
      return toStep(await getStep(deps, scope, params.thread_id, params.run_id, params.step_id));
    });
}
