/** Models that cannot call tools: the search is made for them, and cited as any other. */

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { ProviderError, type ProviderErrorKind, type ResolvedModel } from '../../src/providers/provider.ts';
import { toStep } from '../../src/runs/step-views.ts';
import { createToollessModels, REFUSAL_MS, refusesTools } from '../../src/runs/toolless-models.ts';
import { createFileSearchTool } from '../../src/runs/tools/file-search.ts';
import * as steps from '../support/upstream-steps.ts';
import {
  type ChatBody,
  type EngineFixture,
  type FinishedRun,
  type Question,
  startEngineFixture,
} from './engine-fixture.ts';
import { findSchemaFaults, toShape } from './event-reader.ts';
import { createMemorySearch } from './memory-search.ts';

const WITH_CONTENT = { content: true, chunks: false };
const OSLO = { fileId: 'file-oslo', fileName: 'oslo.pdf', text: 'In Oslo it is warm: 21 degrees in July.' };
const OLLAMA = steps.fail(400, { message: 'registry.ollama.ai/library/llama2:13b does not support tools' });
const QUESTION = 'How many degrees are there in Oslo in the month of July?';

let fixture: EngineFixture;
const memory = createMemorySearch();

beforeAll(async () => {
  memory.stores.set('vs_own', [OSLO]);
  fixture = await startEngineFixture({
    toTools: (ports) => [createFileSearchTool({ ...ports, search: memory })],
  });
});

afterAll(() => fixture.stop());

function ask(model: string, question: Question = {}): Promise<FinishedRun> {
  return fixture.ask(model, { words: [QUESTION], storeIds: ['vs_own'], ...question });
}

/** A server that refuses the first request, and would answer all others. */
function scriptRefusing(name: string, ...answer: readonly steps.Step[]): string {
  return fixture.upstream.script(name, [toOnce(OLLAMA), ...answer]);
}

function toOnce(step: steps.Step): steps.Step {
  return step.kind === 'status' ? { ...step, times: 1 } : step;
}

function toLastContent(body: ChatBody | undefined): string {
  return JSON.stringify(body?.messages.at(-1)?.content);
}

test("the user's words are searched, the model is shown what was found with them, and its answer cites", async () => {
  const model = scriptRefusing('tl-plain', steps.say('It is 21【4:0†oslo.pdf】.'));
  const { run, events, answers } = await ask(model, { run: { instructions: 'Be brief.' } });
  expect(run.status).toBe('completed');
  expect(memory.calls.at(-1)?.request.queries).toEqual([QUESTION]);
  const bodies = fixture.toBodies(model);
  expect(bodies.map(({ tools }) => tools?.length ?? 0)).toEqual([1, 0]);
  expect(bodies[1]).not.toHaveProperty('tool_choice');
  expect(bodies[1]?.messages.map(({ role }) => role)).toEqual(['system', 'user']);
  expect(bodies[1]?.messages[0]?.content).toBe('Be brief.');
  const content = String(bodies[1]?.messages[1]?.content);
  expect(content).toContain(`【4:0†oslo.pdf】\n${OSLO.text}`);
  expect(content).toEndWith(QUESTION);
  expect(answers[0]?.content).toMatchObject([
    {
      text: {
        value: 'It is 21【4:0†oslo.pdf】.',
        annotations: [{ start_index: 8, end_index: 22, file_citation: { file_id: 'file-oslo' } }],
      },
    },
  ]);
  expect(findSchemaFaults(events)).toEqual([]);
  expect(toShape(events)).toEqual([
    'thread.run.in_progress',
    'thread.run.step.created',
    'thread.run.step.in_progress',
    'thread.run.step.delta*',
    'thread.run.step.completed',
    'thread.run.step.created',
    'thread.run.step.in_progress',
    'thread.message.created',
    'thread.message.in_progress',
    'thread.message.delta*',
    'thread.message.completed',
    'thread.run.step.completed',
    'thread.run.completed',
  ]);
  const [step] = await fixture.readSteps(run);
  if (step === undefined) throw new Error('the search has no step');
  expect(toStep(step, WITH_CONTENT).step_details).toMatchObject({
    type: 'tool_calls',
    tool_calls: [{ type: 'file_search', file_search: { results: [{ file_id: 'file-oslo' }] } }],
  });
});

test('a refusal is remembered: the next run does not ask in vain', async () => {
  const model = scriptRefusing('tl-remembered', steps.say('Ok'));
  await ask(model);
  await ask(model);
  expect(fixture.toBodies(model).map(({ tools }) => tools?.length ?? 0)).toEqual([1, 0, 0]);
  expect(toLastContent(fixture.toBodies(model)[2])).toContain('【4:0†oslo.pdf】');
});

test('a short question is searched together with the one before it', async () => {
  const model = scriptRefusing('tl-short', steps.say('Ok'));
  await ask(model, { words: ['How warm is Oslo?', 'And in July?'] });
  expect(memory.calls.at(-1)?.request.queries).toEqual(['How warm is Oslo? And in July?', 'And in July?']);
});

