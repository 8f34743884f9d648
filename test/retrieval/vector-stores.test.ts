/** Vector stores over HTTP, with the official client: their life, their counts, their files and batches. */

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { startScriptedEmbedder } from '../support/scripted-embedder.ts';
import { waitUntil } from '../support/server.ts';
import {
  makeStore,
  type Retrieval,
  search,
  startRetrieval,
  upload,
  waitForStore,
} from './retrieval-fixture.ts';

let retrieval: Retrieval;

beforeAll(async () => {
  retrieval = await startRetrieval();
});

afterAll(() => retrieval.close());

const FOX = 'The quick brown fox jumps over the lazy dog.';
const BEE = 'Bees gather nectar from flowers and make honey of it.';

describe('a vector store', () => {
  test('begins empty and complete, and shows what it was given', async () => {
    const store = await retrieval.client.vectorStores.create({
      name: 'Empty',
      metadata: { a: 'b' },
      expires_after: { anchor: 'last_active_at', days: 3 },
    });
    expect(store).toMatchObject({
      object: 'vector_store',
      name: 'Empty',
      status: 'completed',
      usage_bytes: 0,
      file_counts: { in_progress: 0, completed: 0, failed: 0, cancelled: 0, total: 0 },
      metadata: { a: 'b' },
      expires_after: { anchor: 'last_active_at', days: 3 },
    });
    expect(store.expires_at).toBe((store.last_active_at ?? 0) + 3 * 86_400);
    const changed = await retrieval.client.vectorStores.update(store.id, {
      name: 'Other',
      expires_after: null,
    });
    expect(changed).toMatchObject({ name: 'Other', metadata: { a: 'b' }, expires_at: null });
    expect(changed).not.toHaveProperty('expires_after');
  });

  test('counts its files truly from the first answer to the last, and takes their bytes', async () => {
    const { client } = retrieval;
    const fileId = await upload(client, 'fox.txt', FOX);
    const store = await client.vectorStores.create({ name: 'Fox', file_ids: [fileId] });
    expect(store.file_counts.total).toBe(1);
    const read = await waitForStore(client, store.id);
    expect(read.file_counts).toEqual({ in_progress: 0, completed: 1, failed: 0, cancelled: 0, total: 1 });
    expect(read.status).toBe('completed');
    expect(read.usage_bytes).toBeGreaterThan(FOX.length);
    const file = await client.vectorStores.files.retrieve(fileId, { vector_store_id: store.id });
    expect(file).toMatchObject({
      id: fileId,
      object: 'vector_store.file',
      status: 'completed',
      last_error: null,
      usage_bytes: read.usage_bytes,
      chunking_strategy: {
        type: 'static',
        static: { max_chunk_size_tokens: 800, chunk_overlap_tokens: 400 },
      },
      attributes: {},
    });
    await client.vectorStores.files.delete(fileId, { vector_store_id: store.id });
    const emptied = await client.vectorStores.retrieve(store.id);
    expect(emptied.file_counts.total).toBe(0);
    expect(emptied.usage_bytes).toBe(0);
    expect(await search(client, store.id, { query: 'fox' })).toEqual([]);
  });

  test('is gone with everything in it once it is deleted, while its files stay', async () => {
    const { client, server } = retrieval;
    const store = await makeStore(client, { 'fox.txt': FOX });
    expect(await client.vectorStores.delete(store.id)).toMatchObject({ deleted: true });
    const path = `/v1/vector_stores/${store.id}`;
    for (const rest of ['', '/files', `/files/${store.files['fox.txt']}`]) {
      const gone = await server.call('GET', `${path}${rest}`);
      expect(gone.status).toBe(404);
    }
    expect((await server.call('POST', `${path}/search`, { query: 'fox' })).status).toBe(404);
    expect((await client.files.retrieve(store.files['fox.txt'] ?? '')).filename).toBe('fox.txt');
  });

  test('loses a file that is deleted, with its chunks and its counts', async () => {
    const { client } = retrieval;
    const store = await makeStore(client, { 'fox.txt': FOX, 'bee.txt': BEE });
    const before = await client.vectorStores.retrieve(store.id);
    await client.files.delete(store.files['fox.txt'] ?? '');
    const after = await client.vectorStores.retrieve(store.id);
    expect(after.file_counts).toEqual({ ...before.file_counts, completed: 1, total: 1 });
    expect(after.usage_bytes).toBeLessThan(before.usage_bytes);
    const results = await search(client, store.id, { query: 'the quick brown fox' });
    expect(results.map((result) => result.filename)).not.toContain('fox.txt');
  });

  test('keeps true counts while twenty clients add and remove files of it at once', async () => {
    const { client } = retrieval;
    const store = await client.vectorStores.create({ name: 'busy' });
    const fileIds = await Promise.all(
      Array.from({ length: 20 }, (_, number) =>
        upload(client, `file ${number}.txt`, `${FOX} Number ${number}.`),
      ),
    );
    await Promise.all(
      fileIds.map(async (fileId, number) => {
        await client.vectorStores.files.create(store.id, { file_id: fileId });
        if (number % 2 === 0) await client.vectorStores.files.delete(fileId, { vector_store_id: store.id });
      }),
    );
    const read = await waitForStore(client, store.id);
    expect(read.file_counts).toEqual({ in_progress: 0, completed: 10, failed: 0, cancelled: 0, total: 10 });
    const listed = await client.vectorStores.files.list(store.id, { limit: 100 });
    expect(read.usage_bytes).toBe(listed.data.reduce((sum, file) => sum + file.usage_bytes, 0));
    const results = await search(client, store.id, { query: 'quick fox', max_num_results: 50 });
    expect(results.map((result) => result.file_id).sort()).toEqual(
      fileIds.filter((_, number) => number % 2 === 1).sort(),
    );
  });
});

