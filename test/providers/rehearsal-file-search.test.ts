/** How the rehearsal model plays a search of files: it asks for its user's words, and quotes what it gets. */

import { describe, expect, test } from 'bun:test';
import type { ChatRequest } from '../../src/providers/provider.ts';
import { planReply } from '../../src/providers/rehearsal/reply.ts';
import { toFunctionTool } from '../support/provider-calls.ts';

const SEARCH = toFunctionTool('file_search', {
  type: 'object',
  properties: { queries: { type: 'array', items: { type: 'string' } } },
  required: ['queries'],
});
const WEATHER = toFunctionTool('get_weather', {
  type: 'object',
  properties: { city: { type: 'string' } },
  required: ['city'],
});

type Message = ChatRequest['messages'][number];

function plan(content: string, extra: Partial<ChatRequest> = {}, rest: readonly Message[] = []) {
  const messages: Message[] = [{ role: 'user', content }, ...rest];
  const { calls, text } = planReply({ model: 'understudy/rehearsal', messages, tools: [SEARCH], ...extra });
  return {
    text: text.join(''),
    calls: calls.map(({ name, pieces }) => ({ name, arguments: JSON.parse(pieces.join('')) })),
  };
}

/** The answer, once the search has answered so. */
function answerTo(output: string): string {
  const call = {
    id: 'call_1',
    type: 'function' as const,
    function: { name: 'file_search', arguments: '{}' },
  };
  const rest: Message[] = [
    { role: 'assistant', content: null, tool_calls: [call] },
    { role: 'tool', tool_call_id: 'call_1', content: output },
  ];
  return plan('When may guests check in?', {}, rest).text;
}

describe('the question', () => {
  for (const words of ['When may guests check in?', 'Search the files for "check in"', 'What is {"a": 1}?']) {
    test(`'${words}' is searched for as it stands`, () => {
      expect(plan(words).calls).toEqual([{ name: 'file_search', arguments: { queries: [words] } }]);
    });
  }

  test('orders are no part of it', () => {
    const { calls } = plan('Check in?\nrehearsal: slow 1ms');
    expect(calls).toEqual([{ name: 'file_search', arguments: { queries: ['Check in?'] } }]);
  });

  test('another function that is mentioned, and what is ordered, goes first', () => {
    const tools = [SEARCH, WEATHER];
    expect(plan("What's the weather in Oslo?", { tools }).calls).toEqual([
      { name: 'get_weather', arguments: { city: 'Oslo' } },
    ]);
    expect(plan('Check in?\nrehearsal: say No.')).toEqual({ text: 'No.', calls: [] });
    expect(plan('rehearsal: call file_search {"queries": "x"}').calls).toEqual([
      { name: 'file_search', arguments: { queries: 'x' } },
    ]);
  });

  test('tool_choice decides', () => {
    expect(plan('Check in?', { tool_choice: 'none' }).calls).toEqual([]);
    expect(plan('Check in?', { tool_choice: 'required' }).calls).toHaveLength(1);
  });
});

describe('the answer', () => {
  test('quotes the sentence that shares most words with the question, with its marker right behind', () => {
    const output =
      '【4:0†a.md】\nThe garden is open all day. Pets stay outside.\n\n【4:1†b.md】\n# Arrival\nGuests may check\nin from 3 pm. Keys are at the desk.\n\n' +
      'Cite what you use: repeat its marker, such as 【4:0†a.md】, when guests may check in.';
    expect(answerTo(output)).toEndWith('The files say: "Guests may check in from 3 pm."【4:1†b.md】');
  });

  test('quotes a row of a table by itself', () => {
    const output =
      '【4:0†a.csv】\nname: bed | price: 3\nname: guests check in | price: 4\nname: desk | price: 5';
    expect(answerTo(output)).toEndWith('The files say: "name: guests check in | price: 4"【4:0†a.csv】');
  });

  test('quotes the first passage where none shares a word', () => {
    const output =
      'A part of the files could not be searched.\n\n【4:0†rules.md】 (page 2)\nArrivals are welcome\nfrom 3 pm.\n\nPets stay.\n\n【4:1†b.md】\nMore.';
    expect(answerTo(output)).toEndWith('The files say: "Arrivals are welcome from 3 pm."【4:0†rules.md】');
  });

  test('quotes a passage that is all there is', () => {
    expect(answerTo('【4:0†rules.md】\nGuests may check in.')).toEndWith(
      'The files say: "Guests may check in."【4:0†rules.md】',
    );
  });

  test('says what the search said where nothing was found', () => {
    expect(answerTo('Nothing was found in the files.')).toEndWith(
      'file_search answered: Nothing was found in the files.',
    );
  });
});
