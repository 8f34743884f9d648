/** What the rehearsal model answers: decided from the request alone, so that the same request gets the same reply. */

import { type ChatRequest, type FinishReason, ProviderError } from '../provider.ts';
import { type ConversationTurn, readTurn } from './conversation.ts';
import { type Cues, findJsonObject, findMentions, type Mention, type Order, readCues } from './cues.ts';
import { findPassage, isFileSearch } from './file-search.ts';
import { createFallbackHints, createHints } from './hints.ts';
import { makeValue } from './schema-values.ts';
import { countTokens, limitPieces, splitPieces } from './tokens.ts';

export const HONEST_PHRASE = "This is understudy's rehearsal model, not a language model.";
const QUOTE_CHARACTERS_MAX = 400;
const PARALLEL_CALLS_MAX = 16;

export interface PlannedCall {
  readonly name: string;
  /** Pieces of JSON text. */
  readonly pieces: readonly string[];
}

export interface PlannedReply {
  readonly thoughts: readonly string[];
  readonly text: readonly string[];
  readonly refusal: readonly string[];
  readonly calls: readonly PlannedCall[];
  readonly finish: FinishReason;
  readonly delayMs: number;
  /** Breaks off with a failure after half of the text. */
  readonly failsMidway: boolean;
  readonly promptTokens: number;
  readonly completionTokens: number;
}

interface OfferedFunction {
  readonly name: string;
  readonly parameters: unknown;
}

/** Throws `ProviderError` where a cue asks for a failure, or the request has no messages. */
export function planReply(request: ChatRequest): PlannedReply {
  if (!Array.isArray(request.messages) || request.messages.length === 0) {
    throw new ProviderError('invalid_request', "'messages' must hold at least one message.", {
      status: 400,
      param: 'messages',
    });
  }
  const turn = readTurn(request.messages);
  const cues = readCues(turn.userText);
  failAsOrdered(cues.orders);
  const calls = planCalls(request, turn, cues);
  const refusal = cues.orders.find((order) => order.kind === 'refuse')?.text ?? '';
  const text = calls.length > 0 || refusal !== '' ? '' : planText(request, turn, cues);
  return limitReply(request, cues.orders, { calls, text: cutAtStop(text, request.stop), refusal });
}

function failAsOrdered(orders: readonly Order[]): void {
  for (const { kind } of orders) {
    if (kind === 'fail') {
      throw new ProviderError('server', 'The rehearsal model fails because it was told to.', { status: 500 });
    }
    if (kind === 'rate limit') {
      throw new ProviderError('rate_limit', 'Rate limit reached, because the rehearsal model was told so.', {
        status: 429,
        code: 'rate_limit_exceeded',
        retryAfterMs: 1000,
        isRetryable: true,
      });
    }
    if (kind === 'quota') {
      throw new ProviderError(
        'insufficient_quota',
        'No quota left, because the rehearsal model was told so.',
        {
          status: 429,
          code: 'insufficient_quota',
        },
      );
    }
  }
}

function planCalls(request: ChatRequest, turn: ConversationTurn, cues: Cues): readonly PlannedCall[] {
  const offered = toOfferedFunctions(request);
  const choice = request.tool_choice;
  if (offered.length === 0 || choice === 'none') return [];
  const rounds = planRounds(cues, offered, toForcedName(request, offered, turn.roundCount));
  // Without parallel calls, each call is a round of its own.
  const sequence = request.parallel_tool_calls === false ? rounds.flat().map((call) => [call]) : rounds;
  return (sequence[turn.roundCount] ?? []).slice(0, PARALLEL_CALLS_MAX);
}

