/**
 * Server-sent events from bytes, however they are cut: between lines, within one, within a character.
 *
 * Lines end with LF, CRLF or CR. Comments and fields without use here (`id`, `retry`) are passed over.
 */

import { ProviderError } from '../provider.ts';

/** Characters of one event: a tool call's arguments may come whole, a broken server may never end a line. */
export const EVENT_CHARACTERS_MAX = 8 * 1024 * 1024;

export interface SseEvent {
  /** The `event:` field; null where the event has none. */
  readonly name: string | null;
  /** The `data:` lines, joined by LF. */
  readonly data: string;
}

export interface SseParser {
  /** The events that these bytes complete. Throws `ProviderError` (`protocol`) beyond the bound. */
  push(bytes: Uint8Array): readonly SseEvent[];
  /** The event that the end of the stream completes: many servers leave out the last blank line. */
  end(): readonly SseEvent[];
}

export function createSseParser(eventCharactersMax: number = EVENT_CHARACTERS_MAX): SseParser {
  // Strips a byte order mark, keeps cut characters for the next piece, replaces what is no UTF-8.
  const decoder = new TextDecoder();
  let rest = '';
  let data: string | null = null;
  let name: string | null = null;
  let endsWithCr = false;

  const takeLine = (line: string, events: SseEvent[]): void => {
    if (line === '') {
      if (data !== null) events.push({ name, data });
      data = null;
      name = null;
    } else if (line.startsWith('data:')) {
      const value = line.slice(line.charCodeAt(5) === SPACE ? 6 : 5);
      data = data === null ? value : `${data}\n${value}`;
    } else if (line.startsWith('event:')) {
      name = line.slice(6).trim();
    } else if (line === 'data') {
      data = data === null ? '' : `${data}\n`;
    }
  };

  /** Leaves LF as the only line end. A CR at the end of a piece ends its line; an LF that follows belongs to it. */
  const unifyLineEnds = (text: string): string => {
    let unified = text;
    if (endsWithCr && unified.charCodeAt(0) === LF) unified = unified.slice(1);
    if (text !== '') endsWithCr = text.charCodeAt(text.length - 1) === CR;
    return unified.includes('\r') ? unified.replace(/\r\n?/g, '\n') : unified;
  };

  const takeText = (decoded: string): SseEvent[] => {
    const events: SseEvent[] = [];
    const text = unifyLineEnds(decoded);
    let end = text.indexOf('\n');
    // The rest is only searched when its line has ended, so a long line costs no more than its length.
    if (end === -1) {
      rest += text;
    } else {
      takeLine(rest + text.slice(0, end), events);
      let start = end + 1;
      for (end = text.indexOf('\n', start); end !== -1; end = text.indexOf('\n', start)) {
        takeLine(text.slice(start, end), events);
        start = end + 1;
      }
      rest = text.slice(start);
    }
    const characters = rest.length + (data === null ? 0 : (data as string).length);
    if (characters > eventCharactersMax) {
      throw new ProviderError('protocol', `The model's server sent an event that is too long.`);
    }
    return events;
  };

  return {
    push: (bytes) => takeText(decoder.decode(bytes, { stream: true })),
    end: () => takeText(`${decoder.decode()}\n\n`),
  };
}

const SPACE = 32;
const LF = 10;
const CR = 13;
