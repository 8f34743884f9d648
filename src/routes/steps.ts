/** `/v1/threads/{thread_id}/runs/{run_id}/steps`. */

import type { Elysia } from 'elysia';
import { type StepRecord, toStep } from '../runs/run-records.ts';
import { toListObject, toPageRequest } from '../services/lists.ts';
import { getStep, listSteps, readIncludesContent } from '../services/steps.ts';
import { readQuery } from './request.ts';
import type { RouteDeps } from './route-deps.ts';

export function registerSteps(app: Elysia, deps: RouteDeps): void {
  app
    .get('/v1/threads/:thread_id/runs/:run_id/steps', async ({ request, params }) => {
      const query = readQuery(request);
      const page = toPageRequest(query);
      const includesContent = readIncludesContent(query);
      const scope = deps.authenticate(request);
      const steps = await listSteps(deps, scope, params.thread_id, params.run_id, page);
      return toListObject(steps, (step: StepRecord) => toStep(step, includesContent));
    })
    .get('/v1/threads/:thread_id/runs/:run_id/steps/:step_id', async ({ request, params }) => {
      const includesContent = readIncludesContent(readQuery(request));
      const scope = deps.authenticate(request);
      const step = await getStep(deps, scope, params.thread_id, params.run_id, params.step_id);
      return toStep(step, includesContent);
    });
}
