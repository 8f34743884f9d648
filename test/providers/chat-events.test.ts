import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import type { ChatEvent } from '../../src/providers/provider.ts';
import {
  collectEvents,
  createTestProvider,
  joinText,
  toCallOptions,
  toChatRequest,
  toFunctionTool,
} from '../support/provider-calls.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';
import {
  callTool,
  chunk,
  end,
  finish,
  noDone,
  raw,
  refuse,
  reset,
  type Step,
  say,
  think,
  usage,
  wait,
} from '../support/upstream-steps.ts';

let upstream: ScriptedUpstream;
beforeAll(async () => {
  upstream = await startScriptedUpstream();
});
afterAll(() => upstream.close());

const tools = [toFunctionTool('get_weather'), toFunctionTool('get_time')];
const provider = createTestProvider({ retryPolicy: { attemptsMax: 1 } });

async function play(name: string, ...steps: Step[]): Promise<{ events: ChatEvent[]; error: unknown }> {
  const model = upstream.script(name, steps);
  return await collectEvents(provider.chat(toChatRequest(model, { tools }), toCallOptions(upstream.url)));
}

/** A chunk with one choice. */
function toChunk(delta: unknown, finishReason: string | null = null, rest: object = {}): Step {
  return chunk({ id: 'x', choices: [{ index: 0, delta, finish_reason: finishReason }], ...rest });
}

/** Ends a stream whose script says its finish reason itself. */
const DONE: readonly Step[] = [raw('data: [DONE]\n\n'), end()];

describe('chat', () => {
  test('asks for a stream with usage and sends all fields of the request unchanged', async () => {
    const model = upstream.script('fields', [say('ok')]);
    const request = toChatRequest(model, {
      tools,
      temperature: 0.2,
      reasoning_effort: 'low',
      max_completion_tokens: 7,
      parallel_tool_calls: false,
      response_format: { type: 'json_object' },
    });
    await collectEvents(provider.chat(request, toCallOptions(upstream.url)));
    expect(upstream.requestsFor(model)[0]?.body).toEqual({
      ...request,
      stream: true,
      stream_options: { include_usage: true },
    });
  });

  test('yields text as it comes, then one finish, then usage', async () => {
    const { events } = await play('plain', say('One two'), usage({ prompt_tokens: 5, completion_tokens: 2 }));
    expect(events).toEqual([
      { type: 'text', text: 'One' },
      { type: 'text', text: ' two' },
      { type: 'finish', reason: 'stop' },
      { type: 'usage', usage: { promptTokens: 5, completionTokens: 2, totalTokens: 7 } },
    ]);
  });

  test('yields the first token while the upstream still works on the next', async () => {
    const model = upstream.script('early', [say('first'), wait(60_000), say(' second')]);
    const events = provider.chat(toChatRequest(model), toCallOptions(upstream.url));
    expect((await events.next()).value).toEqual({ type: 'text', text: 'first' });
    await events.return();
  });

  test('closes the upstream connection when the loop is left early', async () => {
    const model = upstream.script('left', [say('first'), wait(60_000)]);
    for await (const _ of provider.chat(toChatRequest(model), toCallOptions(upstream.url))) break;
    expect(await upstream.requestsFor(model)[0]?.ended).toBe('aborted');
  });

  test('sends nothing before the first event is asked for', async () => {
    const model = upstream.script('lazy', [say('x')]);
    const events = provider.chat(toChatRequest(model), toCallOptions(upstream.url));
    await Bun.sleep(20);
    expect(upstream.requestsFor(model)).toHaveLength(0);
    await events.return();
    expect(upstream.requestsFor(model)).toHaveLength(0);
  });

  test('yields refusals and thoughts, of either name, apart from text', async () => {
    const { events } = await play(
      'thoughts',
      think('hm hm'),
      think(' so', 'reasoning'),
      say('Yes'),
      refuse('No'),
    );
    expect(joinText(events, 'reasoning')).toBe('hm hm so');
    expect(joinText(events, 'text')).toBe('Yes');
    expect(joinText(events, 'refusal')).toBe('No');
  });

  test('yields a thought once when a server writes it under both names', async () => {
    const { events } = await play(
      'both',
      toChunk({ reasoning: 'a', reasoning_content: 'a' }),
      finish('stop'),
    );
    expect(joinText(events, 'reasoning')).toBe('a');
  });

  test('reads content that is a list of thinking and text parts', async () => {
    const content = [
      { type: 'thinking', thinking: [{ type: 'text', text: 'why' }] },
      { type: 'text', text: 'because' },
    ];
    const { events } = await play('parts', toChunk({ content }, 'stop'));
    expect(joinText(events, 'reasoning')).toBe('why');
    expect(joinText(events)).toBe('because');
  });

  test('reads the first choice only, and chunks without choices or with null fields', async () => {
    const { events, error } = await play(
      'odd chunks',
      chunk({ id: '', choices: [], prompt_filter_results: [{ prompt_index: 0 }] }),
      chunk({ id: 'x', choices: null }),
      chunk({ choices: [{ index: 1, delta: { content: 'other' }, finish_reason: 'length' }] }),
      chunk({ choices: [{ index: 0, finish_reason: null, content_filter_offsets: {} }] }),
      toChunk({ content: null, tool_calls: null, refusal: null, function_call: null }),
      toChunk({ content: 'mine' }, 'stop', { usage: null }),
    );
    expect(error).toBeNull();
    expect(joinText(events)).toBe('mine');
    expect(events).toContainEqual({ type: 'finish', reason: 'stop' });
  });
});

