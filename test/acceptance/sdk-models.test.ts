/** The npm client's chat completions, embeddings and models: as helpers read them, built in or relayed to an upstream. */

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import OpenAI from 'openai';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { callTools, fail, say, usage } from '../support/upstream-steps.ts';

const MODEL = 'understudy/rehearsal';
const WEATHER: OpenAI.Chat.ChatCompletionFunctionTool = {
  type: 'function',
  function: {
    name: 'get_weather',
    strict: true,
    parameters: {
      type: 'object',
      properties: { city: { type: 'string' } },
      required: ['city'],
      additionalProperties: false,
    },
  },
};
const ASK = { role: 'user' as const, content: 'What is the weather in Paris?' };
const KEY = 'sk-of-the-operator';

let upstream: ScriptedUpstream;
let server: TestServer;
let client: OpenAI;

beforeAll(async () => {
  upstream = await startScriptedUpstream({ models: ['scripted-model', 'folder/other-model'] });
  server = await startServer({ env: { OPENAI_BASE_URL: upstream.url, OPENAI_API_KEY: KEY } });
  client = server.client();
});

afterAll(async () => {
  await server?.stop();
  await upstream?.close();
});

describe('chat completions of the rehearsal model', () => {
  test('are streamed chunk by chunk, and say what was used when asked', async () => {
    const stream = await client.chat.completions.create({
      model: MODEL,
      messages: [{ role: 'user', content: 'rehearsal: say One two three' }],
      stream: true,
      stream_options: { include_usage: true },
    });
    const pieces: string[] = [];
    let finish: string | null = null;
    let total = 0;
    for await (const chunk of stream) {
      const [choice] = chunk.choices;
      if (choice?.delta.content) pieces.push(choice.delta.content);
      finish = choice?.finish_reason ?? finish;
      total = chunk.usage?.total_tokens ?? total;
    }
    expect(pieces).toEqual(['One', ' two', ' three']);
    expect(finish).toBe('stop');
    expect(total).toBeGreaterThan(3);
  });

  test('are put together by the stream helper, function calls included', async () => {
    const stream = client.chat.completions.stream({ model: MODEL, messages: [ASK], tools: [WEATHER] });
    const parsed: unknown[] = [];
    stream.on('tool_calls.function.arguments.done', (call) => parsed.push(call.parsed_arguments));
    const completion = await stream.finalChatCompletion();
    expect(parsed).toEqual([{ city: 'Paris' }]);
    expect(completion.choices[0]?.finish_reason).toBe('tool_calls');
    expect(completion.choices[0]?.message.tool_calls).toMatchObject([
      { type: 'function', function: { name: 'get_weather', parsed_arguments: { city: 'Paris' } } },
    ]);
  });

  test('drive runTools to its end', async () => {
    const cities: string[] = [];
    const runner = client.chat.completions.runTools({
      model: MODEL,
      messages: [ASK],
      tools: [
        {
          type: 'function',
          function: {
            name: 'get_weather',
            description: 'The weather in a city.',
            parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
            parse: (text: string): { city: string } => JSON.parse(text),
            function: ({ city }: { city: string }) => {
              cities.push(city);
              return 'sunny';
            },
          },
        },
      ],
    });
    expect(await runner.finalContent()).toContain('get_weather answered: sunny');
    expect(cities).toEqual(['Paris']);
  });

  test('follow a json_schema, so that parse gives an object of that shape', async () => {
    const completion = await client.chat.completions.parse({
      model: MODEL,
      messages: [{ role: 'user', content: 'days: 3, city: Oslo' }],
      response_format: {
        type: 'json_schema',
        json_schema: {
          name: 'trip',
          strict: true,
          schema: {
            type: 'object',
            properties: { city: { type: 'string' }, days: { type: 'integer', minimum: 1 } },
            required: ['city', 'days'],
            additionalProperties: false,
          },
        },
      },
    });
    expect(completion.choices[0]?.message.parsed as unknown).toEqual({ city: 'Oslo', days: 3 });
  });
});