describe('files of a vector store', () => {
  test('are added by every helper of the official client', async () => {
    const { client } = retrieval;
    const store = await client.vectorStores.create({});
    const one = await client.vectorStores.files.uploadAndPoll(store.id, new File([FOX], 'fox.txt'));
    expect(one.status).toBe('completed');
    const batch = await client.vectorStores.fileBatches.uploadAndPoll(store.id, {
      files: [new File([BEE], 'bee.txt'), new File([`${BEE} ${FOX}`], 'both.md')],
    });
    expect(batch).toMatchObject({ status: 'completed', file_counts: { completed: 2, total: 2 } });
    const ready = await client.files.waitForProcessing(one.id);
    expect(ready.status).toBe('processed');
    expect(await (await client.files.content(one.id)).text()).toBe(FOX);
  });

  test('show their text as it was read, each character once', async () => {
    const { client } = retrieval;
    const text = Array.from(
      { length: 400 },
      (_, number) => `Sentence number ${number} stands here. Ärger 東京 😀!`,
    ).join('\n');
    const store = await makeStore(client, { 'long.txt': text });
    const content = await client.vectorStores.files.content(store.files['long.txt'] ?? '', {
      vector_store_id: store.id,
    });
    expect(content.data.map((part) => part.text).join('')).toBe(text);
  });

  test('are listed in the order in which they were added, by status, and page by page', async () => {
    const { client } = retrieval;
    const ids = [];
    for (let number = 0; number < 5; number += 1)
      ids.push(await upload(client, `${number}.txt`, `${FOX} ${number}`));
    const bad = await upload(client, 'bad.bin', new Uint8Array([0, 1, 2, 255, 254, 0, 0, 7, 9, 0, 200]));
    const store = await client.vectorStores.create({});
    // Added in another order than they were uploaded.
    for (const id of [...ids].reverse()) await client.vectorStores.files.create(store.id, { file_id: id });
    await client.vectorStores.files.create(store.id, { file_id: bad });
    await waitForStore(client, store.id);
    const walked: string[] = [];
    for await (const file of client.vectorStores.files.list(store.id, { limit: 2, order: 'asc' })) {
      walked.push(file.id);
    }
    expect(walked).toEqual([...ids].reverse().concat(bad));
    const failed = await client.vectorStores.files.list(store.id, { filter: 'failed' });
    expect(failed.data.map((file) => file.id)).toEqual([bad]);
    expect(failed.data[0]?.last_error?.code).toBe('unsupported_file');
    const completed = await client.vectorStores.files.list(store.id, { filter: 'completed', limit: 3 });
    expect(completed.data.map((file) => file.id)).toEqual(ids.slice(0, 3));
  });

  test('keep their own chunking, and a changed attribute counts for the next search', async () => {
    const { client } = retrieval;
    const store = await client.vectorStores.create({});
    const text = Array.from({ length: 200 }, (_, number) => `Fox number ${number} runs.`).join(' ');
    const fileId = await upload(client, 'foxes.txt', text);
    await client.vectorStores.files.createAndPoll(
      store.id,
      {
        file_id: fileId,
        attributes: { year: 2020, draft: true, kind: 'story' },
        chunking_strategy: {
          type: 'static',
          static: { max_chunk_size_tokens: 100, chunk_overlap_tokens: 0 },
        },
      },
      { pollIntervalMs: 20 },
    );
    const results = await search(client, store.id, { query: 'fox', max_num_results: 50 });
    expect(results.length).toBeGreaterThan(5);
    const filters = { type: 'eq', key: 'year', value: 2021 } as const;
    expect(await search(client, store.id, { query: 'fox', filters })).toEqual([]);
    const changed = await client.vectorStores.files.update(fileId, {
      vector_store_id: store.id,
      attributes: { year: 2021 },
    });
    expect(changed.attributes).toEqual({ year: 2021 });
    const found = await search(client, store.id, { query: 'fox', filters });
    expect(found[0]?.attributes).toEqual({ year: 2021 });
  });

  test('that are added again are read anew, and found once', async () => {
    const { client } = retrieval;
    const store = await makeStore(client, { 'fox.txt': FOX });
    const again = await client.vectorStores.files.createAndPoll(
      store.id,
      { file_id: store.files['fox.txt'] ?? '', attributes: { again: true } },
      { pollIntervalMs: 20 },
    );
    expect(again).toMatchObject({ status: 'completed', attributes: { again: true } });
    const read = await client.vectorStores.retrieve(store.id);
    expect(read.file_counts).toMatchObject({ completed: 1, total: 1 });
    expect(await search(client, store.id, { query: 'fox' })).toHaveLength(1);
  });
});

