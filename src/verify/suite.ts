/** All checks in the order of their making, and what none of them covers. */

import type { Check } from './check.ts';
import { ASSISTANT_CHECKS } from './checks/assistants.ts';
import { DELETION_CHECKS } from './checks/deletions.ts';
import { ERROR_CHECKS } from './checks/errors.ts';
import { FILE_SEARCH_CHECKS } from './checks/file-search.ts';
import { FILE_CHECKS } from './checks/files.ts';
import { FUNCTION_CHECKS } from './checks/functions.ts';
import { MODEL_CHECKS } from './checks/models.ts';
import { RUN_ENDING_CHECKS } from './checks/run-endings.ts';
import { RUN_CHECKS } from './checks/runs.ts';
import { THREAD_CHECKS } from './checks/threads.ts';
import { VECTOR_STORE_CHECKS } from './checks/vector-stores.ts';

export const CHECKS: readonly Check[] = Object.freeze([
  ...MODEL_CHECKS,
  ...ASSISTANT_CHECKS,
  ...THREAD_CHECKS,
  ...RUN_CHECKS,
  ...FUNCTION_CHECKS,
  ...RUN_ENDING_CHECKS,
  ...FILE_CHECKS,
  ...VECTOR_STORE_CHECKS,
  ...FILE_SEARCH_CHECKS,
  ...ERROR_CHECKS,
  ...DELETION_CHECKS,
]);

/** Operations of the API document that no check calls, with the reason. */
export const OPERATIONS_NOT_COVERED: Readonly<Record<string, string>> = Object.freeze({
  createModeration: 'no part of the Assistants API; passed to a provider that has it',
});

/** Events of the API document that no check waits for, with the reason. */
export const EVENTS_NOT_COVERED: Readonly<Record<string, string>> = Object.freeze({
  'thread.run.expired': 'a run expires after ten minutes, which no client can shorten',
  'thread.run.step.expired': 'a run expires after ten minutes, which no client can shorten',
  error: 'comes only where the server itself breaks',
});
