/** The tool that searches files: what it searches, what the model is shown, what the client sees, and what is cited. */

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { AssistantStream } from 'openai/lib/AssistantStream';
import { ApiError } from '../../src/errors.ts';
import type { RunRecord, StepRecord } from '../../src/runs/run-records.ts';
import { toStep } from '../../src/runs/step-views.ts';
import { estimateTokens } from '../../src/runs/token-estimate.ts';
import { createFileSearchTool } from '../../src/runs/tools/file-search.ts';
import { WAIT_MS_MAX } from '../../src/runs/tools/searched-stores.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';
import { waitUntil } from '../support/server.ts';
import * as steps from '../support/upstream-steps.ts';
import {
  CALLER,
  type ChatBody,
  type EngineFixture,
  type FinishedRun,
  type Question,
  startEngineFixture,
} from './engine-fixture.ts';
import { findSchemaFaults, toNames } from './event-reader.ts';
import { createMemorySearch, type MemorySearch } from './memory-search.ts';

let fixture: EngineFixture;
const memory = createMemorySearch();

const WITH_CONTENT = { content: true, chunks: false };
const OSLO = {
  fileId: 'file-oslo',
  fileName: 'oslo.pdf',
  text: 'In Oslo it is warm: 21 degrees in July.',
  page: 3,
};
const ROME = { fileId: 'file-rome', fileName: 'rome.md', text: 'In Rome it is warm: 31 degrees in July.' };
const BERGEN = { fileId: 'file-bergen', fileName: 'bergen.txt', text: 'In Bergen it rains in July.' };
const LISBON = { fileId: 'file-lisbon', fileName: 'lisbon.txt', text: 'Lisbon has warm nights.' };
const QUERY = { queries: ['warm Oslo'] };

function startWith(search: MemorySearch): Promise<EngineFixture> {
  return startEngineFixture({ toTools: (ports) => [createFileSearchTool({ ...ports, search })] });
}

beforeAll(async () => {
  fixture = await startWith(memory);
  memory.stores.set('vs_own', [OSLO, ROME]);
  memory.stores.set('vs_thread', [LISBON]);
});

afterAll(() => fixture.stop());

/** A run whose assistant has the store `vs_own`. */
function ask(model: string, question: Question = {}): Promise<FinishedRun> {
  return fixture.ask(model, { storeIds: ['vs_own'], ...question });
}

/** Notes how many files of a vector store are being read. */
async function addReading(id: string, inProgress: number): Promise<void> {
  await fixture.store.insert('vector_stores', CALLER.scope, {
    id,
    expires_at: null,
    ...toCounts(inProgress),
  });
}

function toCounts(inProgress: number) {
  const counts = { in_progress: inProgress, completed: 1, failed: 0, cancelled: 0, total: inProgress + 1 };
  return { file_counts: counts };
}

const search = (...queries: readonly string[]) => steps.callTool('file_search', { queries });

type Message = ChatBody['messages'][number];

function toMessages(model: string, request: number): readonly Message[] {
  return fixture.toBodies(model)[request]?.messages ?? [];
}

/** The answers of tools that the model was given with this request. */
function toOutputs(model: string, request: number): string[] {
  return toMessages(model, request).flatMap(({ role, content }) =>
    role === 'tool' ? [String(content)] : [],
  );
}

function toFunctions(model: string, request = 0) {
  const { tools = [] } = fixture.toBodies(model)[request] ?? {};
  return tools.flatMap((tool) => (tool.type === 'function' ? [tool.function] : []));
}

/** The stored text of the last message. */
function toText({ answers }: Pick<FinishedRun, 'answers'>) {
  const [part] = answers.at(-1)?.content ?? [];
  if (part?.type !== 'text') throw new Error('no text was stored');
  return part.text;
}

async function toSearchRecords(finished: FinishedRun) {
  const stored = await fixture.readSteps(finished.run);
  return stored.flatMap((step) => {
    const details = toStep(step, WITH_CONTENT).step_details;
    return details.type === 'tool_calls'
      ? details.tool_calls.flatMap((call) => (call.type === 'file_search' ? [call.file_search] : []))
      : [];
  });
}