describe('a batch', () => {
  test('of 300 files has all of them from its first answer on, and ends complete', async () => {
    const { client } = retrieval;
    const ids: string[] = [];
    for (let at = 0; at < 300; at += 50) {
      ids.push(
        ...(await Promise.all(
          Array.from({ length: 50 }, (_, number) =>
            upload(client, `n${at + number}.txt`, `Number ${at + number}. ${BEE}`),
          ),
        )),
      );
    }
    const store = await client.vectorStores.create({});
    const batch = await client.vectorStores.fileBatches.create(store.id, { file_ids: ids });
    expect(batch.file_counts.total).toBe(300);
    const counts = await client.vectorStores.retrieve(store.id);
    expect(counts.file_counts.total).toBe(300);
    const read = await waitForStore(client, store.id, 90_000);
    expect(read.file_counts).toMatchObject({ completed: 300, failed: 0, total: 300 });
    const ended = await client.vectorStores.fileBatches.retrieve(batch.id, { vector_store_id: store.id });
    expect(ended).toMatchObject({ status: 'completed', file_counts: { completed: 300, in_progress: 0 } });
    const listed = await client.vectorStores.fileBatches.listFiles(batch.id, {
      vector_store_id: store.id,
      limit: 100,
    });
    expect(listed.data).toHaveLength(100);
  }, 120_000);

  test('gives each of its files its own attributes and chunking', async () => {
    const { client } = retrieval;
    const [a, b] = await Promise.all([upload(client, 'a.txt', FOX), upload(client, 'b.txt', BEE)]);
    const store = await client.vectorStores.create({});
    const batch = await client.vectorStores.fileBatches.createAndPoll(
      store.id,
      {
        files: [
          { file_id: a, attributes: { kind: 'fox' } },
          {
            file_id: b,
            attributes: { kind: 'bee' },
            chunking_strategy: {
              type: 'static',
              static: { max_chunk_size_tokens: 200, chunk_overlap_tokens: 50 },
            },
          },
        ],
      },
      { pollIntervalMs: 20 },
    );
    expect(batch.file_counts.completed).toBe(2);
    const bee = await client.vectorStores.files.retrieve(b, { vector_store_id: store.id });
    expect(bee.attributes).toEqual({ kind: 'bee' });
    expect(bee.chunking_strategy).toMatchObject({
      static: { max_chunk_size_tokens: 200, chunk_overlap_tokens: 50 },
    });
    const found = await search(client, store.id, {
      query: 'nectar and foxes',
      filters: { type: 'eq', key: 'kind', value: 'fox' },
    });
    expect(found.map((result) => result.file_id)).toEqual([a]);
  });

  test('that is cancelled ends what was not read, and a late answer of the model changes nothing', async () => {
    const { client, embedder } = retrieval;
    const ids = await Promise.all(
      Array.from({ length: 30 }, (_, number) =>
        upload(client, `held ${number}.txt`, `Held ${number}. ${FOX}`),
      ),
    );
    const store = await client.vectorStores.create({});
    embedder.behave({ holds: true });
    try {
      const batch = await client.vectorStores.fileBatches.create(store.id, { file_ids: ids });
      await waitUntil('the model is asked', () => embedder.active > 0);
      const cancelled = await client.vectorStores.fileBatches.cancel(batch.id, { vector_store_id: store.id });
      expect(cancelled.status).toBe('cancelled');
      expect(cancelled.file_counts).toMatchObject({ in_progress: 0, cancelled: 30, total: 30 });
      const again = await retrieval.server.call(
        'POST',
        `/v1/vector_stores/${store.id}/file_batches/${batch.id}/cancel`,
      );
      expect(again.status).toBe(400);
    } finally {
      embedder.behave({ holds: false });
    }
    const after = await client.vectorStores.retrieve(store.id);
    expect(after.file_counts).toMatchObject({ in_progress: 0, cancelled: 30, completed: 0, total: 30 });
    expect(await search(client, store.id, { query: 'held fox' })).toEqual([]);
  });
});

