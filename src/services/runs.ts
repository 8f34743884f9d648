/** Runs that exist: reading, changing, cancelling them, and answering their calls. */

import { toSeconds } from '../clock.ts';
import { ApiError } from '../errors.ts';
import type { Ports } from '../ports.ts';
import type { RequestHeaders } from '../providers/provider.ts';
import { choosesProvider, toKeptHeaders } from '../providers/routing/kept-headers.ts';
import { LEASE_SCOPE, toLeaseClaim } from '../runs/leases.ts';
import { toStepUpdate } from '../runs/parts.ts';
import type { RunEngine } from '../runs/run-engine.ts';
import { resolveModel, searchesFromRequest } from '../runs/run-model.ts';
import {
  type LeaseRecord,
  type RunRecord,
  type StepRecord,
  toRun,
  toThreadScope,
} from '../runs/run-records.ts';
import { isLegal } from '../runs/run-state.ts';
import { PLAIN_VIEW, type StepView, toStep } from '../runs/step-views.ts';
import { settleClaim } from '../runs/thread-claims.ts';
import { readSteps } from '../runs/turns.ts';
import type { ModifyRunRequest, RunObject, SubmitToolOutputsRunRequest } from '../schemas/generated/runs.ts';
import {
  type Page,
  type PageRequest,
  type Scope,
  StoreError,
  type Versioned,
  type Write,
} from '../store/store.ts';
import { type Caller, withRunSlot } from './caller.ts';
import { readPage, rethrowMissing } from './lists.ts';
import { toMetadata } from './metadata.ts';
import type { RunDeps, StartedRun } from './run-creation.ts';
import { getThread } from './threads.ts';

type Deps = Pick<Ports, 'store'>;

/** A run can be moved by its worker while a client moves it. */
const MOVE_ATTEMPTS_MAX = 16;

export async function getRun(
  deps: Deps,
  scope: Scope,
  threadId: string,
  id: string,
): Promise<Versioned<RunRecord>> {
  const found = await deps.store.get<RunRecord>('runs', toThreadScope(scope.tenant, threadId), id);
  if (found !== null) return found;
  const thread = await getThread(deps, scope, threadId);
  if (thread.record.active_run_id !== id) throw ApiError.notFound('run', id);
  // It is being made.
  await settleClaim(deps, scope, thread);
  const made = await deps.store.get<RunRecord>('runs', toThreadScope(scope.tenant, threadId), id);
  if (made === null) throw ApiError.notFound('run', id);
  return made;
}

export async function listRuns(
  deps: Deps,
  scope: Scope,
  threadId: string,
  page: PageRequest,
): Promise<Page<RunRecord>> {
  const runs = toThreadScope(scope.tenant, threadId);
  const found = await readPage(page, () => deps.store.list<RunRecord>('runs', runs, page));
  if (found.items.length === 0) await getThread(deps, scope, threadId);
  return found;
}

export async function modifyRun(
  deps: Deps,
  scope: Scope,
  threadId: string,
  id: string,
  body: ModifyRunRequest,
): Promise<RunRecord> {
  if (body.metadata === undefined) return (await getRun(deps, scope, threadId, id)).record;
  const metadata = toMetadata(body.metadata);
  await getThread(deps, scope, threadId);
  const { record } = await deps.store
    .update<RunRecord>('runs', toThreadScope(scope.tenant, threadId), id, { metadata })
    .catch(rethrowMissing('run', id));
  return record;
}

/** Begins to cancel; the run is `cancelling` until its work has stopped. Errors: 404; 400 where it has ended. */
export async function cancelRun(
  deps: Deps & Pick<RunDeps, 'clock' | 'runs'>,
  caller: Caller,
  threadId: string,
  id: string,
): Promise<RunObject> {
  for (let attempt = 0; attempt < MOVE_ATTEMPTS_MAX; attempt += 1) {
    const found = await getRun(deps, caller.scope, threadId, id);
    const { record } = found;
    if (!isLegal(record.status, 'cancelling')) {
      throw ApiError.invalidRequest(`Cannot cancel run with status '${record.status}'.`);
    }
    // Nobody works on a run that waits for its client: whoever cancels it also ends it.
    const isWaiting = record.status === 'requires_action';
    const change = { status: 'cancelling' as const, required_action: null };
    const claim = isWaiting ? [toLeaseClaim(deps, id, deps.runs.owner)] : [];
    try {
      const run = await moveRun(deps, caller.scope, found, change, claim);
      if (isWaiting) endWaitingRun(deps.runs, caller, run);
      // Where another process works on it, that one finds out.
      else deps.runs.interruptSoon(caller.scope.tenant, id, 'cancelled');
      return toRun(run.record);
    } catch (error) {
      if (!(error instanceof StoreError) || error.code !== 'conflict') throw error;
    }
  }
  throw new ApiError('conflict', `Run ${id} is being changed by others. Try again.`);
}

