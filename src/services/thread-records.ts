/** Threads as they are stored. */

import type { ThreadObject } from '../schemas/generated/threads.ts';

/** `active_run_id` is the claim of the one run that may be active; it is not on the wire. */
export type ThreadRecord = ThreadObject & { active_run_id: string | null };