function planRounds(
  cues: Cues,
  offered: readonly OfferedFunction[],
  forced: string | null,
): readonly (readonly PlannedCall[])[] {
  const find = (name: string): OfferedFunction | undefined => offered.find((fn) => fn.name === name);
  const toCall = (mention: Mention): PlannedCall => makeCall(find(mention.name), mention.text, cues.text);
  const rounds = orderedRounds(cues, find);
  if (rounds.length === 0) {
    const names = offered.map((fn) => fn.name);
    for (const mentions of findMentions(cues.text, names)) rounds.push(mentions.map(toCall));
  }
  const search = offered.find((fn) => isFileSearch(fn.name, fn.parameters));
  // Where nothing else is to be called or said, files are asked for whatever the user's words are about.
  if (rounds.length === 0 && search !== undefined && cues.text !== '' && !saysByOrder(cues)) {
    rounds.push([makeCall(search, cues.text, cues.text)]);
  }
  if (forced === null) return rounds;
  const [first = []] = rounds;
  if (forced === '') return first.length > 0 ? rounds : [[makeCall(offered[0], cues.text, cues.text)]];
  const same = first.filter((call) => call.name === forced);
  return same.length > 0 ? [same] : [[makeCall(find(forced), cues.text, cues.text)]];
}

function saysByOrder({ orders }: Cues): boolean {
  return orders.some(({ kind }) => kind === 'say' || kind === 'words' || kind === 'refuse');
}

function orderedRounds(cues: Cues, find: (name: string) => OfferedFunction | undefined): PlannedCall[][] {
  const rounds: PlannedCall[][] = [];
  for (const order of cues.orders) {
    if (order.kind !== 'call') continue;
    const fn = find(order.name);
    if (fn === undefined) continue;
    const call =
      order.arguments === null
        ? makeCall(fn, cues.text, cues.text)
        : { name: fn.name, pieces: splitPieces(order.arguments) };
    const round = rounds.at(-1);
    if (round === undefined || order.isLater) rounds.push([call]);
    else round.push(call);
  }
  return rounds;
}

/** A function's name, '' for any of them, null where none is forced. A choice forces the first round only. */
function toForcedName(
  { tool_choice: choice }: ChatRequest,
  offered: readonly OfferedFunction[],
  roundCount: number,
): string | null {
  if (roundCount > 0) return null;
  if (choice === 'required') return '';
  if (typeof choice !== 'object' || choice.type !== 'function') return null;
  const { name } = choice.function;
  if (offered.some((fn) => fn.name === name)) return name;
  throw new ProviderError('invalid_request', `'tool_choice' names '${name}', which is not among the tools.`, {
    status: 400,
    param: 'tool_choice',
  });
}

function makeCall(fn: OfferedFunction | undefined, part: string, whole: string): PlannedCall {
  const value = makeArguments(fn, part, whole);
  return { name: fn?.name ?? '', pieces: splitPieces(JSON.stringify(value)) };
}

function makeArguments(fn: OfferedFunction | undefined, part: string, whole: string): unknown {
  const given = findJsonObject(part);
  const parameters = fn?.parameters ?? NO_PARAMETERS;
  // Braces in a question are no arguments of a search.
  if (fn !== undefined && isFileSearch(fn.name, parameters) && given?.queries === undefined) {
    return { queries: [whole] };
  }
  if (given !== null) return given;
  return makeValue(parameters, createFallbackHints(withoutName(part, fn), withoutName(whole, fn)));
}

const NO_PARAMETERS = Object.freeze({ type: 'object', properties: {} });

/** The function's own name is no value for its arguments. */
function withoutName(text: string, fn: OfferedFunction | undefined): string {
  return fn === undefined ? text : text.replaceAll(fn.name, ' ');
}

function toOfferedFunctions(request: ChatRequest): readonly OfferedFunction[] {
  return (request.tools ?? []).flatMap((tool) =>
    tool.type === 'function' ? [{ name: tool.function.name, parameters: tool.function.parameters }] : [],
  );
}

