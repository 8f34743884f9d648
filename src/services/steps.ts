/** Steps of a run: read only, they are made by the run engine. */

import { ApiError } from '../errors.ts';
import type { Ports } from '../ports.ts';
import { type StepRecord, toRunScope } from '../runs/run-records.ts';
import type { Page, PageRequest, Scope } from '../store/store.ts';
import { readPage } from './lists.ts';
import { getRun } from './runs.ts';

type Deps = Pick<Ports, 'store'>;

export async function getStep(
  deps: Deps,
  scope: Scope,
  threadId: string,
  runId: string,
  id: string,
): Promise<StepRecord> {
  const [found] = await Promise.all([
    deps.store.get<StepRecord>('steps', toRunScope(scope.tenant, runId), id),
    getRun(deps, scope, threadId, runId),
  ]);
  if (found === null) throw ApiError.notFound('step', id);
  return found.record;
}

export async function listSteps(
  deps: Deps,
  scope: Scope,
  threadId: string,
  runId: string,
  page: PageRequest,
): Promise<Page<StepRecord>> {
  const steps = toRunScope(scope.tenant, runId);
  const [found] = await Promise.all([
    readPage(page, () => deps.store.list<StepRecord>('steps', steps, page)),
    getRun(deps, scope, threadId, runId),
  ]);
  return found;
}
