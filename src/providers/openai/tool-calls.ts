/**
 * Tool calls put together from the deltas of a stream.
 *
 * Servers differ in everything: the id comes first, always, empty or never; the index begins at 1, is the
 * same for all calls or is missing; the name comes whole, in pieces, again with each piece or as `""`; arguments
 * come as text, whole or in pieces, as an object, or not at all. What leaves is always the same.
 */

import { toRecord, toText } from '../json-values.ts';
import { type ChatEvent, ProviderError } from '../provider.ts';

/** Calls in one reply: OpenAI's limit on tools in a request, so more is a server gone wrong. */
export const TOOL_CALLS_MAX = 128;

export interface ToolCallAssembler {
  /** Takes the deltas of one chunk. Throws `ProviderError` (`protocol`). */
  push(deltas: readonly unknown[], events: ChatEvent[]): void;
  /** Says what is still held back. Throws `ProviderError` (`protocol`) for arguments of a call without a name. */
  end(events: ChatEvent[]): void;
  /** Calls that have been announced. */
  readonly count: number;
  /** What has to come back with calls, by their ids. */
  readonly extraContents: ReadonlyMap<string, unknown>;
}

interface PendingCall {
  readonly upstreamIndex: number | null;
  /** The server's id; empty where none has come yet. */
  upstreamId: string;
  name: string;
  /** Position among the announced calls; null before the announcement. */
  index: number | null;
  /** Arguments so far; kept to tell a finished call from one that goes on. */
  text: string;
  /** How much of `text` has been said. */
  saidCharacters: number;
  /** What has to come back with the call (Google's thought signature). */
  extraContent: unknown;
}

interface Delta {
  readonly index: number | null;
  readonly id: string;
  readonly name: string;
  readonly text: string;
  readonly extraContent: unknown;
}

export interface AssemblerOptions {
  /** The names that the request offers: they tell a name in pieces from a name said again. */
  readonly toolNames: ReadonlySet<string>;
  readonly createCallId: () => string;
}

export function createToolCallAssembler({ toolNames, createCallId }: AssemblerOptions): ToolCallAssembler {
  const calls: PendingCall[] = [];
  const usedIds = new Set<string>();
  const extraContents = new Map<string, unknown>();
  let count = 0;

  const announce = (call: PendingCall, events: ChatEvent[]): void => {
    const isUsable = call.upstreamId !== '' && !usedIds.has(call.upstreamId);
    const id = isUsable ? call.upstreamId : createCallId();
    usedIds.add(id);
    call.index = count;
    count += 1;
    const { index, name, extraContent } = call;
    if (extraContent !== undefined) extraContents.set(id, extraContent);
    events.push({
      type: 'tool_call',
      index,
      id,
      name,
      ...(extraContent === undefined ? {} : { extraContent }),
    });
  };

  /** A name is whole once arguments follow it; calls that began earlier are announced earlier. */
  const announceUpTo = (last: PendingCall, events: ChatEvent[]): void => {
    for (const call of calls) {
      if (call.index === null && call.name !== '') announce(call, events);
      if (call === last) return;
    }
  };

  const sayArguments = (call: PendingCall, events: ChatEvent[]): void => {
    if (call.index === null || call.saidCharacters === call.text.length) return;
    // `null` stands for no arguments with some servers: wait until it is clear that it is not that.
    if (call.saidCharacters === 0 && 'null'.startsWith(call.text.trim())) return;
    sayRest(call, call.index, events);
  };

  const beginCall = (upstreamIndex: number | null): PendingCall => {
    if (calls.length === TOOL_CALLS_MAX) {
      throw new ProviderError('protocol', `The model made more than ${TOOL_CALLS_MAX} tool calls at once.`);
    }
    const call: PendingCall = {
      upstreamIndex,
      upstreamId: '',
      name: '',
      index: null,
      text: '',
      saidCharacters: 0,
      extraContent: undefined,
    };
    calls.push(call);
    return call;
  };

  const push = (deltas: readonly unknown[], events: ChatEvent[]): void => {
    const touched = new Set<PendingCall>();
    for (const value of deltas) {
      const delta = toDelta(value);
      if (delta === null) continue;
      const call = findCall(calls, delta, touched, toolNames) ?? beginCall(delta.index);
      touched.add(call);
      if (call.upstreamId === '') call.upstreamId = delta.id;
      if (call.index === null) call.name = joinName(call.name, delta.name, toolNames);
      call.extraContent ??= delta.extraContent;
      call.text += delta.text;
      if (delta.text !== '' && call.name !== '') announceUpTo(call, events);
      sayArguments(call, events);
    }
  };

  const end = (events: ChatEvent[]): void => {
    for (const call of calls) {
      if (call.name === '') {
        // An entry with nothing in it is a filler for an index that the server left out.
        if (call.text.trim() === '') continue;
        throw new ProviderError('protocol', 'The model made a tool call without a name.');
      }
      if (call.index === null) announce(call, events);
      if (call.saidCharacters === 0) call.text = toWholeArguments(call.text);
      if (call.index !== null && call.saidCharacters < call.text.length) sayRest(call, call.index, events);
    }
  };

  return {
    push,
    end,
    extraContents,
    get count() {
      return count;
    },
  };
}