describe('the embedding model', () => {
  test('is fixed with the first file: another one is refused, by files and by questions', async () => {
    const { client, server } = retrieval;
    const store = await makeStore(client, { 'fox.txt': FOX });
    const other = { 'embedding-model': 'another-model' };
    const asked = await server.call('POST', `/v1/vector_stores/${store.id}/search`, { query: 'fox' }, other);
    expect(asked.status).toBe(400);
    expect(asked.json.error).toMatchObject({ param: 'embedding-model' });
    expect(asked.json.error.message).toContain('scripted-embedding');
    const fileId = await upload(client, 'bee.txt', BEE);
    const added = await server.call(
      'POST',
      `/v1/vector_stores/${store.id}/files`,
      { file_id: fileId },
      other,
    );
    expect(added.status).toBe(400);
    expect((await client.vectorStores.retrieve(store.id)).file_counts.total).toBe(1);
  });

  test('of a request serves the store that it makes, with the dimensions that it names', async () => {
    const { client, embedder } = retrieval;
    const headers = { 'embedding-model': 'chosen-model', 'embedding-param-dimensions': '32' };
    const store = await client.vectorStores.create({}, { headers });
    const fileId = await upload(client, 'chosen.txt', 'A chosen text.');
    await client.vectorStores.files.createAndPoll(store.id, { file_id: fileId }, { pollIntervalMs: 20 });
    const call = embedder.calls.find(({ model }) => model === 'chosen-model');
    expect(call).toMatchObject({ dimensions: 32 });
    expect(call?.inputs[0]).toContain('A chosen text.');
    expect(await search(client, store.id, { query: 'chosen' })).toHaveLength(1);
  });

  test('that limits, fails and comes back loses no file', async () => {
    const { client, embedder } = retrieval;
    embedder.behave({ failures: { left: 4, status: 429, retryAfter: '0.05' } });
    const limited = await makeStore(client, { 'limited.txt': FOX });
    expect((await client.vectorStores.retrieve(limited.id)).file_counts.completed).toBe(1);
    embedder.behave({ failures: { left: 3, status: 503 } });
    const failing = await makeStore(client, { 'failing.txt': FOX });
    expect((await client.vectorStores.retrieve(failing.id)).file_counts.completed).toBe(1);
  });

  test('that hangs holds up no file of a store that has another one, however many wait for it', async () => {
    const { client, embedder } = retrieval;
    const ids = await Promise.all(
      Array.from({ length: 40 }, (_, number) =>
        upload(client, `hung ${number}.txt`, `Hung ${number}. ${FOX}`),
      ),
    );
    embedder.behave({ holds: true });
    try {
      const hung = await client.vectorStores.create({ file_ids: ids });
      await waitUntil('the model is asked', () => embedder.active > 0);
      const headers = { 'embedding-model': 'understudy/rehearsal' };
      const other = await client.vectorStores.create({}, { headers });
      const fileId = await upload(client, 'other.txt', BEE);
      await client.vectorStores.files.create(other.id, { file_id: fileId });
      expect((await waitForStore(client, other.id)).file_counts.completed).toBe(1);
      expect((await client.vectorStores.retrieve(hung.id)).file_counts.in_progress).toBe(40);
      await client.vectorStores.delete(hung.id);
    } finally {
      embedder.behave({ holds: false });
    }
  });

  test('that refuses fails the file and says why', async () => {
    const { client, embedder } = retrieval;
    embedder.behave({ failures: { left: 1, status: 401 } });
    const store = await makeStore(client, { 'refused.txt': FOX });
    const file = await client.vectorStores.files.retrieve(store.files['refused.txt'] ?? '', {
      vector_store_id: store.id,
    });
    expect(file).toMatchObject({ status: 'failed', last_error: { code: 'server_error' } });
    expect(file.last_error?.message).toContain('embedding model');
    expect(JSON.stringify(file)).not.toContain('sk-operator');
  });

  test('that is down leaves a search by words, and the answer says so', async () => {
    const { client, embedder, server } = retrieval;
    const store = await makeStore(client, { 'fox.txt': FOX, 'bee.txt': BEE });
    const path = `/v1/vector_stores/${store.id}/search`;
    const well = await server.call('POST', path, { query: 'nectar' });
    expect(well.headers.get('x-understudy-search-mode')).toBe('hybrid');
    expect(well.headers.get('x-understudy-search-warning')).toBeNull();
    embedder.behave({ failures: { left: 100, status: 500 } });
    const ill = await server.call('POST', path, { query: 'nectar' });
    embedder.behave({ failures: { left: 0, status: 500 } });
    expect(ill.status).toBe(200);
    expect(ill.headers.get('x-understudy-search-mode')).toBe('keyword');
    expect(ill.headers.get('x-understudy-search-warning')).toContain('scripted-embedding');
    expect(ill.json.data[0].filename).toBe('bee.txt');
  });

  test('gives every chunk its own vector although its answers are shuffled and overtake each other', async () => {
    const embedder = startScriptedEmbedder({ shuffles: true, jitterMs: 30, holds: true });
    const own = await startRetrieval({}, embedder);
    try {
      const subjects = Array.from({ length: 300 }, (_, number) => `subject${number}x`);
      const text = subjects.map((subject) => `${`${subject} `.repeat(60)}\n\n`).join('');
      const store = await own.client.vectorStores.create({});
      const fileId = await upload(own.client, 'subjects.txt', text);
      await own.client.vectorStores.files.create(store.id, {
        file_id: fileId,
        chunking_strategy: {
          type: 'static',
          static: { max_chunk_size_tokens: 250, chunk_overlap_tokens: 0 },
        },
      });
      await waitUntil('several calls are under way at once', () => embedder.active > 2);
      embedder.behave({ holds: false });
      expect((await waitForStore(own.client, store.id)).file_counts.completed).toBe(1);
      // By vectors alone: a vector that went astray puts another chunk first.
      for (let at = 0; at < subjects.length; at += 15) {
        const subject = subjects[at] ?? '';
        const page = await own.server.call('POST', `/v1/vector_stores/${store.id}/search`, {
          query: subject,
          max_num_results: 1,
          ranking_options: { hybrid_search: { embedding_weight: 1, text_weight: 0 } },
        });
        expect(page.headers.get('x-understudy-search-mode')).toBe('vector');
        expect(page.json.data[0].content[0].text).toContain(subject);
      }
    } finally {
      await own.close();
    }
  }, 60_000);
});

