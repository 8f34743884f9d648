/** `/v1/threads/{thread_id}/runs` and `/v1/threads/runs`. */

import type { Elysia } from 'elysia';
import { toRun } from '../runs/run-records.ts';
import {
  CreateRunRequest,
  CreateThreadAndRunRequest,
  ModifyRunRequest,
  SubmitToolOutputsRunRequest,
} from '../schemas/generated/runs.ts';
import { toListObject, toPageRequest } from '../services/lists.ts';
import { createRun, createThreadAndRun, type StartedRun } from '../services/run-creation.ts';
import { cancelRun, getRun, listRuns, modifyRun, submitToolOutputs } from '../services/runs.ts';
import { hasAstraToken, hintPolling, readBody, readQuery, toCaller, toStreamResponse } from './request.ts';
import type { RouteDeps } from './route-deps.ts';
import { readStepView } from './steps.ts';

export function registerRuns(app: Elysia, deps: RouteDeps): void {
  app
    .post(
      '/v1/threads/runs',
      async ({ request, set }) => {
        const caller = toCaller(deps, request, set);
        const view = readStepView(request);
        const body = await readBody(deps, request, CreateThreadAndRunRequest);
        return toReply(await createThreadAndRun(deps, caller, body, view));
      },
      { parse: 'none' },
    )
    .post(
      '/v1/threads/:thread_id/runs',
      async ({ request, params, set }) => {
        const caller = toCaller(deps, request, set);
        const view = readStepView(request);
        const body = await readBody(deps, request, CreateRunRequest);
        return toReply(await createRun(deps, caller, params.thread_id, body, view));
      },
      { parse: 'none' },
    )
    .get('/v1/threads/:thread_id/runs', async ({ request, params }) => {
      const page = toPageRequest(readQuery(request));
      return toListObject(await listRuns(deps, deps.authenticate(request), params.thread_id, page), toRun);
    })
    .get('/v1/threads/:thread_id/runs/:run_id', async ({ request, params, set }) => {
      const scope = deps.authenticate(request);
      hintPolling(set);
      return toRun((await getRun(deps, scope, params.thread_id, params.run_id)).record);
    })
    .post(
      '/v1/threads/:thread_id/runs/:run_id',
      async ({ request, params }) => {
        const scope = deps.authenticate(request);
        const body = await readBody(deps, request, ModifyRunRequest);
        return toRun(await modifyRun(deps, scope, params.thread_id, params.run_id, body));
      },
      { parse: 'none' },
    )
    .post(
      '/v1/threads/:thread_id/runs/:run_id/cancel',
      ({ request, params, set }) =>
        cancelRun(deps, toCaller(deps, request, set), params.thread_id, params.run_id),
      { parse: 'none' },
    )
    .post(
      '/v1/threads/:thread_id/runs/:run_id/submit_tool_outputs',
      async ({ request, params, set }) => {
        const caller = toCaller(deps, request, set);
        const body = await readBody(deps, request, SubmitToolOutputsRunRequest);
        // It has no `include[]`.
        const view = { content: false, chunks: hasAstraToken(request) };
        return toReply(await submitToolOutputs(deps, caller, params.thread_id, params.run_id, body, view));
      },
      { parse: 'none' },
    );
}

function toReply({ run, stream }: StartedRun): Response | StartedRun['run'] {
  return stream === null ? run : toStreamResponse(stream);
}