/**
 * Changes a run by compare-and-set, after what goes with it. Where there is any, the run is claimed first: of two who
 * would move it only one gets to write, and a crash in between leaves the run as it was, to be moved again.
 * Errors: `StoreError`.
 */
async function moveRun(
  deps: Deps,
  { tenant }: Scope,
  { record, version }: Versioned<RunRecord>,
  change: Partial<RunRecord>,
  before: readonly Write[],
): Promise<Versioned<RunRecord>> {
  const update = (values: Partial<RunRecord>, ifVersion: number): Write => ({
    kind: 'update',
    collection: 'runs',
    scope: toThreadScope(tenant, record.thread_id),
    id: record.id,
    change: values,
    ifVersion,
  });
  const writes =
    before.length === 0
      ? [update(change, version)]
      : [update({}, version), ...before, update(change, version + 1)];
  const versions = await deps.store.write(writes);
  return { record: { ...record, ...change }, version: versions.at(-1) ?? version + 1 };
}

function endWaitingRun(runs: RunEngine, caller: Caller, run: Versioned<RunRecord>): void {
  runs.start({
    tenant: caller.scope.tenant,
    run,
    resolveModel: () => {
      throw new Error('a run that is only to be ended needs no model');
    },
    requestId: caller.requestId,
    headers: {},
    isContinued: true,
    opening: [],
    isStreamed: false,
    interruption: 'cancelled',
  });
}

/**
 * Answers all calls that the run waits for, and goes on with it. Errors: 404; 400 where the run does not wait,
 * where an output is missing, or for a call that was never made. Then nothing is written.
 */
export async function submitToolOutputs(
  deps: Pick<RunDeps, 'store' | 'clock' | 'router' | 'runs' | 'headerKeeper' | 'embedders'>,
  caller: Caller,
  threadId: string,
  id: string,
  body: SubmitToolOutputsRunRequest,
  view: StepView = PLAIN_VIEW,
): Promise<StartedRun> {
  const found = await getRun(deps, caller.scope, threadId, id);
  const { record } = found;
  const { tenant } = caller.scope;
  const nowMs = deps.clock.nowMs();
  refuseUnlessWaiting(record, nowMs);
  const outputs = toOutputs(record, body);
  const headers = await findHeaders(deps, caller, id);
  const model = resolveModel(deps.router, record.model, headers);
  const asked = (await readSteps(deps, tenant, id)).find((step) => hasCalls(step, outputs));
  // The step and the run change in one write: whoever ended the step has moved the run since it was read.
  if (asked === undefined) throw toMovedError(id);
  const step = toAnsweredStep(asked, outputs, toSeconds(nowMs));
  const isFromRequest = model.isFromRequest || searchesFromRequest(deps.embedders, record, model.headers);
  const change = {
    status: 'queued' as const,
    required_action: null,
    expires_at: toSeconds(nowMs + deps.runs.expiresMs),
    internal: {
      ...record.internal,
      credentials_from_request: isFromRequest,
      ...(caller.key === undefined ? {} : { key_id: caller.key.id }),
    },
  };
  const kept = deps.headerKeeper.keep(headers, { tenant, runId: id });
  return await withRunSlot(caller, async (held) => {
    const moved = await moveRun(deps, caller.scope, found, change, [
      toStepUpdate(tenant, step),
      toLeaseClaim(deps, id, deps.runs.owner, kept),
    ]).catch(rethrowMoved(id));
    const run = toRun(moved.record);
    const stream = deps.runs.start({
      tenant,
      run: moved,
      resolveModel: model.resolve,
      requestId: caller.requestId,
      headers: model.headers,
      ...held,
      isContinued: true,
      opening: [
        { event: 'thread.run.step.completed', data: toStep(step, view) },
        { event: 'thread.run.queued', data: run },
      ],
      isStreamed: body.stream === true,
      view,
    });
    return { run, stream };
  });
}