test("where nothing is found, the model gets the user's words as they are", async () => {
  const model = scriptRefusing('tl-nothing', steps.say('Ok'));
  const { run } = await ask(model, { words: ['zzz'] });
  expect(run.status).toBe('completed');
  expect(fixture.toBodies(model)[1]?.messages.at(-1)?.content).toBe('zzz');
});

test('pictures stay beside what was found', async () => {
  const model = scriptRefusing('tl-picture', steps.say('Ok'));
  await ask(model, {
    words: [
      [
        { type: 'text', text: { value: 'Oslo?', annotations: [] } },
        { type: 'image_url', image_url: { url: 'https://pictures.example/oslo.png', detail: 'low' } },
      ],
    ],
  });
  const [found, words, picture] = (fixture.toBodies(model)[1]?.messages.at(-1)?.content ?? []) as object[];
  expect(found).toMatchObject({ type: 'text', text: expect.stringContaining('【4:0†oslo.pdf】') });
  expect(words).toEqual({ type: 'text', text: 'Oslo?' });
  expect(picture).toMatchObject({ type: 'image_url' });
});

test('tool_choice none: nothing is searched, and nobody is asked twice about it', async () => {
  const model = scriptRefusing('tl-none', steps.say('Ok'));
  const before = memory.calls.length;
  const { run } = await ask(model, { run: { tool_choice: 'none' } });
  expect(run.status).toBe('completed');
  expect(memory.calls).toHaveLength(before);
  expect(fixture.toBodies(model)).toHaveLength(2);
});

test("with functions of the client's the run fails with what the model's server says", async () => {
  const model = fixture.upstream.script('tl-functions', [OLLAMA]);
  const { run } = await ask(model, {
    run: { tools: [{ type: 'file_search' }, { type: 'function', function: { name: 'get_weather' } }] },
  });
  expect(run).toMatchObject({
    status: 'failed',
    last_error: { message: 'registry.ollama.ai/library/llama2:13b does not support tools' },
  });
  expect(fixture.toBodies(model)).toHaveLength(1);
});

test('a server that refuses the request without tools as well fails the run', async () => {
  const model = fixture.upstream.script('tl-always', [OLLAMA]);
  const { run } = await ask(model);
  expect(run.status).toBe('failed');
  expect(fixture.toBodies(model)).toHaveLength(2);
});

describe('a refusal of tools', () => {
  const toError = (message: string, status: number | null, kind: ProviderErrorKind) =>
    new ProviderError(kind, message, { status });
  const REFUSALS: readonly (readonly [
    who: string,
    status: number,
    kind: ProviderErrorKind,
    message: string,
  ])[] = [
    ['Ollama', 400, 'invalid_request', 'registry.ollama.ai/library/gemma3:4b does not support tools'],
    [
      'vLLM',
      400,
      'invalid_request',
      '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set',
    ],
    ['llama.cpp', 500, 'server', 'tools param requires --jinja flag'],
    ['llama.cpp of before', 500, 'server', 'Unsupported param: tools'],
    ['OpenRouter', 404, 'invalid_request', 'No endpoints found that support tool use.'],
    ['OpenAI', 400, 'invalid_request', "Unsupported parameter: 'tools' is not supported with this model."],
    ['Groq', 400, 'invalid_request', '`tool calling` is not supported with this model'],
    ['DeepSeek', 400, 'invalid_request', 'deepseek-reasoner does not support Function Calling'],
    ['Mistral', 400, 'invalid_request', 'Function calling is not enabled for this model'],
  ];
  for (const [who, status, kind, message] of REFUSALS) {
    test(`is known as ${who} words it`, () => {
      expect(refusesTools(toError(message, status, kind))).toBe(true);
    });
  }

  test('is not seen in other errors', () => {
    const others = [
      toError('The model does not exist', 404, 'model_not_found'),
      toError('Rate limit reached for tools: not allowed', 429, 'rate_limit'),
      toError('This model does not support image input', 400, 'invalid_request'),
      toError('Invalid value for tool_choice', 400, 'invalid_request'),
      toError('does not support tools', null, 'connection'),
      new Error('does not support tools'),
    ];
    expect(others.filter(refusesTools)).toEqual([]);
  });

  test('is forgotten after an hour, and the oldest when there are too many', () => {
    let nowMs = 0;
    const models = createToollessModels({ nowMs: () => nowMs });
    const toModel = (model: string, baseUrl: string | null = null): ResolvedModel => ({
      provider: { id: 'openai' } as ResolvedModel['provider'],
      model,
      credentials: { apiKey: null, baseUrl, fromRequest: false },
    });
    models.add(toModel('a'));
    expect([
      models.has(toModel('a')),
      models.has(toModel('a', 'http://other/v1')),
      models.has(toModel('b')),
    ]).toEqual([true, false, false]);
    nowMs = REFUSAL_MS;
    expect(models.has(toModel('a'))).toBe(false);
    for (let count = 0; count < 300; count += 1) models.add(toModel(`m${count}`));
    expect([models.has(toModel('m0')), models.has(toModel('m299'))]).toEqual([false, true]);
  });
});
