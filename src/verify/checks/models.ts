/** Models, chat completions and embeddings: what a server of language models has without any assistants. */

import type OpenAI from 'openai';
import { CreateChatCompletionStreamResponse } from '../../schemas/generated/chat-completions.ts';
import type { Check } from '../check.ts';
import { DONE, type EventRules, readField } from '../event-rules.ts';
import { toJson, type WireEvent } from '../exchanges.ts';
import { CheckSkipped, expect } from '../outcome.ts';
import { WEATHER_FUNCTION } from './prompts.ts';

const QUESTION: OpenAI.ChatCompletionMessageParam[] = [
  { role: 'user', content: 'Say hello in a few words.' },
];

const CONTENT = 'a chunk with text';
const FINISH = 'a chunk with finish_reason';
const USAGE = 'a chunk with usage';
const EMPTY = 'a chunk without any of these';

const CHUNK_RULES: EventRules = Object.freeze({
  rules: [
    { name: CONTENT, isRepeated: true, schema: CreateChatCompletionStreamResponse },
    { name: FINISH, schema: CreateChatCompletionStreamResponse },
    { name: USAGE, schema: CreateChatCompletionStreamResponse },
    { name: DONE, schema: null },
  ],
  mayCome: [EMPTY],
  toName: toChunkName,
});

function toChunkName({ name, data }: WireEvent): string {
  if (name !== null) return name;
  if (data === '[DONE]') return DONE;
  const chunk = toJson(data);
  const choices = readField(chunk, 'choices');
  const first: unknown = Array.isArray(choices) ? choices[0] : undefined;
  if (first === undefined) return readField(chunk, 'usage') ? USAGE : EMPTY;
  if (typeof readField(first, 'finish_reason') === 'string') return FINISH;
  return readField(readField(first, 'delta'), 'content') ? CONTENT : EMPTY;
}

export const MODEL_CHECKS: readonly Check[] = Object.freeze([
  {
    group: 'models',
    operation: 'listModels',
    async run({ client }) {
      const page = await client.models.list();
      expect(page.data.length > 0, 'the list is empty');
    },
  },
  {
    group: 'models',
    operation: 'retrieveModel',
    async run({ client, target }) {
      const model = await client.models.retrieve(target.model);
      expect(model.id === target.model, `its id is ${model.id}`);
    },
  },
  {
    group: 'chat completions',
    operation: 'createChatCompletion',
    async run({ client, target: { model } }) {
      const { choices, usage } = await client.chat.completions.create({ model, messages: QUESTION });
      expect((choices[0]?.message.content ?? '') !== '', 'there is no text');
      expect((usage?.total_tokens ?? 0) > 0, 'there is no usage');
    },
  },
  {
    group: 'chat completions',
    operation: 'createChatCompletion',
    note: 'streamed',
    events: CHUNK_RULES,
    async run({ client, target: { model } }) {
      const stream = await client.chat.completions.create({
        model,
        messages: QUESTION,
        stream: true,
        stream_options: { include_usage: true },
      });
      for await (const _chunk of stream);
    },
  },
  {
    group: 'chat completions',
    operation: 'createChatCompletion',
    note: 'with a function',
    async run({ client, target: { model } }) {
      const { choices } = await client.chat.completions.create({
        model,
        messages: [{ role: 'user', content: 'What is the weather in Oslo?' }],
        tools: [WEATHER_FUNCTION],
        tool_choice: { type: 'function', function: { name: WEATHER_FUNCTION.function.name } },
      });
      const [call] = choices[0]?.message.tool_calls ?? [];
      expect(call?.type === 'function', 'no function is called');
      expect(typeof toJson(call.function.arguments) === 'object', 'the arguments are no JSON');
    },
  },
  {
    group: 'embeddings',
    operation: 'createEmbedding',
    async run({ client, target: { embeddingModel } }) {
      if (embeddingModel === null) throw new CheckSkipped('no --embedding-model is named');
      const { data } = await client.embeddings.create({
        model: embeddingModel,
        input: ['one', 'two'],
        // The client asks for base64 otherwise, and hides it.
        encoding_format: 'float',
      });
      expect(data.length === 2, `${data.length} vectors came for 2 texts`);
      expect((data[0]?.embedding.length ?? 0) > 0, 'the vector is empty');
    },
  },
] satisfies Check[]);
