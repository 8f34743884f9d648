/** `POST /vector_stores/{id}/search`: what is found, in which order, and what the request can ask for. */

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import type OpenAI from 'openai';
import { startScriptedUpstream } from '../support/scripted-upstream.ts';
import { startServer } from '../support/server.ts';
import { fail, say } from '../support/upstream-steps.ts';
import {
  makeStore,
  type Retrieval,
  search,
  startRetrieval,
  upload,
  waitForStore,
} from './retrieval-fixture.ts';

let retrieval: Retrieval;
let client: OpenAI;

beforeAll(async () => {
  retrieval = await startRetrieval();
  client = retrieval.client;
});

afterAll(() => retrieval.close());

const DOCUMENTS = {
  'errors.md': '# Errors\n\nThe pump reports ERR-4471 when the valve is stuck. Call reset_valve() to go on.',
  'other-errors.md':
    '# Errors\n\nThe pump reports ERR-4472 when the filter is full. Call clean_filter() to go on.',
  'third-errors.md':
    '# Errors\n\nThe pump reports ERR-4473 when the power is low. Call charge_battery() to go on.',
  'deutsch.txt': 'Die Häuser am Fluss wurden im Jahr 1897 gebaut und seitdem mehrmals überschwemmt.',
  'japanese.txt': '東京都は日本の首都であり、世界最大の都市圏を形成している。',
  'chinese.txt': '长城是中国古代的伟大防御工程，全长超过两万公里。',
  'thai.txt': 'กรุงเทพมหานครเป็นเมืองหลวงของประเทศไทย',
  'english.txt': 'Walking every morning keeps the runners healthy and their hearts strong.',
};

describe('words', () => {
  let storeId: string;

  beforeAll(async () => {
    storeId = (await makeStore(client, DOCUMENTS)).id;
  });

  test.each([
    ['ERR-4471', 'errors.md'],
    ['err 4472', 'other-errors.md'],
    ['what does ERR-4473 mean?', 'third-errors.md'],
    ['clean_filter()', 'other-errors.md'],
    ['reset_valve', 'errors.md'],
    ['Haus', 'deutsch.txt'],
    ['ÜBERSCHWEMMT', 'deutsch.txt'],
    ['1897', 'deutsch.txt'],
    ['首都', 'japanese.txt'],
    ['都市圏', 'japanese.txt'],
    ['长城', 'chinese.txt'],
    ['防御', 'chinese.txt'],
    ['เมืองหลวง', 'thai.txt'],
    ['walked', 'english.txt'],
    ['the heart of a runner', 'english.txt'],
  ])('"%s" finds %s first, by words alone', async (query, name) => {
    const answer = await retrieval.server.call('POST', `/v1/vector_stores/${storeId}/search`, {
      query,
      ranking_options: { hybrid_search: { embedding_weight: 0, text_weight: 1 } },
    });
    expect(answer.headers.get('x-understudy-search-mode')).toBe('keyword');
    expect(answer.json.data[0]?.filename).toBe(name);
  });

  test('nothing is found for words that stand nowhere, by words alone', async () => {
    const answer = await retrieval.server.call('POST', `/v1/vector_stores/${storeId}/search`, {
      query: 'xylophone',
      ranking_options: { hybrid_search: { embedding_weight: 0, text_weight: 1 } },
    });
    expect(answer.json).toMatchObject({
      object: 'vector_store.search_results.page',
      search_query: ['xylophone'],
      data: [],
      has_more: false,
      next_page: null,
    });
  });

  test('scores are from 0 to 1 and descend, and the threshold leaves out what is below', async () => {
    const all = await search(client, storeId, { query: 'the pump reports ERR-4471', max_num_results: 50 });
    expect(all.length).toBeGreaterThan(3);
    for (const [at, { score }] of all.entries()) {
      expect(score).toBeGreaterThanOrEqual(0);
      expect(score).toBeLessThanOrEqual(all[at - 1]?.score ?? 1);
    }
    const bound = ((all[0]?.score ?? 0) + (all[1]?.score ?? 0)) / 2;
    const best = await search(client, storeId, {
      query: 'the pump reports ERR-4471',
      ranking_options: { score_threshold: bound },
    });
    expect(best.map(({ filename }) => filename)).toEqual(['errors.md']);
  });

  test('several questions in one call are merged, each passage once', async () => {
    const page = await client.vectorStores.search(storeId, {
      query: ['ERR-4471', '长城', 'ERR-4471 valve'],
      max_num_results: 50,
    });
    const found = page.data.map(({ filename }) => filename);
    expect(found[0]).toBe('errors.md');
    expect(found.slice(0, 4)).toContain('chinese.txt');
    expect(new Set(found).size).toBe(found.length);
  });

  test('as many results come as are asked for, ten where nothing is said', async () => {
    const many = await makeStore(
      client,
      Object.fromEntries(
        Array.from({ length: 30 }, (_, at) => [`n${at}.txt`, `A note about gardens, number ${at}.`]),
      ),
    );
    expect(await search(client, many.id, { query: 'gardens' })).toHaveLength(10);
    expect(await search(client, many.id, { query: 'gardens', max_num_results: 1 })).toHaveLength(1);
    expect(await search(client, many.id, { query: 'gardens', max_num_results: 50 })).toHaveLength(30);
  });
});