describe('the model', () => {
  test('is offered a function that takes several queries, and is told how to cite', async () => {
    const model = fixture.upstream.script('fs-offer', [steps.say('Hi')]);
    await ask(model);
    const [offered, ...others] = toFunctions(model);
    expect(others).toEqual([]);
    expect(offered).toMatchObject({
      name: 'file_search',
      parameters: {
        properties: { queries: { type: 'array', items: { type: 'string' } } },
        required: ['queries'],
      },
    });
    expect(offered?.description).toContain('【4:0†report.pdf】');
  });

  test('is shown each passage under its marker, with its page, best first', async () => {
    const model = fixture.upstream.script('fs-shown', [search('warm Oslo')], [steps.say('Ok')]);
    await ask(model);
    const [output = ''] = toOutputs(model, 1);
    expect(output).toStartWith(
      `【4:0†oslo.pdf】 (page 3)\n${OSLO.text}\n\n【4:1†rome.md】\n${ROME.text}\n\n`,
    );
  });

  test('may ask several queries at once; all stores of the run are searched once for all of them', async () => {
    const model = fixture.upstream.script('fs-queries', [search('Oslo', 'Lisbon')], [steps.say('Ok')]);
    const before = memory.calls.length;
    await ask(model, { threadStoreIds: ['vs_thread'], headers: { 'x-key': 'of the request' } });
    const calls = memory.calls.slice(before);
    expect(calls).toHaveLength(1);
    expect(calls[0]).toMatchObject({
      caller: { scope: CALLER.scope, headers: { 'x-key': 'of the request' } },
      request: {
        queries: ['Oslo', 'Lisbon'],
        resultsMax: 20,
        scoreThreshold: 0,
        weights: null,
        filter: null,
      },
    });
    expect([...(calls[0]?.storeIds ?? [])].sort()).toEqual(['vs_own', 'vs_thread']);
    const [output = ''] = toOutputs(model, 1);
    for (const { text } of [OSLO, LISBON]) expect(output).toContain(text);
  });

  test('has other markers for each search, side by side and in later turns, and may cite all of them', async () => {
    const calls = steps.callTools([
      { name: 'file_search', arguments: { queries: ['Oslo'] } },
      { name: 'file_search', arguments: { queries: ['Rome'] } },
    ]);
    const text = '【4:0†a】【5:0†b】【6:0†c】【7:0†d】';
    const model = fixture.upstream.script('fs-markers', [calls], [search('warm Rome')], [steps.say(text)]);
    const finished = await ask(model);
    const outputs = toOutputs(model, 2);
    const markers = outputs.flatMap((output) => output.match(/【[^】]*】/g) ?? []);
    // The last marker of each output is the example in the request to cite.
    const shown = [
      ['4:0†oslo.pdf', '4:0†oslo.pdf'],
      ['5:0†rome.md', '5:0†rome.md'],
      ['6:0†rome.md', '6:1†oslo.pdf', '6:0†rome.md'],
    ];
    expect(markers).toEqual(shown.flat().map((marker) => `【${marker}】`));
    expect(toText(finished).annotations).toMatchObject([
      { text: '【4:0†oslo.pdf】', file_citation: { file_id: 'file-oslo' } },
      { text: '【5:0†rome.md】', file_citation: { file_id: 'file-rome' } },
      { text: '【6:0†rome.md】', file_citation: { file_id: 'file-rome' } },
    ]);
  });

  const FAULTY: readonly (readonly [what: string, given: unknown, queries: readonly string[]])[] = [
    ['a text instead of a list', { queries: 'warm Oslo' }, ['warm Oslo']],
    ['one query by another name', { query: 'warm Oslo' }, ['warm Oslo']],
    ['the bare list', ['warm Oslo', 'Rome'], ['warm Oslo', 'Rome']],
    ['queries as objects', { queries: [{ query: 'warm Oslo' }] }, ['warm Oslo']],
    ['JSON within JSON', JSON.stringify(JSON.stringify(QUERY)), ['warm Oslo']],
    ['empty queries among others', { queries: ['', ' warm Oslo ', 'warm Oslo'] }, ['warm Oslo']],
  ];
  for (const [what, given, queries] of FAULTY) {
    test(`is understood when it writes ${what}`, async () => {
      const model = fixture.upstream.script(
        `fs ${what}`,
        [steps.callTool('file_search', given)],
        [steps.say('Ok')],
      );
      const { run } = await ask(model);
      expect(run.status).toBe('completed');
      expect(memory.calls.at(-1)?.request.queries).toEqual(queries);
      expect(toOutputs(model, 1)[0]).toContain(OSLO.text);
    });
  }

  for (const given of [
    '{"queries": ["wa',
    'warm Oslo',
    '{}',
    '{"queries": []}',
    '{"queries": [1]}',
    '[]',
    'null',
  ]) {
    test(`is told what is wrong with ${given}, and the run goes on`, async () => {
      const model = fixture.upstream.script(
        `fs ${given}`,
        [steps.callTool('file_search', given)],
        [steps.say('Ok')],
      );
      const before = memory.calls.length;
      const { run } = await ask(model);
      expect(run.status).toBe('completed');
      expect(memory.calls).toHaveLength(before);
      expect(toOutputs(model, 1)[0]).toContain('Call again with {"queries": ["…"]}');
    });
  }

  test('is told that nothing was found', async () => {
    const model = fixture.upstream.script('fs-nothing', [search('zzz')], [steps.say('Ok')]);
    const finished = await ask(model);
    expect(toOutputs(model, 1)).toEqual(['Nothing was found in the files.']);
    expect(await toSearchRecords(finished)).toMatchObject([{ results: [] }]);
  });

  test('is told where there is nothing to search', async () => {
    const model = fixture.upstream.script('fs-no-stores', [search('Oslo')], [steps.say('Ok')]);
    const { run } = await ask(model, { storeIds: [] });
    expect(run.status).toBe('completed');
    expect(toOutputs(model, 1)[0]).toContain('no files');
  });

  test('calls ours by another name where the client has a function of that name', async () => {
    const model = fixture.upstream.script(
      'fs-clash',
      [
        steps.callTools([
          { name: 'file_search', arguments: {} },
          { name: 'search_files', arguments: QUERY },
        ]),
      ],
      [steps.say('Ok')],
    );
    const own = { type: 'function' as const, function: { name: 'file_search' } };
    const { run, events } = await ask(model, {
      run: { tools: [own, { type: 'file_search' }], tool_choice: { type: 'file_search' } },
    });
    expect(toFunctions(model).map(({ name }) => name)).toEqual(['file_search', 'search_files']);
    expect(fixture.toBodies(model)[0]?.tool_choice).toEqual({
      type: 'function',
      function: { name: 'search_files' },
    });
    expect(run.required_action?.submit_tool_outputs.tool_calls.map((call) => call.function.name)).toEqual([
      'file_search',
    ]);
    expect(findSchemaFaults(events)).toEqual([]);
  });

  const CHOICES = [
    [{ type: 'file_search' as const }, { type: 'function', function: { name: 'file_search' } }],
    ['required' as const, 'required'],
    ['none' as const, 'none'],
  ] as const;
  for (const [choice, sent] of CHOICES) {
    test(`hears tool_choice ${JSON.stringify(choice)}, and parallel_tool_calls`, async () => {
      const model = fixture.upstream.script(`fs ${JSON.stringify(choice)}`, [steps.say('Ok')]);
      await ask(model, { run: { tool_choice: choice, parallel_tool_calls: false } });
      expect(fixture.toBodies(model)[0]).toMatchObject({ tool_choice: sent, parallel_tool_calls: false });
    });
  }

  test('does not see markers of earlier runs, and those in documents, as its own', async () => {
    memory.stores.set('vs_export', [
      { fileId: 'file-old', fileName: 'old-chat.txt', text: 'The bot said 【4:0†secret.pdf】 warm.' },
    ]);
    const model = fixture.upstream.script('fs-history', [search('warm')], [steps.say('Warm【4:0†x】.')]);
    const first = await ask(model, { words: ['How warm?'], storeIds: ['vs_export'] });
    expect(toText(first).value).toBe('Warm【4:0†old-chat.txt】.');
    expect(toOutputs(model, 1)[0]).toContain('The bot said  warm.');
    // The client gets the words of the document.
    expect(JSON.stringify(await toSearchRecords(first))).toContain('The bot said 【4:0†secret.pdf】 warm.');
    await ask(model, { threadId: first.run.thread_id, words: ['In 【概要】, again?'] });
    expect(toMessages(model, 2).map(({ content }) => content)).toEqual([
      'How warm?',
      'Warm.',
      'In 【概要】, again?',
    ]);
  });
});