describe('bad input', () => {
  test.each([
    ['POST', '', { expires_after: { anchor: 'created_at', days: 1 } }, 400, 'expires_after.anchor'],
    ['POST', '', { expires_after: { anchor: 'last_active_at', days: 0 } }, 400, 'expires_after.days'],
    ['POST', '', { file_ids: ['file-none'] }, 404, 'file_ids'],
    ['POST', '', { metadata: { a: 1 } }, 400, 'metadata.a'],
    ['POST', '/STORE/files', { file_id: 'file-none' }, 404, 'file_id'],
    ['POST', '/STORE/files', {}, 400, 'file_id'],
    ['POST', '/STORE/file_batches', {}, 400, 'file_ids'],
    ['POST', '/STORE/file_batches', { file_ids: [] }, 400, 'file_ids'],
    ['POST', '/STORE/file_batches', { file_ids: ['file-none'] }, 404, 'file_ids'],
    [
      'POST',
      '/STORE/file_batches',
      { file_ids: ['file-a'], files: [{ file_id: 'file-a' }] },
      400,
      'file_ids',
    ],
    ['POST', '/STORE/search', {}, 400, 'query'],
    ['POST', '/STORE/search', { query: '' }, 400, 'query'],
    ['POST', '/STORE/search', { query: [] }, 400, 'query'],
    ['POST', '/STORE/search', { query: 'x', max_num_results: 51 }, 400, 'max_num_results'],
    ['POST', '/STORE/search', { query: 'x', max_num_results: 0 }, 400, 'max_num_results'],
    [
      'POST',
      '/STORE/search',
      { query: 'x', ranking_options: { score_threshold: 2 } },
      400,
      'ranking_options.score_threshold',
    ],
    [
      'POST',
      '/STORE/search',
      { query: 'x', ranking_options: { hybrid_search: { embedding_weight: 0, text_weight: 0 } } },
      400,
      'ranking_options.hybrid_search',
    ],
    [
      'POST',
      '/STORE/search',
      { query: 'x', filters: { type: 'in', key: 'a', value: 'b' } },
      400,
      'filters.value',
    ],
    ['GET', '/STORE/files?filter=done', undefined, 400, 'filter'],
    ['GET', '/STORE/files/file-none', undefined, 404, null],
    ['DELETE', '/STORE/files/file-none', undefined, 404, null],
    ['GET', '/STORE/file_batches/vsfb_none', undefined, 404, null],
    ['GET', '/vs_none', undefined, 404, null],
    ['DELETE', '/vs_none', undefined, 404, null],
    ['POST', '/vs_none/search', { query: 'x' }, 404, null],
  ] as const)(
    '%s /vector_stores%s %j is a %d that names the parameter',
    async (method, path, body, status, param) => {
      const store = await retrieval.client.vectorStores.create({});
      const answer = await retrieval.server.call(
        method,
        `/v1/vector_stores${path.replace('STORE', store.id)}`,
        body,
      );
      expect(answer.status).toBe(status);
      expect(answer.json.error.param).toBe(param);
      expect((await retrieval.client.vectorStores.retrieve(store.id)).file_counts.total).toBe(0);
    },
  );

  test.each([
    [
      'more overlap than half',
      { max_chunk_size_tokens: 200, chunk_overlap_tokens: 101 },
      'chunk_overlap_tokens',
    ],
    [
      'an overlap below zero',
      { max_chunk_size_tokens: 200, chunk_overlap_tokens: -1 },
      'chunk_overlap_tokens',
    ],
    [
      'chunks that are too small',
      { max_chunk_size_tokens: 99, chunk_overlap_tokens: 0 },
      'max_chunk_size_tokens',
    ],
    [
      'chunks that are too large',
      { max_chunk_size_tokens: 4097, chunk_overlap_tokens: 0 },
      'max_chunk_size_tokens',
    ],
  ])('a chunking with %s is refused, and nothing is added', async (_, chunking, at) => {
    const { client, server } = retrieval;
    const store = await client.vectorStores.create({});
    const fileId = await upload(client, 'fox.txt', FOX);
    const answer = await server.call('POST', `/v1/vector_stores/${store.id}/files`, {
      file_id: fileId,
      chunking_strategy: { type: 'static', static: chunking },
    });
    expect(answer.status).toBe(400);
    expect(answer.json.error.param).toBe(`chunking_strategy.static.${at}`);
    expect((await client.vectorStores.retrieve(store.id)).file_counts.total).toBe(0);
  });
});
