/**
 * Makes steps, messages and events of one turn of the model. What opens or closes is written before it is
 * announced; tokens are announced as they come, and written when their message ends.
 */

import { toSeconds } from '../clock.ts';
import type { Ports } from '../ports.ts';
import type { ChatEvent, FinishReason } from '../providers/provider.ts';
import type { MessageObject as MessageRecord } from '../schemas/generated/messages.ts';
import type { Write } from '../store/store.ts';
import { CitationFilter, type KnownCitations, type TextPiece } from './citations.ts';
import { toCallDelta, toRefusalDelta, toTextDelta } from './deltas.ts';
import type { RunEvent } from './events.ts';
import { RunFailure } from './failures.ts';
import {
  addText,
  createDraft,
  type MessageDraft,
  toEndedMessage,
  toEndedStep,
  toMessageInsert,
  toMessageUpdate,
  toNewMessage,
  toNewStep,
  toStepInsert,
  toStepUpdate,
} from './parts.ts';
import {
  type ModelCall,
  NO_USAGE,
  type RunUsage,
  type StepRecord,
  toRunScope,
  toThreadScope,
} from './run-records.ts';
import type { RunWriter } from './run-writer.ts';
import { toStep } from './step-views.ts';
import type { ServerTool } from './tools/server-tool.ts';
import type { Unfinished } from './turns.ts';

export interface OpenMessage {
  readonly message: MessageRecord;
  readonly step: StepRecord;
  readonly draft: MessageDraft;
  /** Null where there is nothing to cite: then text goes out as it comes. */
  readonly filter: CitationFilter | null;
}

/** Calls that one turn may make; more is a model that has run wild. */
export const CALLS_MAX = 128;

type TextEvent = Extract<ChatEvent, { type: 'text' | 'refusal' }>;
type CallEvent = Extract<ChatEvent, { type: 'tool_call' | 'tool_arguments' }>;

export interface TurnContext {
  readonly deps: Pick<Ports, 'clock' | 'ids'>;
  readonly writer: RunWriter;
  /** Counts the turns of the run from 0. */
  readonly turn: number;
  /** What an attempt that a crash ended has left of this turn. */
  readonly unfinished: Unfinished;
  readonly serverTools: ReadonlyMap<string, ServerTool>;
  /** What the model may cite; null in a run that searches nothing. */
  readonly citations: KnownCitations | null;
}

const NOTHING: readonly RunEvent[] = Object.freeze([]);

export class TurnRecorder {
  openMessage: OpenMessage | null = null;
  openToolStep: StepRecord | null = null;
  finish: FinishReason | null = null;
  usage: RunUsage | null = null;
  providerMetadata: unknown;
  readonly #calls: { id: string; name: string; arguments: string }[] = [];
  #textOfEndedMessages = '';
  readonly #leftMessageSteps: StepRecord[];
  #leftToolStep: StepRecord | undefined;

  constructor(readonly context: TurnContext) {
    this.#leftMessageSteps = [...(context.unfinished.messageSteps ?? [])];
    this.#leftToolStep = context.unfinished.toolStep;
  }

  /** The calls so far, in the order of their index. A call without arguments has `{}`. */
  get calls(): readonly ModelCall[] {
    return this.#calls.map((call) => ({ ...call, arguments: call.arguments === '' ? '{}' : call.arguments }));
  }

  /** Everything said in this turn. */
  get text(): string {
    return this.#textOfEndedMessages + (this.openMessage?.draft.text ?? '');
  }

  /** Whether this event needs `open` before `apply`. */
  opens(event: ChatEvent): boolean {
    if (event.type === 'text' || event.type === 'refusal')
      return this.openMessage === null && event.text !== '';
    return event.type === 'tool_call' && (this.openToolStep === null || this.openMessage !== null);
  }

  /** Writes and then announces the step that the event belongs to, ending the message before it. */
  async open(event: ChatEvent): Promise<readonly RunEvent[]> {
    return event.type === 'tool_call' ? this.#openCalls() : this.#openMessage();
  }

  /** Takes the event in; answers what is announced of it. */
  apply(event: ChatEvent): readonly RunEvent[] {
    switch (event.type) {
      case 'text':
      case 'refusal':
        return this.#applyText(event);
      case 'tool_call':
      case 'tool_arguments':
        return this.#applyCall(event);
      case 'metadata':
        this.providerMetadata = event.value;
        return NOTHING;
      case 'finish':
        this.finish = event.reason;
        return NOTHING;
      case 'usage':
        this.usage = {
          prompt_tokens: event.usage.promptTokens,
          completion_tokens: event.usage.completionTokens,
          total_tokens: event.usage.totalTokens,
        };
        return NOTHING;
      case 'reasoning':
        return NOTHING;
    }
  }