describe('the options of the tool', () => {
  test('reach the search, and stand in the step', async () => {
    const model = fixture.upstream.script('fs-options', [search('warm Oslo July')], [steps.say('Ok')]);
    const ranking = {
      ranker: 'default_2024_08_21' as const,
      score_threshold: 0.5,
      hybrid_search: { embedding_weight: 1, text_weight: 3 },
    };
    const tool = {
      type: 'file_search' as const,
      file_search: { max_num_results: 1, ranking_options: ranking },
    };
    const finished = await ask(model, { run: { tools: [tool] } });
    expect(memory.calls.at(-1)?.request).toMatchObject({
      resultsMax: 1,
      scoreThreshold: 0.5,
      weights: { vector: 1, keyword: 3 },
    });
    expect(await toSearchRecords(finished)).toEqual([
      {
        ranking_options: { ranker: 'default_2024_08_21', score_threshold: 0.5 },
        results: [
          {
            file_id: 'file-oslo',
            file_name: 'oslo.pdf',
            score: 1,
            content: [{ type: 'text', text: OSLO.text }],
          },
        ],
      },
    ]);
  });

  test('are 20 results, and 5 for gpt-3.5, where they are not given', async () => {
    const model = fixture.upstream.script('fs-gpt-3.5-turbo', [search('warm')], [steps.say('Ok')]);
    await ask(model);
    expect(memory.calls.at(-1)?.request.resultsMax).toBe(5);
  });
});