function sayRest(call: PendingCall, index: number, events: ChatEvent[]): void {
  events.push({ type: 'tool_arguments', index, text: call.text.slice(call.saidCharacters) });
  call.saidCharacters = call.text.length;
}

function toDelta(value: unknown): Delta | null {
  const delta = toRecord(value);
  if (delta === null) return null;
  const fn = toRecord(delta.function) ?? {};
  const given = fn.arguments;
  return {
    index: typeof delta.index === 'number' ? delta.index : null,
    id: toDeltaId(delta.id),
    name: toText(fn.name) ?? '',
    text: toRecord(given) === null ? (toText(given) ?? '') : JSON.stringify(given),
    extraContent: delta.extra_content ?? undefined,
  };
}

/** Mistral writes the text `null` for no id. */
function toDeltaId(id: unknown): string {
  if (typeof id === 'number') return String(id);
  return id === 'null' ? '' : (toText(id) ?? '');
}

/**
 * The call that a delta continues; null where it begins a new one.
 *
 * The index decides, except where a server gives all calls the same one or none: then another id, or another
 * name where the name before it was whole, begins a new call.
 */
function findCall(
  calls: readonly PendingCall[],
  delta: Delta,
  touched: ReadonlySet<PendingCall>,
  toolNames: ReadonlySet<string>,
): PendingCall | null {
  const hasIndex = (call: PendingCall): boolean => delta.index === null || call.upstreamIndex === delta.index;
  if (delta.id !== '') {
    const same = calls.findLast((call) => call.upstreamId === delta.id && hasIndex(call));
    if (same !== undefined) return same;
  }
  const latest = calls.findLast(hasIndex);
  if (latest === undefined) return null;
  // Nothing begins without a name; another id without one is a server that makes an id for each piece.
  if (delta.name === '') return latest;
  if (delta.id !== '' && latest.upstreamId !== '') return null;
  // One chunk has one piece of a name at most.
  if (touched.has(latest) || isCompleteJson(latest.text)) return null;
  const isOther = toolNames.has(latest.name) && toolNames.has(delta.name) && delta.name !== latest.name;
  return isOther && !startsName(latest.name + delta.name, toolNames) ? null : latest;
}

/** Arguments are an object; its last character tells most of the unfinished ones without parsing. */
function isCompleteJson(text: string): boolean {
  if (!text.trimEnd().endsWith('}')) return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** `known` + `piece`: put together where that makes a name that was offered; else a repetition is one. */
export function joinName(known: string, piece: string, toolNames: ReadonlySet<string>): string {
  if (known === '' || piece === '') return known + piece;
  const joined = known + piece;
  if (startsName(joined, toolNames)) return joined;
  return piece.startsWith(known) ? piece : joined;
}

function startsName(text: string, toolNames: ReadonlySet<string>): boolean {
  for (const name of toolNames) if (name.startsWith(text)) return true;
  return false;
}

function toWholeArguments(text: string): string {
  const trimmed = text.trim();
  return trimmed === '' || trimmed === 'null' ? '{}' : text;
}