describe('finish and usage', () => {
  test.each([
    ['stop', 'stop'],
    ['eos', 'stop'],
    ['STOP', 'stop'],
    ['end_turn', 'stop'],
    ['something_new', 'stop'],
    ['length', 'length'],
    ['model_length', 'length'],
    ['content_filter', 'content_filter'],
    ['tool_calls', 'stop'],
  ] as const)('finish reason %p without calls is %p', async (wire, expected) => {
    const { events } = await play(`finish ${wire}`, say('x'), finish(wire));
    expect(events).toContainEqual({ type: 'finish', reason: expected });
  });

  test.each([
    ['stop', 'tool_calls'],
    ['eos', 'tool_calls'],
    ['function_call', 'tool_calls'],
    ['length', 'length'],
    ['content_filter', 'content_filter'],
  ] as const)('finish reason %p with calls is %p', async (wire, expected) => {
    const { events } = await play(`calls finish ${wire}`, callTool('get_time', {}), finish(wire));
    expect(events).toContainEqual({ type: 'finish', reason: expected });
  });

  test('a finish reason in every chunk ends nothing before the end', async () => {
    const { events } = await play(
      'gemini',
      toChunk({ content: 'a' }, 'stop'),
      toChunk({ content: 'b' }, 'length'),
      ...DONE,
    );
    expect(joinText(events)).toBe('ab');
    expect(events.filter((event) => event.type === 'finish')).toEqual([{ type: 'finish', reason: 'length' }]);
  });

  const counts = { prompt_tokens: 3, completion_tokens: 4, total_tokens: 9 };
  test.each(['own-chunk', 'finish-chunk', 'x_groq'] as const)(
    'usage placed in %p is found, once',
    async (place) => {
      const { events } = await play(`usage ${place}`, say('x'), usage(counts, place));
      expect(events.filter((event) => event.type === 'usage')).toEqual([
        { type: 'usage', usage: { promptTokens: 3, completionTokens: 4, totalTokens: 9 } },
      ]);
    },
  );

  test('usage that grows with every chunk is said once, as it was last', async () => {
    const { events } = await play(
      'growing usage',
      toChunk({ content: 'a' }, null, { usage: { prompt_tokens: 3, completion_tokens: 1 } }),
      toChunk({ content: 'b' }, 'stop', { usage: { prompt_tokens: 3, completion_tokens: 2 } }),
      ...DONE,
    );
    expect(events.at(-1)).toEqual({
      type: 'usage',
      usage: { promptTokens: 3, completionTokens: 2, totalTokens: 5 },
    });
  });

  test('a reply without usage is complete without it', async () => {
    const { events, error } = await play('no usage', say('x'), usage(null));
    expect(error).toBeNull();
    expect(events.at(-1)).toEqual({ type: 'finish', reason: 'stop' });
  });

  test('a reply without [DONE] is complete with its finish reason', async () => {
    const { events, error } = await play('no done', say('x'), noDone());
    expect(error).toBeNull();
    expect(events.map((event) => event.type)).toEqual(['text', 'finish', 'usage']);
  });

  test('a connection that breaks or stalls after the finish reason takes nothing from the reply', async () => {
    for (const [name, step] of [
      ['reset', reset()],
      ['stall', wait(60_000)],
    ] as const) {
      const model = upstream.script(`trailer ${name}`, [say('x'), finish('stop'), step]);
      const quick = createTestProvider({ trailerMs: 50, retryPolicy: { attemptsMax: 1 } });
      const { events, error } = await collectEvents(
        quick.chat(toChatRequest(model), toCallOptions(upstream.url)),
      );
      expect(error).toBeNull();
      expect(events.map((event) => event.type)).toEqual(['text', 'finish']);
    }
  });

  test('a connection serves the next request after a whole stream', async () => {
    const own = await startScriptedUpstream();
    try {
      for (let i = 0; i < 5; i += 1) {
        await collectEvents(provider.chat(toChatRequest('any'), toCallOptions(own.url)));
      }
      expect(own.requests).toHaveLength(5);
      expect(own.connections.total).toBeLessThanOrEqual(2);
    } finally {
      await own.close();
    }
  });
});