function planText(request: ChatRequest, turn: ConversationTurn, cues: Cues): string {
  for (const order of cues.orders) {
    if (order.kind === 'say') return order.text;
    if (order.kind === 'words') return makeWords(order.count);
  }
  const format = request.response_format;
  if (format?.type === 'json_schema') {
    return JSON.stringify(makeValue(format.json_schema.schema ?? {}, createHints(cues.text)));
  }
  const sentence = turn.results.length > 0 ? quoteResults(turn) : describeTurn(turn, cues);
  return format?.type === 'json_object' ? JSON.stringify({ answer: sentence }) : sentence;
}

function quoteResults({ results, userText }: ConversationTurn): string {
  const quotes = results.map(({ name, text }) => {
    const passage = findPassage(text, userText);
    if (passage === null) return `${name} answered: ${shorten(text)}`;
    return `The files say: "${shorten(passage.text)}"${passage.marker}`;
  });
  return `${HONEST_PHRASE} ${quotes.join('\n')}`;
}

function describeTurn(turn: ConversationTurn, cues: Cues): string {
  const seen = [
    toCountText(turn.messageCount, 'message'),
    ...(turn.instructionCount === 0 ? [] : [toCountText(turn.instructionCount, 'instruction')]),
    ...(turn.imageCount === 0 ? [] : [toCountText(turn.imageCount, 'image')]),
  ];
  const unknown = cues.orders.flatMap((order) => (order.kind === 'unknown' ? [order.text] : []));
  const notOffered = cues.orders.flatMap((order) => (order.kind === 'call' ? [order.name] : []));
  return [
    `${HONEST_PHRASE} It sees ${seen.join(' and ')}.`,
    ...(cues.text === '' ? [] : [`Your last words: "${shorten(cues.text)}"`]),
    ...unknown.map((text) => `It does not know the cue "rehearsal: ${shorten(text)}".`),
    ...notOffered.map((name) => `It is not offered the function "${shorten(name)}".`),
  ].join(' ');
}

function toCountText(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

function makeWords(count: number): string {
  return Array.from({ length: count }, (_, at) => `word${at + 1}`).join(' ');
}

function shorten(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length <= QUOTE_CHARACTERS_MAX ? line : `${line.slice(0, QUOTE_CHARACTERS_MAX - 1)}…`;
}

function cutAtStop(text: string, stop: ChatRequest['stop']): string {
  const marks = (Array.isArray(stop) ? stop : [stop]).filter(
    (mark) => typeof mark === 'string' && mark !== '',
  );
  const ends = marks.map((mark) => text.indexOf(mark as string)).filter((at) => at !== -1);
  return ends.length === 0 ? text : text.slice(0, Math.min(...ends));
}

/** Cuts the reply where its tokens are used up. */
function limitReply(
  request: ChatRequest,
  orders: readonly Order[],
  reply: { calls: readonly PlannedCall[]; text: string; refusal: string },
): PlannedReply {
  const allowance = request.max_completion_tokens ?? request.max_tokens ?? Number.POSITIVE_INFINITY;
  let left = allowance;
  let isCut = false;
  const take = (pieces: readonly string[]): readonly string[] => {
    const taken = limitPieces(pieces, left);
    isCut ||= taken.length < pieces.length;
    left -= taken.length;
    return taken;
  };
  const thoughts = take(orders.flatMap((order) => (order.kind === 'think' ? splitPieces(order.text) : [])));
  const text = take(splitPieces(reply.text));
  const refusal = take(splitPieces(reply.refusal));
  const calls: PlannedCall[] = [];
  for (const call of reply.calls) {
    if (left <= 0) isCut = true;
    else calls.push({ name: call.name, pieces: take(call.pieces) });
  }
  const said = [thoughts, text, refusal, ...calls.map((call) => call.pieces)];
  return {
    thoughts,
    text,
    refusal,
    calls,
    finish: isCut ? 'length' : calls.length > 0 ? 'tool_calls' : 'stop',
    delayMs: orders.find((order) => order.kind === 'slow')?.delayMs ?? 0,
    failsMidway: orders.some((order) => order.kind === 'fail midway'),
    promptTokens: countTokens(request),
    completionTokens: said.reduce((sum, pieces) => sum + pieces.length, 0),
  };
}