/**
 * With which headers the run goes on: the request's own where they say who answers; else those that the run has come
 * with, as far as they were kept, and what the request says of the rest.
 */
async function findHeaders(
  deps: Pick<RunDeps, 'store' | 'headerKeeper'>,
  { headers, scope: { tenant } }: Caller,
  runId: string,
): Promise<RequestHeaders> {
  if (choosesProvider(headers)) return headers;
  const lease = await deps.store.get<LeaseRecord>('leases', LEASE_SCOPE, runId);
  const opened = deps.headerKeeper.open(lease?.record.kept_headers ?? null, { tenant, runId });
  return { ...opened.headers, ...toKeptHeaders(headers) };
}

function hasCalls({ step_details: details }: StepRecord, outputs: ReadonlyMap<string, string>): boolean {
  return (
    details.type === 'tool_calls' && details.tool_calls.some(({ id }) => id !== undefined && outputs.has(id))
  );
}

function refuseUnlessWaiting(run: RunRecord, nowMs: number): void {
  const hasExpired = run.expires_at !== null && run.expires_at <= toSeconds(nowMs);
  const status = run.status === 'requires_action' && hasExpired ? 'expired' : run.status;
  if (status === 'requires_action') return;
  throw ApiError.invalidRequest(`Runs in status "${status}" do not accept tool outputs.`);
}

/** The outputs by call; each call of the run has exactly one. */
function toOutputs(run: RunRecord, body: SubmitToolOutputsRunRequest): ReadonlyMap<string, string> {
  const expected = (run.required_action?.submit_tool_outputs.tool_calls ?? []).map((call) => call.id);
  const outputs = new Map<string, string>();
  for (const [index, { tool_call_id: callId, output }] of body.tool_outputs.entries()) {
    const param = `tool_outputs[${index}].tool_call_id`;
    if (callId === undefined) {
      throw new ApiError('missing_required_parameter', `Missing required parameter: '${param}'.`, { param });
    }
    if (!expected.includes(callId)) {
      throw ApiError.invalidValue(
        param,
        `The run has no open call '${callId}'. Expected outputs for: ${expected.join(', ')}.`,
      );
    }
    if (outputs.has(callId))
      throw ApiError.invalidValue(param, `More than one output for the call '${callId}'.`);
    outputs.set(callId, output ?? '');
  }
  const missing = expected.filter((callId) => !outputs.has(callId));
  if (missing.length > 0) {
    const given = [...outputs.keys()];
    throw ApiError.invalidRequest(
      `Expected tool outputs for call_ids [${toList(expected)}], got [${toList(given)}]`,
      'tool_outputs',
    );
  }
  return outputs;
}

function toList(ids: readonly string[]): string {
  return ids.map((id) => `'${id}'`).join(', ');
}

function toAnsweredStep(step: StepRecord, outputs: ReadonlyMap<string, string>, now: number): StepRecord {
  if (step.step_details.type !== 'tool_calls') throw new Error(`step ${step.id} has no calls`);
  const calls = step.step_details.tool_calls.map((call) => {
    const output = outputs.get(call.id);
    return call.type !== 'function' || output === undefined
      ? call
      : { ...call, function: { ...call.function, output } };
  });
  return {
    ...step,
    status: 'completed',
    completed_at: now,
    usage: step.internal.usage,
    step_details: { type: 'tool_calls', tool_calls: calls },
  };
}

/** The run was cancelled, expired or answered by somebody else at the same moment. */
function rethrowMoved(id: string): (error: unknown) => never {
  return (error) => {
    if (!(error instanceof StoreError)) throw error;
    if (error.code === 'not_found') throw ApiError.notFound('run', id);
    if (error.code !== 'conflict') throw error;
    throw toMovedError(id);
  };
}

function toMovedError(id: string): ApiError {
  return ApiError.invalidRequest(`Run ${id} does not wait for tool outputs any more.`);
}
