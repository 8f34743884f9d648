import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import type { ChatEvent } from '../../src/providers/provider.ts';
import { ProviderError } from '../../src/providers/provider.ts';
import {
  collectEvents,
  createTestProvider,
  joinText,
  toCallOptions,
  toChatRequest,
  toFunctionTool,
} from '../support/provider-calls.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';
import { answer, chunk, end, finish, raw, reset, type Step, say } from '../support/upstream-steps.ts';

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

describe('broken answers', () => {
  const errorData = { message: 'Overloaded', type: 'overloaded_error', code: 'busy' };
  test.each([
    ['an error object', chunk({ error: errorData }), 'server', 'Overloaded'],
    ['an error text', chunk({ error: 'out of memory' }), 'server', 'out of memory'],
    ['event: error', raw(`event: error\ndata: ${JSON.stringify(errorData)}\n\n`), 'server', 'Overloaded'],
    ['event: error of plain text', raw('event: error\ndata: gone away\n\n'), 'server', 'gone away'],
    ['type: error', chunk({ type: 'error', error: errorData }), 'server', 'Overloaded'],
    ['object: error', chunk({ object: 'error', message: 'bad', code: 400 }), 'invalid_request', 'bad'],
    [
      'a rate limit by code',
      chunk({ error: { code: 429, message: 'slow down' } }),
      'rate_limit',
      'slow down',
    ],
    [
      'an error beside a choice',
      chunk({
        error: { code: 502, message: 'lost' },
        choices: [{ index: 0, delta: { content: '' }, finish_reason: 'error' }],
      }),
      'server',
      'lost',
    ],
  ] as const)('%s inside a stream of status 200 is an error', async (name, step, kind, message) => {
    const { events, error } = await play(`inline ${name}`, say('so far'), step, finish('stop'));
    expect(joinText(events)).toBe('so far');
    expect(error).toMatchObject({ name: 'ProviderError', kind, message });
    expect(events.some((event) => event.type === 'finish')).toBe(false);
  });

  test.each([
    ['[DONE] without a finish reason', [raw('data: [DONE]\n\n'), end()], 'protocol'],
    ['the end without a finish reason', [end()], 'protocol'],
    ['half a line', [raw('data: {"choices":[{"delta":{"con'), end()], 'protocol'],
    ['a line that is no JSON', [raw('data: {oops}\n\n'), finish('stop')], 'protocol'],
    ['JSON that is no object', [raw('data: 7\n\n'), finish('stop')], 'protocol'],
    ['finish reason error', [finish('error')], 'server'],
    ['a reset connection', [reset()], 'connection'],
  ] as const)('%s fails the reply after its text', async (name, steps, kind) => {
    const { events, error } = await play(`broken ${name}`, say('so', ' far'), ...steps);
    expect(joinText(events)).toBe('so far');
    expect(error).toBeInstanceOf(ProviderError);
    expect(error).toMatchObject({ kind });
    expect(events.some((event) => event.type === 'finish')).toBe(false);
  });

  test.each([
    ['text/html', '<!DOCTYPE html><html><body>Sign in</body></html>'],
    ['application/json', '<html>Sign in</html>'],
    ['application/json', '{"choices":[{"mess'],
    ['text/event-stream', '<html>Sign in</html>'],
    ['text/event-stream', ''],
    ['application/json', ''],
  ])('an answer of status 200 with %s %p is a protocol error without HTML', async (type, body) => {
    const { error } = await play(`200 ${type} ${body}`, answer(200, body, { 'content-type': type }));
    expect(error).toMatchObject({ kind: 'protocol' });
    expect(String(error)).not.toMatch(/<|Sign in/);
  });

  test('a whole JSON completion in answer to a stream request is a reply', async () => {
    const message = {
      role: 'assistant',
      content: 'Whole',
      reasoning_content: 'thought',
      tool_calls: [{ id: 'c1', type: 'function', function: { name: 'get_time', arguments: '{}' } }],
    };
    const body = JSON.stringify({
      object: 'chat.completion',
      choices: [{ index: 0, message, finish_reason: 'tool_calls' }],
      usage: { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 },
    });
    for (const type of ['application/json', 'text/plain']) {
      const { events, error } = await play(`whole ${type}`, answer(200, body, { 'content-type': type }));
      expect(error).toBeNull();
      expect(events).toEqual([
        { type: 'reasoning', text: 'thought' },
        { type: 'text', text: 'Whole' },
        { type: 'tool_call', index: 0, id: 'c1', name: 'get_time' },
        { type: 'tool_arguments', index: 0, text: '{}' },
        { type: 'finish', reason: 'tool_calls' },
        { type: 'usage', usage: { promptTokens: 1, completionTokens: 2, totalTokens: 3 } },
      ]);
    }
  });

  test('an error as a JSON document of status 200 is an error', async () => {
    const { error } = await play(
      '200 error',
      answer(200, '{"error":{"message":"no such model","code":404}}'),
    );
    expect(error).toMatchObject({ kind: 'model_not_found', message: 'no such model' });
  });

  test('a stream under a JSON content type is read as the stream it is', async () => {
    const body =
      'data: {"choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n';
    const { events, error } = await play('mislabelled', answer(200, body));
    expect(error).toBeNull();
    expect(joinText(events)).toBe('hi');
  });
});
