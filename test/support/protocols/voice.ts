/** One protocol, as its server speaks it. */

import type { Counts } from './protocol-steps.ts';

export type Bytes = string | Uint8Array;
export type FinishName = 'stop' | 'length' | 'tool_calls' | 'content_filter';

export interface SpokenCall {
  readonly index: number;
  readonly name: string;
  /** JSON text in pieces, as they are to be sent where the protocol sends pieces. */
  readonly pieces: readonly string[];
  readonly signature: string | null;
}

/** Makes the frames of one answer; it knows what is open and must be closed. */
export interface Voice {
  begin(counts: Counts): Bytes[];
  text(token: string): Bytes[];
  think(token: string): Bytes[];
  /** Of the thoughts before it. */
  sign(signature: string): Bytes[];
  call(call: SpokenCall): Bytes[];
  finish(reason: FinishName, counts: Counts): Bytes[];
  fault(message: string): Bytes[];
}

export interface RefusalAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: unknown;
}

export interface ProtocolRequest {
  readonly kind: 'chat' | 'embeddings' | 'models';
  /** Without percent-encoding. */
  readonly model: string;
  /** Assistant messages after the last message of the user. */
  readonly turn: number;
}

export interface Speaker {
  readonly id: string;
  readonly contentType: string;
  /** Null: a request of another protocol. */
  read(path: string, body: Readonly<Record<string, unknown>>): ProtocolRequest | null;
  createVoice(model: string): Voice;
  refuse(status: number, message: string, retrySeconds: number | null): RefusalAnswer;
  embed(body: Readonly<Record<string, unknown>>, model: string): unknown;
  listModels(models: readonly string[]): unknown;
}

export function toSse(data: unknown, event: string | null = null): string {
  return `${event === null ? '' : `event: ${event}\n`}data: ${JSON.stringify(data)}\n\n`;
}

/** Messages that the model said since a user spoke last, tool outputs not counted as the user's. */
export function countTurns(
  messages: unknown,
  isAssistant: (message: Readonly<Record<string, unknown>>) => boolean,
  isUser: (message: Readonly<Record<string, unknown>>) => boolean,
): number {
  let turns = 0;
  for (const message of Array.isArray(messages) ? messages : []) {
    if (isUser(message)) turns = 0;
    else if (isAssistant(message)) turns += 1;
  }
  return turns;
}

/** A vector that follows from the text: the same everywhere, whichever protocol carries it. */
export function toScriptedVector(text: string, dimensions = 8): number[] {
  const vector = Array.from({ length: dimensions }, (_, at) => {
    const hash = Bun.hash.crc32(`${at}:${text}`);
    return hash / 2 ** 32 - 0.5;
  });
  const length = Math.hypot(...vector) || 1;
  return vector.map((value) => Math.fround(value / length));
}

export function toTexts(value: unknown): string[] {
  return (Array.isArray(value) ? value : [value]).map(String);
}