describe('stores that cannot be searched', () => {
  test('one that is gone: the others are searched, and the model is told', async () => {
    const model = fixture.upstream.script('fs-one-gone', [search('warm')], [steps.say('Ok')]);
    const { run } = await ask(model, { storeIds: ['vs_own', 'vs_gone'] });
    expect(run.status).toBe('completed');
    const [output = ''] = toOutputs(model, 1);
    expect(output).toContain(OSLO.text);
    expect(output).toContain(
      "A part of the files could not be searched: No vector store found with id 'vs_gone'.",
    );
  });

  test('all of them gone: the model is told, and the run goes on', async () => {
    const model = fixture.upstream.script('fs-all-gone', [search('warm')], [steps.say('Ok')]);
    const { run } = await ask(model, { storeIds: ['vs_gone'] });
    expect(run.status).toBe('completed');
    expect(toOutputs(model, 1)[0]).toContain('The files could not be searched');
  });

  test('an expired one is as one that is gone', async () => {
    const model = fixture.upstream.script('fs-expired', [search('warm')], [steps.say('Ok')]);
    memory.before = async ({ storeIds }) => {
      if (storeIds.includes('vs_expired'))
        throw ApiError.invalidRequest('Vector store vs_expired has expired.');
    };
    const { run } = await ask(model, { storeIds: ['vs_expired', 'vs_own'] });
    memory.before = async () => undefined;
    expect(run.status).toBe('completed');
    expect(toOutputs(model, 1)[0]).toContain('vs_expired has expired');
    expect(toOutputs(model, 1)[0]).toContain(OSLO.text);
  });

  test('a search that breaks fails the run, without telling why', async () => {
    const model = fixture.upstream.script('fs-breaks', [search('warm')], [steps.say('Ok')]);
    memory.before = async () => {
      throw new Error('the disk of the index is gone');
    };
    const { run, events } = await ask(model);
    memory.before = async () => undefined;
    expect(run).toMatchObject({ status: 'failed', last_error: { code: 'server_error' } });
    expect(JSON.stringify(events)).not.toContain('the disk');
    // What the model asked stays the server's affair.
    const [step] = await fixture.readSteps(run);
    expect(step).toMatchObject({
      status: 'failed',
      step_details: { tool_calls: [{ type: 'file_search', file_search: {} }] },
    });
  });
});

