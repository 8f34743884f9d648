/** Reads a run's event stream frame by frame, and takes nothing but OpenAI's exact framing. */

import { Value } from '@sinclair/typebox/value';
import { AssistantStreamEvent } from '../../src/schemas/generated/stream-events.ts';

export interface SeenEvent {
  readonly event: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into events of any shape.
  readonly data: any;
}

export interface EventReader {
  readonly status: number;
  readonly contentType: string;
  /** Every event but `done`. Throws for a frame of another form, and where the body ends without `done`. */
  readonly events: AsyncGenerator<SeenEvent, void, undefined>;
  /** Reads on to the end. */
  rest(): Promise<SeenEvent[]>;
  /** Reads up to the first event of this name, and answers all read on the way. */
  readTo(name: string): Promise<SeenEvent[]>;
  /** Goes away without reading on. */
  leave(): void;
}

export interface StreamCall {
  readonly url: string;
  readonly body: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Starts a streamed call. Errors: an answer that is no stream. */
export async function openEvents(call: StreamCall): Promise<EventReader> {
  const controller = new AbortController();
  const response = await fetch(call.url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...call.headers },
    body: JSON.stringify(call.body),
    signal: controller.signal,
  });
  const contentType = response.headers.get('content-type') ?? '';
  if (!contentType.startsWith('text/event-stream') || response.body === null) {
    throw new Error(`no stream, but ${response.status}: ${await response.text()}`);
  }
  const events = readEvents(response.body);
  const readTo = async (name: string): Promise<SeenEvent[]> => {
    const seen: SeenEvent[] = [];
    // Not `for await`: leaving that loop would end the generator.
    for (;;) {
      const { value, done } = await events.next();
      if (done === true) throw new Error(`the stream ended without ${name}: ${toNames(seen).join(', ')}`);
      seen.push(value);
      if (value.event === name) return seen;
    }
  };
  return {
    status: response.status,
    contentType,
    events,
    async rest() {
      return Array.fromAsync(events);
    },
    readTo,
    leave: () => controller.abort(),
  };
}

const COMMENT = /^: keep-alive$/;
const FRAME = /^event: (\S+)\ndata: ([^\n]*)$/;

/** The events of a stream's body. Throws as `EventReader.events` does. */
export async function* readEvents(
  body: ReadableStream<Uint8Array>,
): AsyncGenerator<SeenEvent, void, undefined> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let text = '';
  let isDone = false;
  for await (const piece of body) {
    text += decoder.decode(piece, { stream: true });
    for (let end = text.indexOf('\n\n'); end !== -1; end = text.indexOf('\n\n')) {
      const frame = text.slice(0, end);
      text = text.slice(end + 2);
      if (COMMENT.test(frame)) continue;
      if (isDone) throw new Error(`a frame after done: ${frame}`);
      const [, event = '', data = ''] = FRAME.exec(frame) ?? [];
      if (event === '') throw new Error(`no frame of an event: ${JSON.stringify(frame)}`);
      isDone = event === 'done';
      if (!isDone) yield { event, data: JSON.parse(data) };
      else if (data !== '[DONE]') throw new Error(`done says ${data}`);
    }
  }
  if (text !== '') throw new Error(`half a frame at the end: ${JSON.stringify(text)}`);
  if (!isDone) throw new Error('the stream ended without done');
}

export function toNames(events: readonly SeenEvent[]): string[] {
  return events.map(({ event }) => event);
}

/** The names, with a `*` behind one that came several times in a row. */
export function toShape(events: readonly SeenEvent[]): string[] {
  const shape: string[] = [];
  for (const { event } of events) {
    const last = shape.at(-1);
    if (last === event || last === `${event}*`) shape[shape.length - 1] = `${event}*`;
    else shape.push(event);
  }
  return shape;
}

/** What is not as the API document has it, event by event. */
export function findSchemaFaults(events: readonly SeenEvent[]): string[] {
  return events.flatMap((event) => {
    if (Value.Check(AssistantStreamEvent, event)) return [];
    return [`${event.event}: ${JSON.stringify(event.data)}`];
  });
}

/** The text of a stream's message deltas, by message. */
export function joinDeltas(events: readonly SeenEvent[]): Map<string, string> {
  const texts = new Map<string, string>();
  for (const { event, data } of events) {
    if (event !== 'thread.message.delta') continue;
    for (const part of data.delta.content) {
      texts.set(data.id, (texts.get(data.id) ?? '') + (part.text?.value ?? part.refusal ?? ''));
    }
  }
  return texts;
}

export interface SeenCall {
  id: string;
  name: string;
  arguments: string;
}

/** The function calls that a stream's step deltas add up to, in the order of their index. */
export function joinCallDeltas(events: readonly SeenEvent[]): SeenCall[] {
  const calls: SeenCall[] = [];
  for (const { event, data } of events) {
    if (event !== 'thread.run.step.delta') continue;
    for (const { index, id, function: made } of data.delta.step_details.tool_calls) {
      calls[index] ??= { id: '', name: '', arguments: '' };
      const call = calls[index];
      if (call === undefined) continue;
      call.id += id ?? '';
      call.name += made?.name ?? '';
      call.arguments += made?.arguments ?? '';
    }
  }
  return calls;
}
