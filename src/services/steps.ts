/** Steps of a run: read only, they are made by the run engine. */

import { ApiError } from '../errors.ts';
import type { Ports } from '../ports.ts';
import { type StepRecord, toRunScope } from '../runs/run-records.ts';
import type { Page, PageRequest, Scope } from '../store/store.ts';
import { readPage } from './lists.ts';
import { getRun } from './runs.ts';

type Deps = Pick<Ports, 'store'>;

/** The one thing that steps show only where it is asked for: the texts that a search found. */
export const CONTENT_INCLUDE = 'step_details.tool_calls[*].file_search.results[*].content';

/** Whether `include[]` of a query asks for it. Errors: 400 for anything else. */
export function readIncludesContent(query: URLSearchParams): boolean {
  const values = [...query].flatMap(([name, value]) => (INCLUDE.test(name) ? [value] : []));
  const unknown = values.find((value) => value !== CONTENT_INCLUDE);
  if (unknown !== undefined) {
    throw ApiError.invalidValue(
      'include[]',
      `Invalid value: '${unknown.slice(0, 64)}'. Supported values are: '${CONTENT_INCLUDE}'.`,
    );
  }
  return values.length > 0;
}

/** Clients write lists as `include[]`, with or without an index, or by the bare name. */
const INCLUDE = /^include(\[\d*\])?$/;

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