describe('the room that the prompt has', () => {
  /** 30 passages of about 500 tokens each. */
  const LONG = Array.from({ length: 30 }, (_, index) => ({
    fileId: `file-long-${index}`,
    fileName: `long-${index}.txt`,
    text: `Chapter ${index} is about warm days. ${'It goes on and on. '.repeat(105)}`,
  }));
  const MANY = { type: 'file_search' as const, file_search: { max_num_results: 50 } };

  beforeAll(() => {
    memory.stores.set('vs_long', LONG);
  });

  const count = (output: string): number => (output.match(/^【/gm) ?? []).length;

  test('is 16,000 tokens a search, and 4,000 for gpt-3.5: results are left out from the end', async () => {
    const big = fixture.upstream.script('fs-big', [search('warm')], [steps.say('Ok')]);
    const small = fixture.upstream.script('fs-small-gpt-3.5-turbo', [search('warm')], [steps.say('Ok')]);
    const finished = await ask(big, { storeIds: ['vs_long'], run: { tools: [MANY] } });
    await ask(small, { storeIds: ['vs_long'], run: { tools: [MANY] } });
    const [[output = ''], [shorter = '']] = [toOutputs(big, 1), toOutputs(small, 1)];
    expect(estimateTokens(output)).toBeLessThanOrEqual(16_100);
    expect(estimateTokens(output)).toBeGreaterThan(14_000);
    expect(estimateTokens(shorter)).toBeLessThanOrEqual(4_100);
    expect(count(shorter)).toBeGreaterThan(4);
    // The step shows what the model was shown.
    const [record] = await toSearchRecords(finished);
    expect(record?.results).toHaveLength(count(output));
  });

  test('is what max_prompt_tokens leaves: the thread and the instructions stay whole', async () => {
    const model = fixture.upstream.script(
      'fs-tight',
      [search('warm'), steps.usage(USAGE)],
      [steps.say('Ok')],
    );
    const words = ['First words. '.repeat(40), 'Second words. '.repeat(40), 'How warm?'];
    const instructions = `Be kind. ${'Really. '.repeat(50)}`;
    const { run } = await ask(model, {
      words,
      storeIds: ['vs_long'],
      run: { instructions, tools: [MANY], max_prompt_tokens: 3_000 },
    });
    expect(run.status).toBe('completed');
    const sent = toMessages(model, 1).map(({ content }) => content);
    expect(sent.slice(1, 4)).toEqual(words);
    const [output = ''] = toOutputs(model, 1);
    expect(count(output)).toBeGreaterThan(2);
    // What the first turn has used counts too.
    expect(estimateTokens(JSON.stringify(toMessages(model, 1)))).toBeLessThan(2_600 * 1.02);
  });
  const USAGE = { prompt_tokens: 400, completion_tokens: 20 };

  test('may be none at all: the model is told that what was found is too long', async () => {
    const model = fixture.upstream.script('fs-none', [search('warm'), steps.usage(USAGE)], [steps.say('Ok')]);
    const finished = await ask(model, {
      storeIds: ['vs_long'],
      run: { max_prompt_tokens: 700 },
    });
    expect(finished.run.status).toBe('completed');
    expect(toOutputs(model, 1)[0]).toContain('too long');
    expect(await toSearchRecords(finished)).toMatchObject([{ results: [] }]);
  });

  test('is less where the model says so: what was found is shortened before the thread is', async () => {
    const refuse = steps.fail(400, {
      message: 'This model has a maximum context length of 8000 tokens.',
      code: 'context_length_exceeded',
      times: 3,
    });
    const model = fixture.upstream.script(
      'fs-overflow',
      [search('warm')],
      [refuse, steps.say('So【4:0†x】.')],
    );
    const words = ['First words.', 'How warm?'];
    const finished = await ask(model, { words, storeIds: ['vs_long'], run: { tools: [MANY] } });
    expect(finished.run.status).toBe('completed');
    const shown = [1, 2, 3, 4].map((request) => count(toOutputs(model, request)[0] ?? ''));
    expect(shown[0]).toBeGreaterThan(20);
    for (const at of [1, 2, 3]) expect(shown[at]).toBeLessThanOrEqual((shown[at - 1] ?? 0) / 2);
    expect(shown[3]).toBeGreaterThan(0);
    expect(
      toMessages(model, 4)
        .slice(0, 2)
        .map(({ content }) => content),
    ).toEqual(words);
    expect(toText(finished).annotations).toHaveLength(1);
  });
});

