/** What a scripted upstream can be told to do, step by step, and how a tool call can be written. */

export type FinishText = string;

export interface ScriptedCall {
  readonly name: string;
  readonly arguments: unknown;
  readonly id?: string;
}

/** How real servers write the same tool call. */
export const TOOL_CALL_STYLES = Object.freeze([
  /** Id, name and empty arguments first, then pieces of arguments: OpenAI. */
  'openai',
  /** Each call whole in a chunk of its own: xAI, Ollama. */
  'whole',
  /** All calls whole in one chunk. */
  'whole-together',
  /** The first piece of arguments comes with the name. */
  'arguments-first',
  'id-repeated',
  /** An empty id first, and none later. */
  'id-empty',
  'id-missing',
  /** Another id with each piece. */
  'id-new-each-time',
  /** Google's endpoint: whole calls, empty ids, index 0 for all of them. */
  'id-empty-same-index',
  'index-missing',
  'index-missing-id-repeated',
  'index-from-1',
  /** Index 0 for every call; only the id tells them apart. */
  'same-index',
  'name-split',
  'name-repeated',
  /** The name once, then `"name": ""` with each piece: Mistral. */
  'name-empty-later',
  /** All names first, then pieces of the calls in turn. */
  'interleaved',
  /** As `interleaved`, the last call's arguments first. */
  'interleaved-backwards',
  /** Arguments as an object instead of text. */
  'object',
  /** An empty entry at index 0, the calls from 1 on. */
  'filler-first',
] as const);
export type ToolCallStyle = (typeof TOOL_CALL_STYLES)[number];

export interface UsageCounts {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens?: number;
}

export type Step =
  | { readonly kind: 'text'; readonly tokens: readonly string[] }
  | { readonly kind: 'reasoning'; readonly tokens: readonly string[]; readonly field: string }
  | { readonly kind: 'refusal'; readonly tokens: readonly string[] }
  | {
      readonly kind: 'calls';
      readonly calls: readonly ScriptedCall[];
      readonly style: ToolCallStyle;
      readonly pieceCharacters: number;
    }
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'gate'; readonly opened: Promise<unknown> }
  | { readonly kind: 'pace'; readonly tokensPerSecond: number }
  | { readonly kind: 'finish'; readonly reason: FinishText }
  | {
      readonly kind: 'usage';
      readonly counts: UsageCounts | null;
      readonly place: 'own-chunk' | 'finish-chunk' | 'x_groq';
    }
  | { readonly kind: 'chunk'; readonly chunk: unknown }
  | { readonly kind: 'raw'; readonly bytes: string | Uint8Array }
  | { readonly kind: 'no-done' }
  | { readonly kind: 'end' }
  | { readonly kind: 'reset' }
  | { readonly kind: 'hang' }
  | {
      readonly kind: 'status';
      readonly status: number;
      readonly headers: Readonly<Record<string, string>>;
      readonly body: string;
      /** Only this many requests get it; the next ones go on with the step behind it. */
      readonly times: number;
    };

/** Text, a token each. One string is cut before its spaces: `say('a b')` is the tokens `a` and ` b`. */
export function say(...tokens: readonly string[]): Step {
  return { kind: 'text', tokens: tokens.length === 1 ? splitTokens(tokens[0] ?? '') : tokens };
}

export function think(text: string, field: 'reasoning_content' | 'reasoning' = 'reasoning_content'): Step {
  return { kind: 'reasoning', tokens: splitTokens(text), field };
}

export function refuse(text: string): Step {
  return { kind: 'refusal', tokens: splitTokens(text) };
}

/** One call. Ids are `call_<name>_<position>` unless given. */
export function callTool(
  name: string,
  args: unknown,
  options: { id?: string; style?: ToolCallStyle; pieceCharacters?: number } = {},
): Step {
  const call = { name, arguments: args, ...(options.id === undefined ? {} : { id: options.id }) };
  return callTools([call], options);
}