  /** Says what was held back of a text, because it might have become a marker. */
  flush(): readonly RunEvent[] {
    const open = this.openMessage;
    return open?.filter ? open.filter.flush().map((piece) => this.#say(open, piece)) : NOTHING;
  }

  /** Opens the message of a turn that said nothing at all, so that the run has one. */
  openEmptyMessage(): Promise<readonly RunEvent[]> {
    return this.#openMessage();
  }

  /**
   * Removes what an earlier attempt began and this one did not take up: nobody was ever told its content. A message
   * that was complete stays. Answers the same until something else is taken up, so that a lost write can be made again.
   */
  toLeftoverWrites(): Write[] {
    const { lostSteps = [] } = this.context.unfinished;
    const left = [...this.#leftMessageSteps, this.#leftToolStep, ...lostSteps];
    return left.flatMap((step) => (step?.status === 'in_progress' ? this.#toRemoval(step) : []));
  }

  #toRemoval(step: StepRecord): Write[] {
    const { tenant } = this.context.writer;
    const writes: Write[] = [
      { kind: 'delete', collection: 'steps', scope: toRunScope(tenant, step.run_id), id: step.id },
    ];
    if (step.step_details.type !== 'message_creation') return writes;
    const { message_id: id } = step.step_details.message_creation;
    const scope = toThreadScope(tenant, step.thread_id);
    return [{ kind: 'delete', collection: 'messages', scope, id }, ...writes];
  }

  async #openMessage(): Promise<RunEvent[]> {
    const { deps, writer, turn } = this.context;
    const fresh = toNewMessage(deps, writer.run);
    const [left] = this.#leftMessageSteps;
    if (left?.step_details.type === 'message_creation') {
      const message = { ...fresh, id: left.step_details.message_creation.message_id };
      // It may have been complete before the crash, with the turn going on behind it.
      const step: StepRecord = { ...left, status: 'in_progress', completed_at: null, usage: null };
      await writer.saveParts([toMessageUpdate(writer.tenant, message), toStepUpdate(writer.tenant, step)]);
      this.#leftMessageSteps.shift();
      return this.#announceMessage(message, step);
    }
    const details = { type: 'message_creation' as const, message_creation: { message_id: fresh.id } };
    const step = toNewStep(deps, writer.run, turn, details);
    // The step first: a crash in between leaves one that names no message, which the next attempt finds and removes.
    await writer.saveParts([toStepInsert(writer.tenant, step), toMessageInsert(writer.tenant, fresh)]);
    return this.#announceMessage(fresh, step);
  }

  #announceMessage(message: MessageRecord, step: StepRecord): RunEvent[] {
    const { citations } = this.context;
    const filter = citations === null ? null : new CitationFilter(citations);
    this.openMessage = { message, step, draft: createDraft(), filter };
    return [
      { event: 'thread.run.step.created', data: toStep(step) },
      { event: 'thread.run.step.in_progress', data: toStep(step) },
      { event: 'thread.message.created', data: message },
      { event: 'thread.message.in_progress', data: message },
    ];
  }

  async #openCalls(): Promise<RunEvent[]> {
    const { deps, writer, turn } = this.context;
    const ended = this.#endMessage();
    if (this.openToolStep !== null) {
      // A text between two calls: its message ends, the step of the calls stays.
      await writer.saveParts(ended.writes);
      return ended.events;
    }
    const left = this.#leftToolStep;
    const step = left ?? toNewStep(deps, writer.run, turn, { type: 'tool_calls', tool_calls: [] });
    const opening = left === undefined ? [toStepInsert(writer.tenant, step)] : [];
    await writer.saveParts([...ended.writes, ...opening]);
    this.#leftToolStep = undefined;
    this.openToolStep = step;
    return [
      ...ended.events,
      { event: 'thread.run.step.created', data: toStep(step) },
      { event: 'thread.run.step.in_progress', data: toStep(step) },
    ];
  }

  /** The message before a call is complete; the tokens of the turn are counted with the step of the calls. */
  #endMessage(): { writes: Write[]; events: RunEvent[] } {
    const open = this.openMessage;
    if (open === null) return { writes: [], events: [] };
    const rest = this.flush();
    const { deps, writer } = this.context;
    const now = toSeconds(deps.clock.nowMs());
    const message = toEndedMessage(open.message, open.draft, { status: 'completed' }, now);
    const step = toEndedStep(open.step, { status: 'completed' }, NO_USAGE, now);
    this.#textOfEndedMessages += open.draft.text;
    this.openMessage = null;
    return {
      writes: [toMessageUpdate(writer.tenant, message), toStepUpdate(writer.tenant, step)],
      events: [
        ...rest,
        { event: 'thread.message.completed', data: message },
        { event: 'thread.run.step.completed', data: toStep(step) },
      ],
    };
  }

  #applyText({ type, text }: TextEvent): readonly RunEvent[] {
    const open = this.openMessage;
    if (open === null || text === '') return NOTHING;
    if (type === 'refusal') {
      const rest = this.flush();
      open.draft.refusal += text;
      return [...rest, toRefusalDelta(open.message.id, text, open.draft)];
    }
    if (open.filter === null) return [this.#say(open, { text, citation: null })];
    return open.filter.push(text).map((piece) => this.#say(open, piece));
  }

  #say({ draft, message }: OpenMessage, piece: TextPiece): RunEvent {
    const annotation = addText(draft, piece);
    return toTextDelta(message.id, piece.text, draft, annotation);
  }

  #applyCall(event: CallEvent): readonly RunEvent[] {
    const stepId = this.openToolStep?.id ?? '';
    if (event.type === 'tool_call') {
      if (event.index >= CALLS_MAX) {
        throw new RunFailure('server_error', `The model made more than ${CALLS_MAX} calls in one turn.`);
      }
      const call = { id: event.id, name: event.name, arguments: '' };
      this.#calls[event.index] = call;
      const record = this.context.serverTools.get(event.name)?.toRecord(call);
      return [toCallDelta(stepId, event.index, record ?? toFunctionOpening(call))];
    }
    const call = this.#calls[event.index];
    if (call === undefined || event.text === '') return NOTHING;
    call.arguments += event.text;
    // What the model asks a tool of the server is the server's affair until it is answered.
    if (this.context.serverTools.has(call.name)) return NOTHING;
    return [toCallDelta(stepId, event.index, { type: 'function', function: { arguments: event.text } })];
  }
}

function toFunctionOpening(call: ModelCall) {
  return {
    id: call.id,
    type: 'function' as const,
    function: { name: call.name, arguments: '', output: null },
  };
}
