import { describe, expect, test } from 'bun:test';
import { systemClock } from '../../src/clock.ts';
import { createIds } from '../../src/ids.ts';
import { parseJson } from '../../src/providers/json-values.ts';
import { type ChatRequest, ProviderError } from '../../src/providers/provider.ts';
import { createRehearsalProvider } from '../../src/providers/rehearsal/rehearsal-provider.ts';
import {
  collectEvents,
  joinCalls,
  joinText,
  toCallOptions,
  toFunctionTool,
} from '../support/provider-calls.ts';

const rehearsal = createRehearsalProvider({ clock: systemClock, ids: createIds(systemClock) });
const MODEL = 'understudy/rehearsal';
const HONEST = 'not a language model';

const weather = toFunctionTool('get_weather', {
  type: 'object',
  properties: {
    location: { type: 'string' },
    unit: { type: 'string', enum: ['celsius', 'fahrenheit'] },
    days: { type: 'integer', minimum: 1, maximum: 7 },
  },
  required: ['location'],
});
const clock = toFunctionTool('getCurrentTime', {
  type: 'object',
  properties: { zone: { type: 'string' } },
  required: ['zone'],
});

type Message = ChatRequest['messages'][number];

async function ask(content: string | Message[], extra: Partial<ChatRequest> = {}) {
  const messages: Message[] = typeof content === 'string' ? [{ role: 'user', content }] : content;
  const { events, error } = await collectEvents(
    rehearsal.chat({ model: MODEL, messages, ...extra }, toCallOptions(null)),
  );
  const finish = events.find((event) => event.type === 'finish');
  const usage = events.find((event) => event.type === 'usage');
  return {
    events,
    error,
    text: joinText(events),
    calls: joinCalls(events).map(({ name, arguments: args }) => ({
      name,
      arguments: parseJson(args) ?? args,
    })),
    finish: finish?.reason,
    usage: usage?.usage,
  };
}

/** The messages after which the model answers: its calls, and a result for each. */
async function answerCalls(content: string, extra: Partial<ChatRequest>, rounds: number): Promise<Message[]> {
  const messages: Message[] = [{ role: 'user', content }];
  for (let round = 0; round < rounds; round += 1) {
    const { events } = await ask(messages, extra);
    const calls = joinCalls(events);
    messages.push({
      role: 'assistant',
      tool_calls: calls.map((call) => ({
        id: call.id,
        type: 'function' as const,
        function: { name: call.name, arguments: call.arguments },
      })),
    });
    for (const call of calls) {
      messages.push({
        role: 'tool',
        tool_call_id: call.id,
        content: `result of ${call.name} in round ${round}`,
      });
    }
  }
  return messages;
}

describe('the rehearsal model', () => {
  test('says in every reply of its own that it is no language model', async () => {
    expect((await ask('Hello there')).text).toContain(HONEST);
    const messages = await answerCalls('weather in Rome', { tools: [weather] }, 1);
    expect((await ask(messages, { tools: [weather] })).text).toContain(HONEST);
  });

  test('quotes the last words of the user, and counts what it sees', async () => {
    const { text } = await ask([
      { role: 'system', content: 'Be brief' },
      { role: 'user', content: 'first' },
      { role: 'assistant', content: 'second' },
      {
        role: 'user',
        content: [
          { type: 'text', text: 'and third' },
          { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } },
        ],
      },
    ]);
    expect(text).toContain('3 messages and 1 instruction and 1 image');
    expect(text).toContain('"and third"');
    expect(text).not.toContain('first');
  });

  test('answers the same request with the same words, calls and usage', async () => {
    for (const content of ['Hello', 'weather in Oslo']) {
      const [first, second] = await Promise.all([
        ask(content, { tools: [weather] }),
        ask(content, { tools: [weather] }),
      ]);
      const strip = ({ events }: typeof first) =>
        events.map((event) => (event.type === 'tool_call' ? { ...event, id: '' } : event));
      expect(strip(first)).toEqual(strip(second));
    }
  });

  test('streams word by word and counts a token for each', async () => {
    const { events, usage, text } = await ask('Hello');
    const pieces = events.filter((event) => event.type === 'text');
    expect(pieces.length).toBeGreaterThan(10);
    expect(usage?.completionTokens).toBe(pieces.length);
    expect(usage?.totalTokens).toBe((usage?.promptTokens ?? 0) + pieces.length);
    expect(usage?.promptTokens).toBeGreaterThan(0);
    expect(text.split(/\s+/).length).toBe(pieces.length);
    expect((await ask('Hello '.repeat(100))).usage?.promptTokens).toBeGreaterThan(100);
  });

  test('fails without messages', async () => {
    expect((await ask([])).error).toMatchObject({ kind: 'invalid_request', param: 'messages' });
  });

  test('answers when there is no user message at all', async () => {
    expect((await ask([{ role: 'system', content: 'x' }])).finish).toBe('stop');
  });
});