describe('the client', () => {
  const CITED = 'In Oslo it is warm【4:0†oslo.pdf】, in Rome too【4:1†rome.md】.';

  test("sees the step of the search in OpenAI's order, the texts only where it asks for them", async () => {
    const model = fixture.upstream.script('fs-step', [search('warm Oslo')], [steps.say('Ok')]);
    const plain = await ask(model);
    const full = await ask(model, { view: { content: true, chunks: false } });
    for (const { events } of [plain, full]) {
      expect(findSchemaFaults(events)).toEqual([]);
      expect(toNames(events).slice(0, 6)).toEqual([
        'thread.run.in_progress',
        'thread.run.step.created',
        'thread.run.step.in_progress',
        'thread.run.step.delta',
        'thread.run.step.delta',
        'thread.run.step.completed',
      ]);
    }
    expect(JSON.stringify(plain.events)).not.toContain('degrees');
    const { data } = full.events[5] ?? {};
    const [call] = data.step_details.tool_calls;
    expect(call.file_search.results[0]).toEqual({
      file_id: 'file-oslo',
      file_name: 'oslo.pdf',
      score: 1,
      content: [{ type: 'text', text: OSLO.text }],
    });
    const stored = await fixture.readSteps(full.run);
    expect(toStep(stored[0] as StepRecord, WITH_CONTENT)).toEqual(data);
  });

  /** The deltas of a message, added up as the official clients do. */
  function addUp({ events }: FinishedRun) {
    let value = '';
    const annotations: object[] = [];
    for (const { event, data } of events) {
      if (event !== 'thread.message.delta') continue;
      const [{ text }] = data.delta.content;
      for (const { index, ...annotation } of text.annotations ?? []) {
        annotations[index] = annotation;
        // The marker comes whole, and alone.
        expect(text.value).toBe(annotation.text);
      }
      value += text.value;
    }
    return { value, annotations };
  }

  test('gets the same text and annotations in stream and store, with exact places', async () => {
    const model = fixture.upstream.script('fs-cited', [search('warm Oslo')], [steps.say(...CITED.split(''))]);
    const finished = await ask(model);
    const stored = toText(finished);
    expect(stored.value).toBe(CITED);
    expect(
      stored.annotations.map(({ text, start_index: start, end_index: end }) => [text, start, end]),
    ).toEqual([
      ['【4:0†oslo.pdf】', 18, 32],
      ['【4:1†rome.md】', 45, 58],
    ]);
    expect(addUp(finished)).toEqual(stored);
    expect(findSchemaFaults(finished.events)).toEqual([]);
    const [completed] = finished.events.filter(({ event }) => event === 'thread.message.completed');
    expect(completed?.data.content[0].text).toEqual(stored);
  });

  test('who uses the official stream helper ends up with the message and the steps that are stored', async () => {
    const said = [...CITED, ' And【4:9†x】 【4:0, 4:1】.'];
    const model = fixture.upstream.script('fs-helper', [search('warm Oslo')], [steps.say(...said)]);
    const { run, events, answers } = await ask(model, { view: { content: true, chunks: false } });
    const lines = events.map((event) => `${JSON.stringify(event)}\n`).join('');
    const stream = AssistantStream.fromReadableStream(new Blob([lines]).stream());
    const snapshots: object[] = [];
    const calls: object[] = [];
    stream
      .on('textDelta', (_, snapshot) => snapshots.push(structuredClone(snapshot)))
      .on('toolCallDone', (call) => calls.push(structuredClone(call)));
    expect((await stream.finalMessages()) as object[]).toEqual([...answers]);
    // What the helper has added up by itself, before it is told the whole message.
    const stored = toText({ answers });
    expect(stored.annotations).toHaveLength(4);
    expect(snapshots.at(-1)).toEqual({
      value: stored.value,
      annotations: stored.annotations.map((annotation, index) => ({ ...annotation, index })),
    });
    const shown = (await fixture.readSteps(run)).map((step) => toStep(step, WITH_CONTENT));
    expect((await stream.finalRunSteps()) as object[]).toEqual(shown);
    const [step] = shown;
    const made = step?.step_details.type === 'tool_calls' ? step.step_details.tool_calls : [];
    expect(calls).toEqual(made.map((call, index) => ({ ...call, index })));
  });

  test('never sees a marker that names nothing, nor half of one', async () => {
    const said = 'Warm【4:9†x】, [9:9†y]very【4:0†oslo';
    const model = fixture.upstream.script('fs-invented', [search('Oslo')], [steps.say(...said.split(''))]);
    const finished = await ask(model);
    expect(toText(finished)).toEqual({ value: 'Warm, very', annotations: [] });
    expect(addUp(finished)).toEqual({ value: 'Warm, very', annotations: [] });
  });

  test('a text before a call keeps its last characters, and its citations', async () => {
    const model = fixture.upstream.script(
      'fs-before-call',
      [search('Oslo')],
      [steps.say('One', '【4:0', '†a】', ' [see'), search('Rome')],
      [steps.say('Two【6:0†b】')],
    );
    const finished = await ask(model);
    const texts = finished.answers.map(({ content: [part] }) => (part?.type === 'text' ? part.text : null));
    expect(texts[0]).toMatchObject({ value: 'One【4:0†oslo.pdf】 [see', annotations: [{ start_index: 3 }] });
    // The second search is the second call of the run.
    expect(texts[1]).toMatchObject({ value: 'Two', annotations: [] });
    expect(toMessages(model, 2).find(({ content }) => String(content).includes('One'))?.content).toBe(
      'One【4:0†oslo.pdf】 [see',
    );
  });

  test('a refusal after half a marker comes behind the text', async () => {
    const model = fixture.upstream.script(
      'fs-refusal',
      [search('Oslo')],
      [steps.say('Well 【'), steps.refuse('No.')],
    );
    const finished = await ask(model);
    expect(finished.answers.at(-1)?.content).toEqual([
      { type: 'text', text: { value: 'Well 【', annotations: [] } },
      { type: 'refusal', refusal: 'No.' },
    ]);
  });

  test('brackets of a run that has no files to search are never touched', async () => {
    const said = 'A【4:0†x】, [4:0†y]';
    const model = fixture.upstream.script('fs-untouched', [steps.say(said)]);
    const finished = await ask(model, {
      run: { tools: [{ type: 'function', function: { name: 'get_weather' } }] },
    });
    expect(toText(finished)).toEqual({ value: said, annotations: [] });
  });

  test('can still cite what was found before it answered a call of its own', async () => {
    const model = fixture.upstream.script(
      'fs-mixed',
      [
        steps.callTools([
          { name: 'get_weather', arguments: {} },
          { name: 'file_search', arguments: QUERY },
        ]),
      ],
      [steps.say('Warm【5:0†x】.')],
    );
    const tools = [
      { type: 'file_search' as const },
      { type: 'function' as const, function: { name: 'get_weather' } },
    ];
    const { run } = await ask(model, { run: { tools } });
    const { answers } = await fixture.submit(run, '21');
    expect(toText({ answers })).toMatchObject({
      value: 'Warm【5:0†oslo.pdf】.',
      annotations: [{ file_citation: { file_id: 'file-oslo' } }],
    });
  });
});

