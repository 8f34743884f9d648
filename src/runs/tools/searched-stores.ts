/** Which vector stores a run searches: its assistant's and its thread's, as they are at the moment. */

import { ASTRA_TOKEN_HEADER } from '../../astra-token.ts';
import type { Ports } from '../../ports.ts';
import type { RequestHeaders } from '../../providers/provider.ts';
import { waitFor } from '../../providers/wait.ts';
import { isExpired, type VectorStoreRecord } from '../../retrieval/vector-store-records.ts';
import type { AssistantObject } from '../../schemas/generated/assistants.ts';
import type { ThreadObject } from '../../schemas/generated/threads.ts';
import type { RunRecord } from '../run-records.ts';

type Deps = Pick<Ports, 'store'>;
type Resources = (AssistantObject | ThreadObject)['tool_resources'];

/** As at OpenAI, a run waits so long for the files of its thread; those of the assistant are the operator's affair. */
export const WAIT_MS_MAX = 60_000;
const POLL_MS = 100;

/** The ids of the stores, the thread's first, each once. */
export async function findStores(deps: Deps, tenant: string, run: RunRecord): Promise<readonly string[]> {
  const [assistant, ofThread] = await Promise.all([
    deps.store.get<AssistantObject>('assistants', { tenant }, run.assistant_id),
    findThreadStores(deps, tenant, run),
  ]);
  return [...new Set([...ofThread, ...toStoreIds(assistant?.record.tool_resources)])];
}

async function findThreadStores(deps: Deps, tenant: string, run: RunRecord): Promise<readonly string[]> {
  const thread = await deps.store.get<ThreadObject>('threads', { tenant }, run.thread_id);
  return toStoreIds(thread?.record.tool_resources);
}

function toStoreIds(resources: Resources | undefined): readonly string[] {
  return resources?.file_search?.vector_store_ids ?? [];
}

interface WaitContext {
  readonly tenant: string;
  readonly run: RunRecord;
  readonly headers: RequestHeaders;
  readonly signal: AbortSignal;
}

/**
 * Waits until the files of the thread's stores have been read, for `WAIT_MS_MAX` at most. A program of astra-assistants-api, where a
 * file was read before its upload had an answer, does not wait by itself: its run begins once each store has a file that is read.
 * Errors: the signal's reason.
 */
export async function waitForStores(
  deps: Pick<Ports, 'store' | 'clock'>,
  context: WaitContext,
): Promise<void> {
  const { tenant, run, headers, signal } = context;
  const ofThread = await findThreadStores(deps, tenant, run);
  const others = headers[ASTRA_TOKEN_HEADER] ? await findStores(deps, tenant, run) : [];
  const untilMs = deps.clock.nowMs() + WAIT_MS_MAX;
  for (const id of new Set([...ofThread, ...others])) {
    const wants = ofThread.includes(id) ? 'all' : 'one';
    while ((await isAwaited(deps, tenant, id, wants)) && deps.clock.nowMs() < untilMs) {
      await waitFor(POLL_MS, signal);
    }
  }
}

/** Whether files are still being read: all that there are, or the first. */
async function isAwaited(
  deps: Pick<Ports, 'store' | 'clock'>,
  tenant: string,
  id: string,
  wants: 'all' | 'one',
): Promise<boolean> {
  const found = await deps.store.get<VectorStoreRecord>('vector_stores', { tenant }, id);
  if (found === null || isExpired(found.record, deps.clock)) return false;
  const { in_progress, completed } = found.record.file_counts;
  return in_progress > 0 && (wants === 'all' || completed === 0);
}