describe('chat completions of an upstream', () => {
  test('go there with the key of the operator and come back as they are, streamed and plain', async () => {
    const model = upstream.script(
      'relayed',
      [callTools([{ name: 'get_weather', arguments: { city: 'Paris' } }])],
      [say('It is sunny.'), usage({ prompt_tokens: 7, completion_tokens: 4 })],
    );
    const first = await client.chat.completions
      .stream({ model, messages: [ASK], tools: [WEATHER] })
      .finalChatCompletion();
    const [call] = first.choices[0]?.message.tool_calls ?? [];
    expect(call).toMatchObject({ id: 'call_get_weather_0', function: { arguments: '{"city":"Paris"}' } });
    const second = await client.chat.completions.create({
      model,
      messages: [
        ASK,
        { role: 'assistant', tool_calls: call === undefined ? [] : [call] },
        { role: 'tool', tool_call_id: call?.id ?? '', content: 'sunny' },
      ],
      tools: [WEATHER],
      seed: 7,
    });
    expect(second.choices[0]?.message.content).toBe('It is sunny.');
    expect(second.usage).toMatchObject({ prompt_tokens: 7, completion_tokens: 4 });
    const requests = upstream.requestsFor(model);
    expect(requests.map(({ headers }) => headers.authorization)).toEqual([`Bearer ${KEY}`, `Bearer ${KEY}`]);
    expect(requests[1]?.body).toMatchObject({ seed: 7, tools: [WEATHER] });
  });

  test('fail as typed errors with the message of the upstream', async () => {
    const model = upstream.script('relayed-failure', [
      fail(400, { message: 'No such temperature.', code: 'bad_temperature', param: 'temperature' }),
    ]);
    const error = await client.chat.completions
      .create({ model, messages: [ASK], temperature: 2 })
      .catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(OpenAI.BadRequestError);
    expect(error).toMatchObject({
      param: 'temperature',
      message: expect.stringContaining('No such temperature.'),
    });
  });

  test('are aborted there when the client aborts', async () => {
    const model = 'paced:1000@50';
    const stream = client.chat.completions.stream({ model, messages: [ASK] });
    stream.on('content', () => stream.abort());
    expect(await stream.done().catch((thrown: unknown) => thrown)).toBeInstanceOf(OpenAI.APIUserAbortError);
    const request = await upstream.waitForRequest((candidate) => candidate.model === model);
    expect(await request.ended).toBe('aborted');
  });
});

describe('embeddings', () => {
  for (const model of [MODEL, 'scripted-embedder']) {
    test(`of ${model} are the same packed, as the client asks without being told, and as numbers`, async () => {
      const input = ['the cat sat', 'on the mat'];
      const packed = await client.embeddings.create({ model, input });
      const plain = await client.embeddings.create({ model, input, encoding_format: 'float' });
      expect(packed.data).toHaveLength(2);
      for (const [at, { embedding }] of packed.data.entries()) {
        // Packed numbers have 32 bits, as the plain ones do that stand for them.
        expect(embedding).toEqual((plain.data[at]?.embedding ?? []).map(Math.fround));
      }
      expect(packed.usage.total_tokens).toBeGreaterThan(0);
    });
  }
});

describe('models', () => {
  test('are those of the upstream and the built-in one, and each can be retrieved by its name', async () => {
    const names: string[] = [];
    for await (const { id } of client.models.list()) names.push(id);
    expect(names.toSorted()).toEqual(['folder/other-model', 'scripted-model', MODEL]);
    for (const name of names)
      expect(await client.models.retrieve(name)).toMatchObject({ id: name, object: 'model' });
  });

  test('that are not there are a NotFoundError', async () => {
    const error = await client.models.retrieve('missing-model').catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(OpenAI.NotFoundError);
    expect(error).toMatchObject({ code: 'model_not_found', param: 'model' });
  });
});
