/** The run that a thread is taken by, which may not be there yet: its making is one write, but not one moment. */

import type { Ports } from '../ports.ts';
import { type Scope, type StoredRecord, StoreError, type Versioned } from '../store/store.ts';
import { type RunRecord, toThreadScope } from './run-records.ts';
import { isTerminal } from './run-state.ts';

/**
 * Waits for a write on the thread that has been begun, and ends it where its server has died: every engine does so before it writes
 * to a record that such a write has decided. Nothing is changed.
 */
export async function settleThread(
  { store }: Pick<Ports, 'store'>,
  tenant: string,
  threadId: string,
): Promise<void> {
  try {
    await store.update('threads', { tenant }, threadId, {});
  } catch (error) {
    if (!(error instanceof StoreError) || error.code !== 'not_found') throw error;
  }
}

interface ClaimedThread extends StoredRecord {
  readonly active_run_id: string | null;
}

/**
 * The thread as it is once the run that it is taken by is there, and works; null where it is gone. Whoever is told that a thread
 * is taken must be able to find, and to cancel, the run that takes it.
 */
export async function settleClaim<T extends ClaimedThread>(
  deps: Pick<Ports, 'store'>,
  { tenant }: Scope,
  thread: Versioned<T>,
): Promise<Versioned<T> | null> {
  const { id, active_run_id: runId } = thread.record;
  if (runId === null) return thread;
  const run = await deps.store.get<RunRecord>('runs', toThreadScope(tenant, id), runId);
  if (run !== null && !isTerminal(run.record.status)) return thread;
  await settleThread(deps, tenant, id);
  return await deps.store.get<T>('threads', { tenant }, id);
}