/** Parallel calls. */
export function callTools(
  calls: readonly ScriptedCall[],
  options: { style?: ToolCallStyle; pieceCharacters?: number } = {},
): Step {
  return {
    kind: 'calls',
    calls,
    style: options.style ?? 'openai',
    pieceCharacters: options.pieceCharacters ?? 3,
  };
}

export function wait(ms: number): Step {
  return { kind: 'wait', ms };
}

/** Goes on once the test says so. */
export function waitFor(opened: Promise<unknown>): Step {
  return { kind: 'gate', opened };
}

/** From here on, tokens (pieces of arguments too) come at this rate. */
export function pace(tokensPerSecond: number): Step {
  return { kind: 'pace', tokensPerSecond };
}

export function finish(reason: FinishText): Step {
  return { kind: 'finish', reason };
}

/** What usage says; null leaves it out. Without this step it is counted from the tokens. */
export function usage(
  counts: UsageCounts | null,
  place: 'own-chunk' | 'finish-chunk' | 'x_groq' = 'own-chunk',
): Step {
  return { kind: 'usage', counts, place };
}

/** A chunk as it stands, framed as an event. */
export function chunk(value: unknown): Step {
  return { kind: 'chunk', chunk: value };
}

/** Bytes as they stand, unframed. */
export function raw(bytes: string | Uint8Array): Step {
  return { kind: 'raw', bytes };
}

/** Leaves out `data: [DONE]`. */
export function noDone(): Step {
  return { kind: 'no-done' };
}

/** Ends the body properly, here and now: no finish reason, no `[DONE]`. */
export function end(): Step {
  return { kind: 'end' };
}

/** Destroys the connection, here and now. As the first step: before any answer. */
export function reset(): Step {
  return { kind: 'reset' };
}

/** Says nothing more until the client leaves. As the first step: not even headers. */
export function hang(): Step {
  return { kind: 'hang' };
}

/** An error in OpenAI's shape. Must be the first step (or follow other failures). */
export function fail(
  status: number,
  options: {
    message?: string;
    type?: string | null;
    code?: string | null;
    param?: string | null;
    retryAfter?: string;
    headers?: Readonly<Record<string, string>>;
    times?: number;
  } = {},
): Step {
  const { message = `Scripted failure ${status}.`, type = null, code = null, param = null } = options;
  return {
    kind: 'status',
    status,
    headers: {
      'content-type': 'application/json',
      ...(options.retryAfter === undefined ? {} : { 'retry-after': options.retryAfter }),
      ...options.headers,
    },
    body: JSON.stringify({ error: { message, type, param, code } }),
    times: options.times ?? Number.POSITIVE_INFINITY,
  };
}

/** Any answer: an HTML page, another server's shape of error, a redirect. */
export function answer(
  status: number,
  body: string,
  headers: Readonly<Record<string, string>> = { 'content-type': 'application/json' },
): Step {
  return { kind: 'status', status, headers, body, times: Number.POSITIVE_INFINITY };
}

export function redirect(location: string, status = 307): Step {
  return answer(status, '', { location });
}

export function splitTokens(text: string): readonly string[] {
  return text.match(/\s*\S+|\s+$/g) ?? [];
}

/** The deltas of the calls, each list the `tool_calls` of one chunk. */
export function toCallDeltas(step: Extract<Step, { kind: 'calls' }>): readonly (readonly unknown[])[] {
  const calls = step.calls.map((call, position) => ({
    position,
    name: call.name,
    id: call.id ?? `call_${call.name}_${position}`,
    value: call.arguments,
    text: typeof call.arguments === 'string' ? call.arguments : JSON.stringify(call.arguments),
  }));
  const write = (call: (typeof calls)[number]): unknown[] =>
    writeCall(call, step.style, step.pieceCharacters);
  const written = calls.map(write);
  switch (step.style) {
    case 'whole-together':
      return [written.flat()];
    case 'filler-first':
      return [[{ index: 0, function: {} }], ...written.flat().map((delta) => [delta])];
    case 'interleaved':
    case 'interleaved-backwards':
      return interleave(written, step.style === 'interleaved-backwards');
    default:
      return written.flat().map((delta) => [delta]);
  }
}

