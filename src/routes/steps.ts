/** `/v1/threads/{thread_id}/runs/{run_id}/steps`. */

import type { Elysia } from 'elysia';
import type { StepRecord } from '../runs/run-records.ts';
import { type StepView, toStep } from '../runs/step-views.ts';
import { toListObject, toPageRequest } from '../services/lists.ts';
import { getStep, listSteps, readIncludesContent } from '../services/steps.ts';
import { hasAstraToken, readQuery } from './request.ts';
import type { RouteDeps } from './route-deps.ts';

/** What a request is shown of steps. Errors: 400 for an `include[]` that is not known. */
export function readStepView(request: Request): StepView {
  return { content: readIncludesContent(readQuery(request)), chunks: hasAstraToken(request) };
}

export function registerSteps(app: Elysia, deps: RouteDeps): void {
  app
    .get('/v1/threads/:thread_id/runs/:run_id/steps', async ({ request, params }) => {
      const page = toPageRequest(readQuery(request));
      const view = readStepView(request);
      const scope = deps.authenticate(request);
      const steps = await listSteps(deps, scope, params.thread_id, params.run_id, page);
      return toListObject(steps, (step: StepRecord) => toStep(step, view));
    })
    .get('/v1/threads/:thread_id/runs/:run_id/steps/:step_id', async ({ request, params }) => {
      const view = readStepView(request);
      const scope = deps.authenticate(request);
      const step = await getStep(deps, scope, params.thread_id, params.run_id, params.step_id);
      return toStep(step, view);
    });
}
