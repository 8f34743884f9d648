/** The comparison itself, on what it must refuse: that the types agree means nothing if they cannot disagree. */

import { expect, test } from 'bun:test';
import type { Beta } from 'openai/resources/beta';
import type { Threads } from 'openai/resources/beta/threads';
import type { AssistantObject } from '../../src/schemas/generated/assistants.ts';
import type { CreateRunRequest, RunObject } from '../../src/schemas/generated/runs.ts';
import type { RunStreamEvent } from '../../src/schemas/generated/stream-events.ts';
import type { ThreadObject } from '../../src/schemas/generated/threads.ts';
import type { Accepted, Answered, Complete } from './key-comparison.ts';

type RunBody = Omit<Threads.RunCreateParams, 'include'>;

/** Each line that compiled after all would be an error of its own. */
interface Refusals {
  // @ts-expect-error A required field is misnamed.
  misnamed: Answered<Omit<RunObject, 'assistant_id'> & { assistantId: string }, Threads.Run>;
  // @ts-expect-error A field has another type.
  mistyped: Answered<Omit<RunObject, 'created_at'> & { created_at: string }, Threads.Run>;
  // @ts-expect-error A value is answered that the SDK does not know.
  foreign: Answered<Omit<RunObject, 'status'> & { status: 'paused' }, Threads.Run>;
  // @ts-expect-error An optional field is missing, which an assignment alone would let pass.
  forgotten: Complete<Answered<Omit<AssistantObject, 'tool_resources'>, Beta.Assistant>>;
  // @ts-expect-error An optional field is missing inside of a member of a union inside of an array.
  nested: Complete<Answered<{ tools: { type: 'function'; function: { name: string } }[] }, FunctionTools>>;
  // @ts-expect-error A member of a union is missing.
  event: Complete<Answered<NeverExpired, Beta.RunStreamEvent>>;
  // @ts-expect-error A parameter is refused that the SDK sends.
  narrow: Accepted<CreateRunRequest & { stream: boolean }, RunBody>;
  // @ts-expect-error A parameter is not known.
  unknown: Complete<Accepted<Omit<CreateRunRequest, 'tool_choice'>, RunBody>>;
}

type NeverExpired = Exclude<RunStreamEvent, { event: 'thread.run.expired' }>;

interface FunctionTools {
  tools: Beta.FunctionTool[];
}

// @ts-expect-error An exception that is no longer needed must go.
const STALE_EXCEPTION: Complete<Answered<ThreadObject, Beta.Thread>, '.metadata'> = true;

const REFUSALS: Record<keyof Refusals, true> = {
  misnamed: true,
  mistyped: true,
  foreign: true,
  forgotten: true,
  nested: true,
  event: true,
  narrow: true,
  unknown: true,
};

test('the comparison refuses each kind of difference at compile time', () => {
  // That this file compiles is the proof; the list keeps the compiler from finding a refusal unused.
  expect(Object.keys(REFUSALS)).toHaveLength(8);
  expect(STALE_EXCEPTION).toBeTrue();
});
