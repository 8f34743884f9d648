/** The small objects that a stream is made of: pieces of messages and of calls. */

import type { RunStepDeltaObject } from '../schemas/generated/steps.ts';
import type { RunEvent } from './events.ts';
import type { MessageDraft } from './parts.ts';

type StepDelta = NonNullable<RunStepDeltaObject['delta']['step_details']>;
type CallDelta = NonNullable<Extract<StepDelta, { type: 'tool_calls' }>['tool_calls']>[number];
type WithoutIndex<T> = T extends unknown ? Omit<T, 'index'> : never;

/** The first piece of a text brings the empty list that annotations are added to, as at OpenAI. */
export function toMessageDelta(
  id: string,
  piece: { readonly type: 'text' | 'refusal'; readonly text: string },
  draft: MessageDraft,
  isFirst: boolean,
): RunEvent {
  const { text: value } = piece;
  const part =
    piece.type === 'text'
      ? { index: 0, type: 'text' as const, text: isFirst ? { value, annotations: [] } : { value } }
      : { index: draft.text === '' ? 0 : 1, type: 'refusal' as const, refusal: value };
  return {
    event: 'thread.message.delta',
    data: { id, object: 'thread.message.delta', delta: { content: [part] } },
  };
}

export function toCallDelta(stepId: string, index: number, call: WithoutIndex<CallDelta>): RunEvent {
  return {
    event: 'thread.run.step.delta',
    data: {
      id: stepId,
      object: 'thread.run.step.delta',
      delta: { step_details: { type: 'tool_calls', tool_calls: [{ ...call, index }] } },
    },
  };
}