describe('function cues', () => {
  test.each([
    ["What's the weather in San Francisco today?", { location: 'San Francisco' }],
    ['Call get_weather for "Zürich, Switzerland"', { location: 'Zürich, Switzerland' }],
    ['get weather of Paris in celsius', { location: 'Paris', unit: 'celsius' }],
    ['GetWeather for Rome for 3 days', { location: 'Rome', days: 3 }],
    ['get_weather location: Oslo, unit=fahrenheit', { location: 'Oslo', unit: 'fahrenheit' }],
    ['get_weather {"location":"Bern","days":2}', { location: 'Bern', days: 2 }],
    ['weather', { location: 'weather' }],
  ])('%p calls the function with %p', async (content, args) => {
    const { calls, finish, text } = await ask(content, { tools: [clock, weather] });
    expect(calls).toEqual([{ name: 'get_weather', arguments: args }]);
    expect(finish).toBe('tool_calls');
    expect(text).toBe('');
  });

  test.each(['Hello', 'How is the time?', 'the weatherman', 'set_weathervane'])(
    '%p mentions no function and calls none',
    async (content) => {
      const { calls, finish } = await ask(content, { tools: [weather, clock] });
      expect(calls.filter((call) => call.name === 'get_weather')).toEqual([]);
      expect(finish).toBe(calls.length > 0 ? 'tool_calls' : 'stop');
    },
  );

  test('several functions are called in parallel, in the order of their mention', async () => {
    const { calls } = await ask('The current time in Tokyo and the weather in Lima, please', {
      tools: [weather, clock],
    });
    expect(calls).toEqual([
      { name: 'getCurrentTime', arguments: { zone: 'Tokyo' } },
      { name: 'get_weather', arguments: { location: 'Lima' } },
    ]);
  });

  test('without parallel calls they come one a round', async () => {
    const extra = { tools: [weather, clock], parallel_tool_calls: false };
    const content = 'get_weather in Lima and getCurrentTime in Tokyo';
    expect((await ask(content, extra)).calls.map(({ name }) => name)).toEqual(['get_weather']);
    const after = await ask(await answerCalls(content, extra, 1), extra);
    expect(after.calls.map(({ name }) => name)).toEqual(['getCurrentTime']);
    const last = await ask(await answerCalls(content, extra, 2), extra);
    expect(last.calls).toEqual([]);
    expect(last.text).toContain('result of getCurrentTime in round 1');
  });

  test('what follows a `then` is called in the next round', async () => {
    const extra = { tools: [weather, clock] };
    const content = 'get_weather in Lima, then getCurrentTime in Tokyo';
    expect((await ask(content, extra)).calls.map(({ name }) => name)).toEqual(['get_weather']);
    const after = await ask(await answerCalls(content, extra, 1), extra);
    expect(after.calls).toEqual([{ name: 'getCurrentTime', arguments: { zone: 'Tokyo' } }]);
  });

  test('the results of all calls are quoted, and no function is called again', async () => {
    const extra = { tools: [weather, clock] };
    const messages = await answerCalls('get_weather and getCurrentTime', extra, 1);
    const { text, calls, finish } = await ask(messages, extra);
    expect(text).toContain('get_weather answered: result of get_weather in round 0');
    expect(text).toContain('getCurrentTime answered: result of getCurrentTime in round 0');
    expect(calls).toEqual([]);
    expect(finish).toBe('stop');
  });

  test('results of an earlier question do not keep it from calling again', async () => {
    const extra = { tools: [weather] };
    const messages = await answerCalls('weather in Rome', extra, 1);
    messages.push(
      { role: 'assistant', content: 'Sunny' },
      { role: 'user', content: 'And the weather in Bern?' },
    );
    expect((await ask(messages, extra)).calls).toEqual([
      { name: 'get_weather', arguments: { location: 'Bern' } },
    ]);
  });

  test('tool_choice decides: none, required, one function', async () => {
    const tools = [clock, weather];
    expect((await ask('weather in Rome', { tools, tool_choice: 'none' })).calls).toEqual([]);
    expect((await ask('Hello', { tools, tool_choice: 'required' })).calls.map(({ name }) => name)).toEqual([
      'getCurrentTime',
    ]);
    expect((await ask('weather in Rome', { tools, tool_choice: 'required' })).calls).toEqual([
      { name: 'get_weather', arguments: { location: 'Rome' } },
    ]);
    const forced = { type: 'function' as const, function: { name: 'get_weather' } };
    expect((await ask('time in Rome', { tools, tool_choice: forced })).calls).toEqual([
      { name: 'get_weather', arguments: { location: 'Rome' } },
    ]);
    const unknown = { type: 'function' as const, function: { name: 'nothing' } };
    expect((await ask('x', { tools, tool_choice: unknown })).error).toMatchObject({ param: 'tool_choice' });
  });

  test('a forced function is forced once, so that a run comes to its end', async () => {
    for (const choice of ['required', { type: 'function', function: { name: 'get_weather' } }] as const) {
      const extra = { tools: [weather], tool_choice: choice };
      expect((await ask(await answerCalls('Hello', extra, 1), extra)).finish).toBe('stop');
    }
  });
});