describe('files of the thread that are still being read', () => {
  async function waitUntilBegun(run: RunRecord): Promise<void> {
    await waitUntil('the run has begun', async () => (await fixture.readRun(run)).status === 'in_progress');
  }

  test('are waited for before the first turn', async () => {
    const model = fixture.upstream.script('fs-wait', [search('Bergen')], [steps.say('Ok')]);
    await addReading('vs_reading', 1);
    const { run, events } = await fixture.begin(model, { threadStoreIds: ['vs_reading'] });
    await waitUntilBegun(run);
    expect(fixture.toBodies(model)).toEqual([]);
    memory.stores.set('vs_reading', [BERGEN]);
    await fixture.store.update<{ id: string; file_counts: object }>(
      'vector_stores',
      CALLER.scope,
      'vs_reading',
      toCounts(0),
    );
    expect(toNames(await events).at(-1)).toBe('thread.run.completed');
    expect(toOutputs(model, 1)[0]).toContain(BERGEN.text);
  });

  test('are waited for no longer when the run is cancelled', async () => {
    const model = fixture.upstream.script('fs-wait-cancel', [steps.say('Ok')]);
    await addReading('vs_reading_on', 1);
    const { run, events } = await fixture.begin(model, { threadStoreIds: ['vs_reading_on'] });
    await waitUntilBegun(run);
    await fixture.cancel(run);
    expect(toNames(await events).at(-1)).toBe('thread.run.cancelled');
    expect(fixture.toBodies(model)).toEqual([]);
  });

  test("hold up nothing when they are the assistant's", async () => {
    const model = fixture.upstream.script('fs-no-wait', [steps.say('Ok')]);
    await addReading('vs_of_assistant', 1);
    const { run } = await ask(model, { storeIds: ['vs_of_assistant'] });
    expect(run.status).toBe('completed');
  });

  test('hold up a run for a minute at most', async () => {
    // A clock on which a minute is half a second.
    const start = performance.now();
    const clock = { nowMs: () => Date.now() + (performance.now() - start) * 120 };
    const own = await startEngineFixture({
      clock,
      toTools: (ports) => [createFileSearchTool({ ...ports, search: memory })],
    });
    try {
      const model = own.upstream.script('fs-wait-long', [steps.say('Ok')]);
      await own.store.insert('vector_stores', CALLER.scope, {
        id: 'vs_slow',
        expires_at: null,
        ...toCounts(1),
      });
      const begunMs = clock.nowMs();
      const { run } = await own.ask(model, { threadStoreIds: ['vs_slow'] });
      expect(run.status).toBe('completed');
      expect(clock.nowMs() - begunMs).toBeGreaterThanOrEqual(WAIT_MS_MAX);
    } finally {
      await own.stop();
    }
  });
});

