/** What a check is given and what it says of itself. */

import type OpenAI from 'openai';
import type { EventRules } from './event-rules.ts';
import type { Exchange } from './exchanges.ts';
import type { Target } from './target.ts';

/** What earlier checks have made; what is missing was not made. */
export interface Made {
  assistantId?: string;
  threadId?: string;
  messageId?: string;
  runId?: string;
  /** Of a run that was created with its thread. */
  threadRunId?: string;
  stepId?: string;
  waitingRun?: OpenAI.Beta.Threads.Run;
  streamedWaitingRun?: OpenAI.Beta.Threads.Run;
  fileId?: string;
  uploadId?: string;
  partIds?: string[];
  storeId?: string;
  batchId?: string;
}

export interface CheckContext {
  readonly client: OpenAI;
  readonly target: Target;
  readonly made: Made;
  /** Marks everything that is made, so that it is known for ours. */
  readonly tag: string;
  /** Aborts when the check has taken too long, or the command is interrupted. */
  readonly signal: AbortSignal;
  /** Those of this check, oldest first. */
  readonly exchanges: readonly Exchange[];
}

export interface Check {
  readonly group: string;
  /** Its answers are held against the schema of this operation; null where none is to be looked at. */
  readonly operation: string | null;
  /** What is special about this call: `streamed`. */
  readonly note?: string;
  /** The status that is wanted where it is another than the document's. */
  readonly status?: number;
  /** An operation that OpenAI's document does not have: its absence is fine. */
  readonly isExtension?: boolean;
  /** What the stream of the operation must be made of: a line of the table for each. */
  readonly events?: EventRules;
  /** The answer is a stream whose events another check looks at. */
  readonly isStreamed?: boolean;
  /** Calls the server and looks at what the client makes of it. Errors: whatever is wrong. */
  run(context: CheckContext): Promise<void>;
}

const POLL_MS = 50;

/** Asks until `isDone`. The signal of the check is the bound. */
export async function poll<T>(
  context: CheckContext,
  ask: () => Promise<T>,
  isDone: (answer: T) => boolean,
): Promise<T> {
  while (true) {
    const answer = await ask();
    if (isDone(answer)) return answer;
    context.signal.throwIfAborted();
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
