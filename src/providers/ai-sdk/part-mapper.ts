/** The parts of a package's stream as the port's events. */

import type { LanguageModelV4StreamPart, SharedV4ProviderMetadata } from '@ai-sdk/provider';
import { createThoughtTeller } from '../chat/thought-tags.ts';
import { type JsonRecord, toRecord, toText } from '../json-values.ts';
import { createToolCallAssembler, type ToolCallAssembler } from '../openai/tool-calls.ts';
import type { ChatEvent } from '../provider.ts';
import type { AnswerErrorContext } from './answer-errors.ts';
import { createEarlyEnd, toFinishReason, toUsage } from './finish.ts';
import type { KeptThought, KeptTurn } from './kept-turn.ts';
import { toPackageError } from './package-errors.ts';

export interface PartMapper {
  /** Throws `ProviderError` for an error part, and for an end that is none. */
  push(part: LanguageModelV4StreamPart, events: ChatEvent[]): void;
  /** To be called when the stream has ended. Throws `ProviderError` (`protocol`) where it had no end. */
  end(): void;
}

export interface PartMapperOptions {
  /** The protocol, for what is kept of the turn. */
  readonly provider: string;
  /** The package's name for what it wants back. */
  readonly optionsName: string;
  readonly toolNames: ReadonlySet<string>;
  readonly createCallId: () => string;
  readonly errorContext: () => AnswerErrorContext;
}

type Part<K extends LanguageModelV4StreamPart['type']> = Extract<LanguageModelV4StreamPart, { type: K }>;
type CallPart = Part<'tool-input-start' | 'tool-input-delta' | 'tool-call'>;
type ThoughtPart = Part<'reasoning-start' | 'reasoning-delta' | 'reasoning-end'>;

interface OpenCall {
  readonly index: number;
  hasArguments: boolean;
}

interface OpenThought {
  text: string;
  options: JsonRecord;
}

export function createPartMapper(options: PartMapperOptions): PartMapper {
  const assembler = createToolCallAssembler(options);
  const kept = createKeeper(options);
  const pushCall = createCallPusher(assembler, kept);
  const thoughts = createThoughtTeller();
  let hasFinished = false;

  const finish = (part: Part<'finish'>, events: ChatEvent[]): void => {
    hasFinished = true;
    const before = events.length;
    assembler.end(events);
    kept.noteIds(events, before);
    const reason = toFinishReason(part.finishReason, assembler.count);
    const turn = kept.toTurn();
    if (turn !== null) events.push({ type: 'metadata', value: turn });
    events.push({ type: 'finish', reason });
    const usage = toUsage(part.usage);
    if (usage !== null) events.push({ type: 'usage', usage });
  };

  return {
    push(part, events) {
      const from = events.length;
      switch (part.type) {
        case 'text-delta':
          if (part.delta !== '') events.push({ type: 'text', text: part.delta });
          break;
        case 'reasoning-start':
        case 'reasoning-delta':
        case 'reasoning-end':
          kept.takeThought(part);
          if (part.type === 'reasoning-delta' && part.delta !== '') {
            events.push({ type: 'reasoning', text: part.delta });
          }
          break;
        case 'tool-input-start':
        case 'tool-input-delta':
        case 'tool-call':
          pushCall(part, events);
          break;
        case 'error':
          throw toPackageError(part.error, options.errorContext());
        case 'finish':
          finish(part, events);
          break;
        default:
          // Sources, files and what the package says of itself have no place in a reply.
          break;
      }
      thoughts.sift(events, from);
    },
    end() {
      if (!hasFinished) throw createEarlyEnd();
    },
  };
}

type Keeper = ReturnType<typeof createKeeper>;

/** Calls come in pieces, whole, or both. */
function createCallPusher(assembler: ToolCallAssembler, kept: Keeper) {
  const calls = new Map<string, OpenCall>();
  let count = 0;

  const begin = (
    id: string,
    name: string,
    metadata: SharedV4ProviderMetadata | undefined,
    events: ChatEvent[],
  ): OpenCall => {
    const call = { index: count, hasArguments: false };
    count += 1;
    calls.set(id, call);
    const extra = toExtraContent(kept.takeCall(call.index, metadata));
    assembler.push([{ index: call.index, id, function: { name }, ...extra }], events);
    return call;
  };
  const sayArguments = (call: OpenCall, text: string, events: ChatEvent[]): void => {
    if (text === '') return;
    call.hasArguments = true;
    assembler.push([{ index: call.index, function: { arguments: text } }], events);
  };

  return (part: CallPart, events: ChatEvent[]): void => {
    const before = events.length;
    if (part.type === 'tool-input-delta') {
      const call = calls.get(part.id);
      if (call !== undefined) sayArguments(call, part.delta, events);
    } else if (part.providerExecuted === true) {
      // The provider's own affair.
      return;
    } else if (part.type === 'tool-input-start') {
      begin(part.id, part.toolName, part.providerMetadata, events);
    } else {
      const { toolCallId: id, toolName, providerMetadata: metadata } = part;
      const call = calls.get(id) ?? begin(id, toolName, metadata, events);
      kept.takeCall(call.index, metadata);
      if (!call.hasArguments) sayArguments(call, part.input, events);
    }
    kept.noteIds(events, before);
  };
}

/** Gathers what the provider wants back. */
function createKeeper({ provider, optionsName }: Pick<PartMapperOptions, 'provider' | 'optionsName'>) {
  const thoughts = new Map<string, OpenThought>();
  /** Of calls, by their position. */
  const ofCalls = new Map<number, JsonRecord>();
  /** Positions by the ids that were given out. */
  const positions = new Map<string, number>();
  // Vertex says it under several names.
  const read = (metadata: SharedV4ProviderMetadata | undefined): JsonRecord | null =>
    toRecord(metadata?.[optionsName]) ?? toRecord(Object.values(metadata ?? {})[0]);

  return {
    takeThought(part: ThoughtPart): void {
      const thought = thoughts.get(part.id) ?? { text: '', options: {} };
      thoughts.set(part.id, thought);
      if (part.type === 'reasoning-delta') thought.text += part.delta;
      thought.options = { ...thought.options, ...read(part.providerMetadata) };
    },
    /** Answers all that is known of the call. */
    takeCall(index: number, metadata: SharedV4ProviderMetadata | undefined): JsonRecord | null {
      const options = read(metadata);
      if (options !== null) ofCalls.set(index, { ...ofCalls.get(index), ...options });
      return ofCalls.get(index) ?? null;
    },
    noteIds(events: readonly ChatEvent[], from: number): void {
      for (const event of events.slice(from)) {
        if (event.type === 'tool_call') positions.set(event.id, event.index);
      }
    },
    /** Null: there is nothing to be kept. Thoughts without a signature are not asked for again. */
    toTurn(): KeptTurn | null {
      const signed: KeptThought[] = [...thoughts.values()].filter(
        ({ options }) => Object.keys(options).length > 0,
      );
      const calls = [...positions].flatMap(([id, index]): [string, JsonRecord][] => {
        const options = ofCalls.get(index);
        return options === undefined ? [] : [[id, options]];
      });
      if (signed.length === 0 && calls.length === 0) return null;
      return { provider, thoughts: signed, calls: Object.fromEntries(calls) };
    },
  };
}

/** In the form in which Google's own endpoint for OpenAI's protocol gives it to clients. */
function toExtraContent(options: JsonRecord | null): { extra_content?: unknown } {
  const signature = toText(options?.thoughtSignature);
  return signature === null ? {} : { extra_content: { google: { thought_signature: signature } } };
}
