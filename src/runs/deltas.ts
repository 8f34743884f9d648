/** The small objects that a stream is made of: pieces of messages and of calls. */

import type { MessageDeltaObject } from '../schemas/generated/messages.ts';
import type { RunStepDeltaObject } from '../schemas/generated/steps.ts';
import type { RunEvent } from './events.ts';
import type { Annotation, MessageDraft } from './parts.ts';

type StepDelta = NonNullable<RunStepDeltaObject['delta']['step_details']>;
type CallDelta = NonNullable<Extract<StepDelta, { type: 'tool_calls' }>['tool_calls']>[number];
type WithoutIndex<T> = T extends unknown ? Omit<T, 'index'> : never;

/**
 * A piece that was just added to the draft. The first piece of a text brings the empty list that annotations are added
 * to, and a piece that has one brings it along, as at OpenAI.
 */
export function toTextDelta(
  id: string,
  value: string,
  draft: MessageDraft,
  annotation: Annotation | null,
): RunEvent {
  const isFirst = draft.text.length === value.length;
  const added = annotation === null ? [] : [{ ...annotation, index: draft.annotations.length - 1 }];
  const text = isFirst || annotation !== null ? { value, annotations: added } : { value };
  return toMessageDelta(id, { index: 0, type: 'text', text });
}

export function toRefusalDelta(id: string, refusal: string, draft: MessageDraft): RunEvent {
  return toMessageDelta(id, { index: draft.text === '' ? 0 : 1, type: 'refusal', refusal });
}

type PartDelta = NonNullable<MessageDeltaObject['delta']['content']>[number];

function toMessageDelta(id: string, part: PartDelta): RunEvent {
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
