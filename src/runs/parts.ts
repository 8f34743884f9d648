/** New steps and messages of a run, and how they end. Pure: nothing here writes. */

import { toSeconds } from '../clock.ts';
import type { Ports } from '../ports.ts';
import type { MessageObject, MessageObject as MessageRecord } from '../schemas/generated/messages.ts';
import type { Write } from '../store/store.ts';
import { countCharacters, type TextPiece } from './citations.ts';
import type { IncompleteReason, LastError, RunRecord, RunUsage, StepRecord } from './run-records.ts';
import { NO_USAGE, toRunScope, toThreadScope } from './run-records.ts';

type Deps = Pick<Ports, 'clock' | 'ids'>;

/** How a run, and whatever of it is still open, ends. */
export type Ending =
  | { readonly status: 'completed' }
  | { readonly status: 'incomplete'; readonly reason: IncompleteReason }
  | { readonly status: 'failed'; readonly error: LastError }
  | { readonly status: 'cancelled' }
  | { readonly status: 'expired' };

/** What the model said so far in the message that it is writing. */
export interface MessageDraft {
  text: string;
  refusal: string;
  readonly annotations: Annotation[];
}

type TextContent = Extract<MessageRecord['content'][number], { type: 'text' }>;
export type Annotation = TextContent['text']['annotations'][number];

export function createDraft(): MessageDraft {
  return { text: '', refusal: '', annotations: [] };
}

/** Adds text to what was said; a citation is annotated. Answers the annotation. */
export function addText(draft: MessageDraft, { text, citation }: TextPiece): Annotation | null {
  const before = citation === null ? 0 : countCharacters(draft.text);
  draft.text += text;
  if (citation === null) return null;
  const annotation: Annotation = {
    type: 'file_citation',
    text,
    start_index: before,
    end_index: before + countCharacters(text),
    file_citation: { file_id: citation.fileId },
  };
  draft.annotations.push(annotation);
  return annotation;
}

export function toNewMessage(deps: Deps, run: RunRecord): MessageRecord {
  return {
    id: deps.ids.create('message'),
    object: 'thread.message',
    created_at: toSeconds(deps.clock.nowMs()),
    thread_id: run.thread_id,
    status: 'in_progress',
    incomplete_details: null,
    completed_at: null,
    incomplete_at: null,
    role: 'assistant',
    content: [],
    assistant_id: run.assistant_id,
    run_id: run.id,
    attachments: [],
    metadata: {},
  };
}

export function toNewStep(
  deps: Deps,
  run: RunRecord,
  turn: number,
  details: StepRecord['step_details'],
): StepRecord {
  return {
    id: deps.ids.create('step'),
    object: 'thread.run.step',
    created_at: toSeconds(deps.clock.nowMs()),
    assistant_id: run.assistant_id,
    thread_id: run.thread_id,
    run_id: run.id,
    type: details.type,
    status: 'in_progress',
    step_details: details,
    last_error: null,
    expired_at: null,
    cancelled_at: null,
    failed_at: null,
    completed_at: null,
    metadata: {},
    usage: null,
    internal: { turn, usage: null },
  };
}

/** A message always has a text, if an empty one: programs read `content[0].text.value`. */
export function toContent(draft: MessageDraft): MessageRecord['content'] {
  const content: MessageRecord['content'] = [];
  if (draft.text !== '' || draft.refusal === '') {
    content.push({ type: 'text', text: { value: draft.text, annotations: draft.annotations } });
  }
  if (draft.refusal !== '') content.push({ type: 'refusal', refusal: draft.refusal });
  return content;
}

type MessageIncompleteReason = NonNullable<MessageObject['incomplete_details']>['reason'];

const MESSAGE_REASONS: Readonly<Record<IncompleteReason, MessageIncompleteReason>> = Object.freeze({
  max_completion_tokens: 'max_tokens',
  max_prompt_tokens: 'max_tokens',
  content_filter: 'content_filter',
});

function toMessageReason(ending: Exclude<Ending, { status: 'completed' }>): MessageIncompleteReason {
  switch (ending.status) {
    case 'incomplete':
      return MESSAGE_REASONS[ending.reason];
    case 'failed':
      return 'run_failed';
    case 'cancelled':
      return 'run_cancelled';
    case 'expired':
      return 'run_expired';
  }
}

/** The message as it ends: completed, or incomplete with the reason, keeping what was said. */
export function toEndedMessage(
  message: MessageRecord,
  draft: MessageDraft,
  ending: Ending,
  now: number,
): MessageRecord {
  const content = toContent(draft);
  if (ending.status === 'completed') return { ...message, status: 'completed', content, completed_at: now };
  return {
    ...message,
    status: 'incomplete',
    content,
    incomplete_details: { reason: toMessageReason(ending) },
    incomplete_at: now,
  };
}

/** The step as it ends. Steps have no `incomplete`: one whose message was cut short did what it could. */
export function toEndedStep(
  step: StepRecord,
  ending: Ending,
  usage: RunUsage | null,
  now: number,
): StepRecord {
  const shown = usage ?? step.internal.usage ?? NO_USAGE;
  switch (ending.status) {
    case 'completed':
    case 'incomplete':
      return { ...step, status: 'completed', completed_at: now, usage: shown };
    case 'cancelled':
      return { ...step, status: 'cancelled', cancelled_at: now, usage: shown };
    case 'expired':
      return { ...step, status: 'expired', expired_at: now, usage: shown };
    case 'failed':
      return {
        ...step,
        status: 'failed',
        failed_at: now,
        usage: shown,
        last_error: toStepError(ending.error),
      };
  }
}

/** Steps know no `invalid_prompt`. */
function toStepError(error: LastError): NonNullable<StepRecord['last_error']> {
  return { code: error.code === 'rate_limit_exceeded' ? error.code : 'server_error', message: error.message };
}

export function toMessageInsert(tenant: string, record: MessageRecord): Write {
  return {
    kind: 'insert',
    collection: 'messages',
    scope: toThreadScope(tenant, record.thread_id),
    record,
    isFresh: true,
  };
}

export function toStepInsert(tenant: string, record: StepRecord): Write {
  return {
    kind: 'insert',
    collection: 'steps',
    scope: toRunScope(tenant, record.run_id),
    record,
    isFresh: true,
  };
}

export function toMessageUpdate(tenant: string, record: MessageRecord): Write {
  const { status, content, incomplete_details, completed_at, incomplete_at } = record;
  return {
    kind: 'update',
    collection: 'messages',
    scope: toThreadScope(tenant, record.thread_id),
    id: record.id,
    change: { status, content, incomplete_details, completed_at, incomplete_at },
  };
}

export function toStepUpdate(tenant: string, record: StepRecord): Write {
  const { id: _, object: _o, created_at: _c, ...change } = record;
  return {
    kind: 'update',
    collection: 'steps',
    scope: toRunScope(tenant, record.run_id),
    id: record.id,
    change,
  };
}
