/** What a run announces while it lives, and how that is framed for the wire. */

import type { ErrorBody } from '../errors.ts';
import type { MessageDeltaObject, MessageObject } from '../schemas/generated/messages.ts';
import type { RunObject } from '../schemas/generated/runs.ts';
import type { RunStepDeltaObject, RunStepObject } from '../schemas/generated/steps.ts';
import type { ThreadObject } from '../schemas/generated/threads.ts';

export type RunEventName =
  | 'thread.run.created'
  | 'thread.run.queued'
  | 'thread.run.in_progress'
  | 'thread.run.requires_action'
  | 'thread.run.completed'
  | 'thread.run.incomplete'
  | 'thread.run.failed'
  | 'thread.run.cancelling'
  | 'thread.run.cancelled'
  | 'thread.run.expired';

export type StepEventName =
  | 'thread.run.step.created'
  | 'thread.run.step.in_progress'
  | 'thread.run.step.completed'
  | 'thread.run.step.failed'
  | 'thread.run.step.cancelled'
  | 'thread.run.step.expired';

export type MessageEventName =
  | 'thread.message.created'
  | 'thread.message.in_progress'
  | 'thread.message.completed'
  | 'thread.message.incomplete';

export type RunEvent =
  | { readonly event: 'thread.created'; readonly data: ThreadObject }
  | { readonly event: RunEventName; readonly data: RunObject }
  | { readonly event: StepEventName; readonly data: RunStepObject }
  | { readonly event: 'thread.run.step.delta'; readonly data: RunStepDeltaObject }
  | { readonly event: MessageEventName; readonly data: MessageObject }
  | { readonly event: 'thread.message.delta'; readonly data: MessageDeltaObject }
  | { readonly event: 'error'; readonly data: ErrorBody['error'] };

/** One event as the official SDKs read it. */
export function toFrame(event: RunEvent): string {
  return `event: ${event.event}\ndata: ${JSON.stringify(event.data)}\n\n`;
}

/** The last frame of every stream, after a failure too. */
export const DONE_FRAME = 'event: done\ndata: [DONE]\n\n';

/** A comment: keeps proxies from closing an idle connection, and is ignored by clients. */
export const KEEP_ALIVE_FRAME = ': keep-alive\n\n';