describe('a restart', () => {
  async function startOwn(): Promise<{ own: EngineFixture; later: ScriptedUpstream; search: MemorySearch }> {
    const found = createMemorySearch();
    found.stores.set('vs_own', [OSLO, ROME]);
    return { own: await startWith(found), later: await startScriptedUpstream(), search: found };
  }

  test('after a search: what was found can still be cited, and is not searched again', async () => {
    const { own, later, search: found } = await startOwn();
    try {
      const model = own.upstream.script('again', [search('warm Oslo')], [steps.say('Half'), steps.hang()]);
      later.script('again', [search('warm Oslo')], [steps.say('Whole【4:1†x】')]);
      const { run, events } = await own.begin(model, { storeIds: ['vs_own'] });
      await own.upstream.waitForRequest((request) => request.model === model && hasOutputs(request.body));
      const finished = await own.restart(run, later);
      await events;
      expect(found.calls).toHaveLength(1);
      expect(later.requestsFor(model)).toHaveLength(1);
      expect(toText(finished)).toMatchObject({
        value: 'Whole【4:1†rome.md】',
        annotations: [{ file_citation: { file_id: 'file-rome' } }],
      });
    } finally {
      await Promise.all([own.stop(), later.close()]);
    }
  });

  test('amid a search: it is carried out again, in the same step', async () => {
    const { own, later, search: found } = await startOwn();
    try {
      const model = own.upstream.script('amid', [search('warm Oslo')]);
      later.script('amid', [search('warm Oslo')], [steps.say('Whole【4:0†x】')]);
      const begun = Promise.withResolvers<void>();
      found.before = ({ caller: { signal } }) => {
        begun.resolve();
        return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
      };
      const { run, events } = await own.begin(model, { storeIds: ['vs_own'] });
      await begun.promise;
      const [open] = await own.readSteps(run);
      found.before = async () => undefined;
      const finished = await own.restart(run, later);
      await events;
      const stored = await own.readSteps(run);
      expect(stored.map(({ type, status }) => [type, status])).toEqual([
        ['tool_calls', 'completed'],
        ['message_creation', 'completed'],
      ]);
      expect(stored[0]?.id).toBe(open?.id ?? '');
      expect(toText(finished).annotations).toHaveLength(1);
    } finally {
      await Promise.all([own.stop(), later.close()]);
    }
  });

  function hasOutputs(body: unknown): boolean {
    return (body as ChatBody).messages.some(({ role }) => role === 'tool');
  }
});
