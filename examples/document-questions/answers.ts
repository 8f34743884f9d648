/** Questions to the assistant: answered as a stream, and read again later. */

import type OpenAI from 'openai';
import { type AnswerReader, createAnswerReader, type Piece } from './passages.ts';

/** What the page is told while an answer is made. */
export type PageEvent =
  | Piece
  | { readonly type: 'started'; readonly thread: string; readonly run: string }
  | { readonly type: 'searching' }
  | Ended;

export interface Ended {
  readonly type: 'ended';
  /** A run's last status: `completed`, `cancelled`, `failed` … */
  readonly status: string;
  readonly error: string | null;
}

export interface Answering {
  readonly assistantId: string;
  readonly model: string;
  readonly question: string;
  /** null begins a conversation. */
  readonly threadId: string | null;
}

export type Turn =
  | { readonly role: 'user'; readonly text: string }
  | { readonly role: 'assistant'; readonly pieces: readonly Piece[]; readonly ended: Ended | null };

export interface Conversation {
  readonly turns: readonly Turn[];
  /** The run that is still answering. */
  readonly running: string | null;
}

type Run = OpenAI.Beta.Threads.Run;
type Message = OpenAI.Beta.Threads.Message;
type MessageDelta = OpenAI.Beta.Threads.MessageDeltaEvent;
type ThreadEvent = OpenAI.Beta.Assistants.AssistantStreamEvent;

/** Results of searches come without their text unless it is asked for. */
const INCLUDE = ['step_details.tool_calls[*].file_search.results[*].content' as const];
/** The newest ones of a conversation are shown. */
const MESSAGES_MAX = 100;
const STEPS_MAX = 100;
const UNDER_WAY: readonly Run['status'][] = ['queued', 'in_progress', 'cancelling', 'requires_action'];

/** Never throws: what goes wrong is told as the last event. An aborted signal ends it, and leaves the run going on. */
export async function* answer(
  client: OpenAI,
  asked: Answering,
  signal: AbortSignal,
): AsyncGenerator<PageEvent, void> {
  try {
    const threadId = await putQuestion(client, asked, signal);
    const stream = await client.beta.threads.runs.create(
      threadId,
      { assistant_id: asked.assistantId, model: asked.model, include: INCLUDE, stream: true },
      { signal },
    );
    const reader = createAnswerReader();
    let messages = 0;
    for await (const event of stream) {
      if (event.event === 'thread.message.created') {
        messages += 1;
        // A model may say something, search on, and go on in another message.
        if (messages > 1) yield { type: 'text', value: '\n\n' };
      }
      yield* toPageEvents(event, reader);
    }
  } catch (error) {
    yield { type: 'ended', status: 'failed', error: error instanceof Error ? error.message : String(error) };
  }
}

async function putQuestion(client: OpenAI, asked: Answering, signal: AbortSignal): Promise<string> {
  const message = { role: 'user' as const, content: asked.question };
  if (asked.threadId === null)
    return (await client.beta.threads.create({ messages: [message] }, { signal })).id;
  await client.beta.threads.messages.create(asked.threadId, message, { signal });
  return asked.threadId;
}

function toPageEvents(event: ThreadEvent, reader: AnswerReader): readonly PageEvent[] {
  switch (event.event) {
    case 'thread.run.created':
      return [{ type: 'started', thread: event.data.thread_id, run: event.data.id }];
    case 'thread.run.step.created':
      return event.data.type === 'tool_calls' ? [{ type: 'searching' }] : [];
    case 'thread.run.step.completed':
      reader.addStep(event.data);
      return [];
    case 'thread.message.delta':
      return toPieces(event.data.delta.content ?? [], reader);
    case 'thread.run.completed':
    case 'thread.run.incomplete':
    case 'thread.run.failed':
    case 'thread.run.cancelled':
    case 'thread.run.expired':
      return [toEnded(event.data)];
    default:
      return [];
  }
}

function toPieces(
  content: NonNullable<MessageDelta['delta']['content']> | Message['content'],
  reader: AnswerReader,
): readonly Piece[] {
  return content.flatMap((part): readonly Piece[] => {
    if (part.type === 'text') return reader.cut(part.text?.value ?? '', part.text?.annotations ?? []);
    return part.type === 'refusal' ? [{ type: 'text', value: part.refusal ?? '' }] : [];
  });
}

function toEnded(run: Run): Ended {
  const error = run.last_error?.message ?? run.incomplete_details?.reason ?? null;
  return { type: 'ended', status: run.status, error };
}

/** The conversation as it is kept. Errors: there is none with this id. */
export async function readConversation(client: OpenAI, threadId: string): Promise<Conversation> {
  const [{ data: newest }, { data: runs }] = await Promise.all([
    client.beta.threads.messages.list(threadId, { limit: MESSAGES_MAX, order: 'desc' }),
    client.beta.threads.runs.list(threadId, { limit: MESSAGES_MAX, order: 'desc' }),
  ]);
  const messages = newest.toReversed();
  const turns: Turn[] = [];
  const written = new Set<string>();
  for (const message of messages) {
    if (message.role === 'user') turns.push({ role: 'user', text: toPlainText(message) });
    else if (message.run_id !== null && !written.has(message.run_id)) {
      written.add(message.run_id);
      const own = messages.filter(({ run_id: runId }) => runId === message.run_id);
      const run = runs.find(({ id }) => id === message.run_id);
      turns.push(await readAnswer(client, own, run));
    }
  }
  const [last] = runs;
  const running = last !== undefined && UNDER_WAY.includes(last.status) ? last.id : null;
  // A run that has failed, or was stopped, before it said anything.
  if (last !== undefined && running === null && !written.has(last.id))
    turns.push({ role: 'assistant', pieces: [], ended: toEnded(last) });
  return { turns, running };
}

/** All that one run has said. */
async function readAnswer(client: OpenAI, messages: readonly Message[], run: Run | undefined): Promise<Turn> {
  const reader = createAnswerReader();
  const ended = run === undefined || UNDER_WAY.includes(run.status) ? null : toEnded(run);
  const isCiting = messages.some(({ content }) =>
    content.some((part) => part.type === 'text' && part.text.annotations.length > 0),
  );
  if (run !== undefined && isCiting) {
    const steps = await client.beta.threads.runs.steps.list(run.id, {
      thread_id: run.thread_id,
      order: 'asc',
      limit: STEPS_MAX,
      include: INCLUDE,
    });
    for (const step of steps.data) reader.addStep(step);
  }
  const pieces = messages.flatMap(({ content }, at): readonly Piece[] => [
    ...(at > 0 ? [{ type: 'text' as const, value: '\n\n' }] : []),
    ...toPieces(content, reader),
  ]);
  return { role: 'assistant', pieces, ended };
}

function toPlainText({ content }: Message): string {
  return content.map((part) => (part.type === 'text' ? part.text.value : '')).join('\n');
}
