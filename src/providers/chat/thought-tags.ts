/**
 * Thoughts that a model writes into its text, at its beginning and between tags (`<think>…</think>`: DeepSeek's models and Qwen where
 * their server does not part them; `<thinking>`: Amazon's Nova), told apart from what it says.
 */

import type { ChatEvent } from '../provider.ts';

export interface ThoughtTeller {
  /** Makes reasoning of the thoughts in the events from this position on; what may be half a tag is held back. */
  sift(events: ChatEvent[], from: number): void;
}

const OPENINGS = Object.freeze(['<think>', '<thinking>']);
/** White space before a tag; with more of it none is looked for. */
const LEADING_CHARACTERS_MAX = 256;

type Phase =
  /** Nothing has been said. */
  | 'start'
  | 'thinking'
  /** Between the closing tag and what is said: white space, which belongs to neither. */
  | 'after'
  | 'text';

export function createThoughtTeller(): ThoughtTeller {
  let phase: Phase = 'start';
  let closing = '';
  let held = '';

  const begin = (): void => {
    const text = held.trimStart();
    const opening = OPENINGS.find((tag) => text.startsWith(tag));
    if (opening !== undefined) {
      closing = `</${opening.slice(1)}`;
      held = text.slice(opening.length);
      phase = 'thinking';
    } else if (held.length > LEADING_CHARACTERS_MAX || !OPENINGS.some((tag) => tag.startsWith(text))) {
      phase = 'text';
    }
  };

  const think = (told: ChatEvent[]): void => {
    const end = held.indexOf(closing);
    const length = end === -1 ? held.length - countTagStart(held, closing) : end;
    if (length > 0) told.push({ type: 'reasoning', text: held.slice(0, length) });
    held = held.slice(end === -1 ? length : end + closing.length);
    if (end !== -1) phase = 'after';
  };

  const takeText = (text: string, told: ChatEvent[]): void => {
    held += text;
    if (phase === 'start') begin();
    if (phase === 'thinking') think(told);
    if (phase === 'after') {
      held = held.trimStart();
      if (held !== '') phase = 'text';
    }
    if (phase === 'text') flush(told);
  };

  /** What is held turns out to be no tag. */
  const flush = (told: ChatEvent[]): void => {
    if (held !== '') told.push({ type: phase === 'thinking' ? 'reasoning' : 'text', text: held });
    held = '';
  };

  return {
    sift(events, from) {
      if (phase === 'text') return;
      const told: ChatEvent[] = [];
      for (const event of events.splice(from)) {
        if (event.type === 'text') {
          takeText(event.text, told);
          continue;
        }
        if (event.type !== 'reasoning' && event.type !== 'usage') {
          flush(told);
          phase = 'text';
        }
        told.push(event);
      }
      events.push(...told);
    },
  };
}

/** Characters at the end of the text that may be the beginning of the tag. */
function countTagStart(text: string, tag: string): number {
  for (let length = Math.min(tag.length - 1, text.length); length > 0; length -= 1) {
    if (text.endsWith(tag.slice(0, length))) return length;
  }
  return 0;
}