describe('filters', () => {
  const YEARS = [2018, 2019, 2020, 2021, 2022];
  let storeId: string;

  beforeAll(async () => {
    const store = await client.vectorStores.create({});
    storeId = store.id;
    const files = await Promise.all(
      YEARS.map(async (year) => ({
        file_id: await upload(client, `${year}.txt`, `The report about turnover in ${year}.`),
        attributes: { year, region: year % 2 === 0 ? 'north' : 'south', draft: year > 2020 },
      })),
    );
    const bare = { file_id: await upload(client, 'bare.txt', 'The report about turnover, undated.') };
    await client.vectorStores.fileBatches.createAndPoll(
      store.id,
      { files: [...files, bare] },
      { pollIntervalMs: 20 },
    );
  });

  async function findNames(filters: unknown): Promise<string[]> {
    const answer = await retrieval.server.call('POST', `/v1/vector_stores/${storeId}/search`, {
      query: 'report about turnover',
      max_num_results: 50,
      filters,
    });
    if (answer.status !== 200) throw new Error(answer.text);
    return answer.json.data.map(({ filename }: { filename: string }) => filename.replace('.txt', '')).sort();
  }

  test.each([
    [{ type: 'eq', key: 'year', value: 2020 }, ['2020']],
    [{ type: 'ne', key: 'year', value: 2020 }, ['2018', '2019', '2021', '2022', 'bare']],
    [{ type: 'gt', key: 'year', value: 2020 }, ['2021', '2022']],
    [{ type: 'gte', key: 'year', value: 2020 }, ['2020', '2021', '2022']],
    [{ type: 'lt', key: 'year', value: 2020 }, ['2018', '2019']],
    [{ type: 'lte', key: 'year', value: 2020 }, ['2018', '2019', '2020']],
    [{ type: 'in', key: 'year', value: [2018, 2022, 1999] }, ['2018', '2022']],
    [{ type: 'nin', key: 'year', value: [2018, 2022] }, ['2019', '2020', '2021', 'bare']],
    [{ type: 'eq', key: 'draft', value: true }, ['2021', '2022']],
    [{ type: 'eq', key: 'year', value: '2020' }, []],
    [{ type: 'gte', key: 'region', value: 'o' }, ['2019', '2021']],
    [
      {
        type: 'and',
        filters: [
          { type: 'gt', key: 'year', value: 2018 },
          { type: 'eq', key: 'region', value: 'north' },
        ],
      },
      ['2020', '2022'],
    ],
    [
      {
        type: 'or',
        filters: [
          { type: 'eq', key: 'year', value: 2018 },
          {
            type: 'and',
            filters: [
              { type: 'eq', key: 'region', value: 'south' },
              { type: 'eq', key: 'draft', value: false },
            ],
          },
        ],
      },
      ['2018', '2019'],
    ],
  ])('%j', async (filters, names) => {
    expect(await findNames(filters)).toEqual([...names]);
  });
});

describe('without an embedding model', () => {
  test('a store works by words, in answers that say so', async () => {
    const server = await startServer();
    try {
      const own = server.client();
      const store = await makeStore(own, DOCUMENTS);
      const answer = await server.call('POST', `/v1/vector_stores/${store.id}/search`, { query: 'ERR-4472' });
      expect(answer.headers.get('x-understudy-search-mode')).toBe('keyword');
      expect(answer.headers.get('x-understudy-search-warning')).toBeNull();
      expect(answer.json.data[0]).toMatchObject({
        file_id: store.files['other-errors.md'],
        filename: 'other-errors.md',
        attributes: {},
        content: [{ type: 'text', text: DOCUMENTS['other-errors.md'] }],
      });
      expect(answer.json.data[0].score).toBeLessThanOrEqual(1);
    } finally {
      await server.stop();
    }
  });

  test('the built-in model can be chosen by a header, and needs no other server', async () => {
    const server = await startServer();
    try {
      const own = server.client({ defaultHeaders: { 'embedding-model': 'understudy/rehearsal' } });
      const store = await makeStore(own, DOCUMENTS);
      const answer = await server.call('POST', `/v1/vector_stores/${store.id}/search`, { query: 'ERR-4472' });
      expect(answer.headers.get('x-understudy-search-mode')).toBe('hybrid');
      expect(answer.json.data[0].filename).toBe('other-errors.md');
    } finally {
      await server.stop();
    }
  });
});

describe('rewrite_query', () => {
  test('has the model that the operator named word the question anew, and shows what was searched', async () => {
    const upstream = await startScriptedUpstream();
    const model = upstream.script('rewrites', [say('1. ERR-4473 meaning')]);
    const broken = upstream.script('rewrites-not', [fail(401)]);
    for (const [name, expected] of [
      [model, ['ERR-4473 meaning']],
      [broken, ['please, what was that ERR-4473 again?']],
    ] as const) {
      const server = await startServer({
        flags: ['--rewrite-model', name],
        env: { OPENAI_BASE_URL: upstream.url, OPENAI_API_KEY: 'k' },
      });
      try {
        const store = await makeStore(server.client(), DOCUMENTS);
        await waitForStore(server.client(), store.id);
        const answer = await server.call('POST', `/v1/vector_stores/${store.id}/search`, {
          query: 'please, what was that ERR-4473 again?',
          rewrite_query: true,
        });
        expect(answer.json.search_query).toEqual(expected);
        expect(answer.json.data[0].filename).toBe('third-errors.md');
      } finally {
        await server.stop();
      }
    }
    await upstream.close();
  });
});