describe('orders', () => {
  test('`say` is said exactly, beside lines that are no orders', async () => {
    const { text } = await ask('Some context\nrehearsal: say  Exactly "this", ümläut  and   spaces\nmore');
    expect(text).toBe('Exactly "this", ümläut  and   spaces');
  });

  test('`words` says that many words', async () => {
    const { text, usage } = await ask('Rehearsal: words 200');
    expect(text.split(' ')).toHaveLength(200);
    expect(usage?.completionTokens).toBe(200);
    expect((await ask('rehearsal: words 999999999')).usage?.completionTokens).toBe(10_000);
  });

  test('`slow` waits before each word, and an abort ends the wait', async () => {
    const startedMs = performance.now();
    await ask('rehearsal: slow 10ms\nrehearsal: words 5');
    expect(performance.now() - startedMs).toBeGreaterThanOrEqual(48);
    const abort = new AbortController();
    const reason = new Error('cancelled');
    const outcome = collectEvents(
      rehearsal.chat(
        { model: MODEL, messages: [{ role: 'user', content: 'rehearsal: slow 10s' }] },
        toCallOptions(null, { signal: abort.signal }),
      ),
    );
    abort.abort(reason);
    expect((await outcome).error).toBe(reason);
  });

  test.each([
    ['rehearsal: fail', { kind: 'server', status: 500, isRetryable: false }],
    ['rehearsal: rate limit', { kind: 'rate_limit', status: 429, retryAfterMs: 1000 }],
    ['rehearsal: quota', { kind: 'insufficient_quota', status: 429 }],
  ])('%p fails before any word', async (content, expected) => {
    const { events, error } = await ask(content);
    expect(events).toEqual([]);
    expect(error).toBeInstanceOf(ProviderError);
    expect(error).toMatchObject(expected);
  });

  test('`fail midway` fails after half of the words, without a finish', async () => {
    const { text, error, finish } = await ask('rehearsal: fail midway\nrehearsal: words 10');
    expect(text).toBe('word1 word2 word3 word4 word5');
    expect(error).toMatchObject({ kind: 'server' });
    expect(finish).toBeUndefined();
  });

  test('`refuse` and `think` use their own events', async () => {
    const { events } = await ask('rehearsal: think about it\nrehearsal: refuse Not today.');
    expect(joinText(events, 'reasoning')).toBe('about it');
    expect(joinText(events, 'refusal')).toBe('Not today.');
    expect(joinText(events)).toBe('');
  });

  test('`call` calls with exactly these arguments, valid or not, in rounds', async () => {
    const extra = { tools: [weather, clock] };
    const { events } = await ask('rehearsal: call get_weather {"oops', extra);
    expect(joinCalls(events)).toMatchObject([{ name: 'get_weather', arguments: '{"oops' }]);
    const content =
      'rehearsal: call get_weather {"location":"A"}\nrehearsal: then call getCurrentTime {"zone":"B"}';
    expect((await ask(content, extra)).calls).toEqual([
      { name: 'get_weather', arguments: { location: 'A' } },
    ]);
    const after = await ask(await answerCalls(content, extra, 1), extra);
    expect(after.calls).toEqual([{ name: 'getCurrentTime', arguments: { zone: 'B' } }]);
  });

  test('an unknown order, and a call of a function that is not offered, are said to be so', async () => {
    expect((await ask('rehearsal: dance')).text).toContain('"rehearsal: dance"');
    expect((await ask('rehearsal: call nothing', { tools: [weather] })).text).toContain('"nothing"');
  });
});

describe('limits and formats', () => {
  test('the token limit cuts the reply at that many words', async () => {
    for (const name of ['max_completion_tokens', 'max_tokens'] as const) {
      const { text, finish, usage } = await ask('rehearsal: words 50', { [name]: 7 });
      expect(text.split(' ')).toHaveLength(7);
      expect(finish).toBe('length');
      expect(usage?.completionTokens).toBe(7);
    }
    expect((await ask('rehearsal: words 7', { max_tokens: 7 })).finish).toBe('stop');
  });

  test('stop sequences end the reply before them', async () => {
    expect((await ask('rehearsal: say one two three', { stop: ' two' })).text).toBe('one');
    expect((await ask('rehearsal: say one two three', { stop: ['three', 'tw'] })).text).toBe('one ');
  });

  test('json_object is answered with an object, json_schema with one that fits it', async () => {
    const object = await ask('Hello', { response_format: { type: 'json_object' } });
    expect(JSON.parse(object.text).answer).toContain(HONEST);
    const schema = {
      type: 'object',
      properties: {
        city: { type: 'string' },
        population: { type: 'integer' },
        tags: { type: 'array', items: { type: 'string' } },
      },
      required: ['city', 'population', 'tags'],
      additionalProperties: false,
    };
    const formatted = await ask('Describe the city named "Bern" with 134000 people', {
      response_format: { type: 'json_schema', json_schema: { name: 'city', schema, strict: true } },
    });
    expect(JSON.parse(formatted.text)).toEqual({ city: 'Bern', population: 134000, tags: ['Bern'] });
  });
});
