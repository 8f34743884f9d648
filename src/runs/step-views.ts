/** Steps as they go onto the wire: the document's, and what a request may ask to see beside it. */

import type { RunStepObject } from '../schemas/generated/steps.ts';
import type { RunEvent } from './events.ts';
import type { AnsweredCall, FileSearchRecord, FoundPassage, StepRecord } from './run-records.ts';
import { readSearchArguments } from './tools/search-arguments.ts';

/** What a client is shown of steps besides what everybody is. */
export interface StepView {
  /** The texts of what searches found: `include[]`. */
  readonly content: boolean;
  /** What programs of astra-assistants-api read: `chunks` of searches, and calls, if none, in every step. */
  readonly chunks: boolean;
}

export const PLAIN_VIEW: StepView = Object.freeze({ content: false, chunks: false });

type Chunk = NonNullable<FileSearchRecord['file_search']['chunks']>[number];

/** The wire's view. */
export function toStep(record: StepRecord, view = PLAIN_VIEW): RunStepObject {
  const { internal, ...step } = record;
  if (step.step_details.type === 'message_creation') return view.chunks ? withNoCalls(step) : step;
  if (!view.content && !view.chunks) return step;
  const calls = step.step_details.tool_calls.map((call) => {
    const answered = internal.server_calls?.find(({ id }) => id === call.id);
    return call.type === 'file_search' ? toShownSearch(call, answered, view) : call;
  });
  return { ...step, step_details: { type: 'tool_calls', tool_calls: calls } };
}

function toShownSearch(
  record: FileSearchRecord,
  answered: AnsweredCall | undefined,
  view: StepView,
): FileSearchRecord {
  const shown = view.content ? withContent(record, answered?.found ?? []) : record;
  return view.chunks && answered !== undefined ? withChunks(shown, answered) : shown;
}

/** The record of a search with the texts of its results. */
export function withContent(record: FileSearchRecord, found: readonly FoundPassage[]): FileSearchRecord {
  const results = record.file_search.results?.map((result, index) => {
    const text = found[index]?.text;
    return text === undefined ? result : { ...result, content: [{ type: 'text' as const, text }] };
  });
  if (results === undefined) return record;
  return { ...record, file_search: { ...record.file_search, results } };
}

/** What the search found, as astra-assistants-api wrote it: always with the texts, and with the question. */
function withChunks(
  record: FileSearchRecord,
  { arguments: asked, found = [] }: AnsweredCall,
): FileSearchRecord {
  const read = readSearchArguments(asked);
  const question = 'queries' in read ? read.queries.join('\n') : '';
  const chunks = record.file_search.results?.flatMap(({ file_id, file_name, score }, index): Chunk[] => {
    const passage = found[index];
    if (passage === undefined) return [];
    const { text: content, position = index, file_bytes: bytes } = passage;
    const size = bytes === undefined ? {} : { bytes };
    const chunk_id = `${file_id}_${position}`;
    return [{ file_id, chunk_id, content, score, file_name, ...size, search_string: question }];
  });
  return { ...record, file_search: { ...record.file_search, chunks: chunks ?? [] } };
}

/** The event as it is told to a client with this view. What a search found is in its event already. */
export function toShownEvent(event: RunEvent, view: StepView): RunEvent {
  if (!view.chunks || !isStepEvent(event)) return event;
  return { ...event, data: withNoCalls(event.data) };
}

type StepEvent = Extract<RunEvent, { data: RunStepObject }>;

function isStepEvent(event: RunEvent): event is StepEvent {
  return event.event.startsWith('thread.run.step.') && event.event !== 'thread.run.step.delta';
}

/** Handlers of astra-assistants look for calls in every step, as that service had no steps of messages. */
function withNoCalls(step: RunStepObject): RunStepObject {
  if (step.step_details.type !== 'message_creation') return step;
  return { ...step, step_details: { ...step.step_details, tool_calls: [] } };
}