interface WrittenCall {
  readonly position: number;
  readonly name: string;
  readonly id: string;
  readonly value: unknown;
  readonly text: string;
}

function writeCall(call: WrittenCall, style: ToolCallStyle, pieceCharacters: number): unknown[] {
  const { name, id, text } = call;
  const type = 'function';
  const index = toIndex(call.position, style);
  const pieces = splitEvery(text, pieceCharacters);
  const rest = (values: readonly string[], extra: object = {}, fn: object = {}): unknown[] =>
    values.map((piece) => ({ ...index, ...extra, function: { ...fn, arguments: piece } }));
  const openai = [{ ...index, id, type, function: { name, arguments: '' } }, ...rest(pieces)];
  switch (style) {
    case 'whole':
    case 'whole-together':
      return [{ ...index, id, type, function: { name, arguments: text } }];
    case 'object':
      return [{ ...index, id, type, function: { name, arguments: call.value } }];
    case 'id-empty-same-index':
      return [{ ...index, id: '', type, function: { name, arguments: text } }];
    case 'arguments-first':
      return [
        { ...index, id, type, function: { name, arguments: pieces[0] ?? '' } },
        ...rest(pieces.slice(1)),
      ];
    case 'id-repeated':
    case 'index-missing-id-repeated':
      return [{ ...index, id, type, function: { name, arguments: '' } }, ...rest(pieces, { id, type })];
    case 'id-new-each-time': {
      const later = pieces.map((piece, at) => ({
        ...index,
        id: `${id}_${at}`,
        function: { arguments: piece },
      }));
      return [{ ...index, id, type, function: { name, arguments: '' } }, ...later];
    }
    case 'id-empty':
      return [{ ...index, id: '', type, function: { name, arguments: '' } }, ...rest(pieces)];
    case 'id-missing':
      return [{ ...index, function: { name, arguments: '' } }, ...rest(pieces)];
    case 'name-split': {
      const half = Math.ceil(name.length / 2);
      return [
        { ...index, id, type, function: { name: name.slice(0, half), arguments: '' } },
        { ...index, function: { name: name.slice(half) } },
        ...rest(pieces),
      ];
    }
    case 'name-repeated':
      return [{ ...index, id, type, function: { name, arguments: '' } }, ...rest(pieces, {}, { name })];
    case 'name-empty-later':
      return [{ ...index, id, type, function: { name, arguments: '' } }, ...rest(pieces, {}, { name: '' })];
    default:
      return openai;
  }
}

function toIndex(position: number, style: ToolCallStyle): { index?: number } {
  if (style === 'index-missing' || style === 'index-missing-id-repeated') return {};
  if (style === 'same-index' || style === 'id-empty-same-index') return { index: 0 };
  return { index: style === 'index-from-1' || style === 'filler-first' ? position + 1 : position };
}

function splitEvery(text: string, characters: number): string[] {
  const pieces: string[] = [];
  for (let at = 0; at < text.length; at += characters) pieces.push(text.slice(at, at + characters));
  return pieces;
}

/** The first delta of each call, then one further delta of each in turn. */
function interleave(written: readonly (readonly unknown[])[], isBackwards: boolean): unknown[][] {
  const deltas = written.map((list) => [list[0]]);
  const order = isBackwards ? [...written].reverse() : written;
  const longest = Math.max(...written.map((list) => list.length));
  for (let at = 1; at < longest; at += 1) {
    for (const list of order) if (at < list.length) deltas.push([list[at]]);
  }
  return deltas;
}
