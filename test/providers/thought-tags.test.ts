import { describe, expect, test } from 'bun:test';
import { createThoughtTeller } from '../../src/providers/chat/thought-tags.ts';
import type { ChatEvent } from '../../src/providers/provider.ts';

const FINISH: ChatEvent = { type: 'finish', reason: 'stop' };

/** What is told of a text in pieces, joined by kind in the order in which it came. */
function tell(pieces: readonly string[], others: readonly ChatEvent[] = [FINISH]): string[] {
  const teller = createThoughtTeller();
  const told: ChatEvent[] = [];
  const push = (event: ChatEvent): void => {
    const from = told.length;
    told.push(event);
    teller.sift(told, from);
  };
  for (const text of pieces) push({ type: 'text', text });
  for (const event of others) push(event);
  const joined: string[] = [];
  for (const event of told) {
    const label = event.type;
    const text = 'text' in event ? event.text : '';
    const last = joined.at(-1);
    if (last?.startsWith(`${label}:`)) joined[joined.length - 1] = last + text;
    else joined.push(`${label}:${text}`);
  }
  return joined;
}

const REPLY = '\n<think>Is it <b>5</b>?\n</think>\n\nIt is 5. <think> is a tag.';
const TOLD = ['reasoning:Is it <b>5</b>?\n', 'text:It is 5. <think> is a tag.', 'finish:'];

describe('thoughts between tags', () => {
  test.each(Array.from({ length: REPLY.length }, (_, at) => at))(
    'are told apart wherever the pieces are cut: at %d',
    (at) => {
      expect(tell([REPLY.slice(0, at), REPLY.slice(at)])).toEqual(TOLD);
    },
  );

  test('are told apart in single characters', () => {
    expect(tell([...REPLY])).toEqual(TOLD);
    expect(tell([...REPLY.replaceAll('think>', 'thinking>')])).toEqual([
      TOLD[0] ?? '',
      'text:It is 5. <thinking> is a tag.',
      'finish:',
    ]);
  });

  test.each([
    [['Hello'], ['text:Hello', 'finish:']],
    [
      ['  ', ' Hello'],
      ['text:   Hello', 'finish:'],
    ],
    [
      ['<', 'b>bold</b>'],
      ['text:<b>bold</b>', 'finish:'],
    ],
    [['<thin'], ['text:<thin', 'finish:']],
    [['<thinker>'], ['text:<thinker>', 'finish:']],
    [['So: <think>x</think>'], ['text:So: <think>x</think>', 'finish:']],
    [
      [' '.repeat(300), '<think>x</think>'],
      [`text:${' '.repeat(300)}<think>x</think>`, 'finish:'],
    ],
  ])('nothing else is changed: %j', (pieces, expected) => {
    expect(tell(pieces)).toEqual(expected);
  });

  test('of which there is no end are no answer', () => {
    expect(tell(['<think>On and ', 'on </thi'])).toEqual(['reasoning:On and on </thi', 'finish:']);
  });

  test('come before a call', () => {
    const call: ChatEvent = { type: 'tool_call', index: 0, id: 'a', name: 'look' };
    expect(tell(['<thinking>Let me look.</thinking>\n'], [call, FINISH])).toEqual([
      'reasoning:Let me look.',
      'tool_call:',
      'finish:',
    ]);
  });
});
