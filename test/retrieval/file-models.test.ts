/** The embedding model that a file is uploaded for: shown with it, and that of the vector store that it is the first of. */

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import type OpenAI from 'openai';
import { type Retrieval, startRetrieval, waitForStore } from './retrieval-fixture.ts';

const NAMED = 'named-embedding';
const OTHER = 'other-embedding';
const OPERATORS = 'scripted-embedding';
const ASTRA = { 'astra-api-token': 'AstraCS:any' };

let retrieval: Retrieval;
let client: OpenAI;

beforeAll(async () => {
  retrieval = await startRetrieval();
  client = retrieval.client;
});

afterAll(() => retrieval.close());

type Shown = OpenAI.FileObject & { readonly embedding_model?: string | null };

/** Each text is another one, so that calls of the embedder can be told apart. */
function createFile(text: string, headers: Record<string, string> = {}): Promise<Shown> {
  const file = new File([text], 'a.txt');
  return client.files.create({ file, purpose: 'assistants' }, { headers });
}

/** With which model, and how many dimensions, a text was embedded. */
function findModels(text: string): readonly (readonly [string, number | null])[] {
  return retrieval.embedder.calls
    .filter(({ inputs }) => inputs.some((input) => input.includes(text)))
    .map(({ model, dimensions }) => [model, dimensions]);
}

describe('the model that an upload names', () => {
  test('is shown with the file wherever it is, and nothing with others', async () => {
    const named = await createFile('one', { 'embedding-model': NAMED });
    const plain = await createFile('two');
    expect(named.embedding_model).toBe(NAMED);
    expect((await client.files.retrieve(named.id)) as Shown).toEqual(named);
    const listed = (await client.files.list()).data as Shown[];
    expect(listed.find(({ id }) => id === named.id)).toEqual(named);
    for (const file of [plain, await client.files.retrieve(plain.id)]) {
      expect(Object.keys(file)).not.toContain('embedding_model');
    }
  });

  test('is null with others for programs of astra-assistants-api, which read it of every file', async () => {
    const created = await createFile('three', ASTRA);
    expect(created.embedding_model).toBeNull();
    expect((await client.files.retrieve(created.id, { headers: ASTRA })) as Shown).toEqual(created);
    const listed = (await client.files.list({}, { headers: ASTRA })).data as Shown[];
    expect(listed.find(({ id }) => id === created.id)).toEqual(created);
  });

  test('stays with a file that comes in parts, from its beginning or its end', async () => {
    const upload = async (began: object, ended: object): Promise<Shown> => {
      const bytes = 4;
      const given = { bytes, filename: 'a.txt', mime_type: 'text/plain', purpose: 'assistants' as const };
      const { id } = await client.uploads.create(given, { headers: { ...began } });
      const part = await client.uploads.parts.create(id, { data: new File(['word'], 'part') });
      const ending = { part_ids: [part.id] };
      const { file } = await client.uploads.complete(id, ending, { headers: { ...ended } });
      if (!file) throw new Error('the upload has no file');
      expect((await client.files.retrieve(file.id)) as Shown).toEqual(file);
      return file;
    };
    expect((await upload({ 'embedding-model': NAMED }, {})).embedding_model).toBe(NAMED);
    expect((await upload({ 'embedding-model': NAMED }, { 'embedding-model': OTHER })).embedding_model).toBe(
      OTHER,
    );
    expect(Object.keys(await upload({}, {}))).not.toContain('embedding_model');
  });

  test('is refused where it can be none', async () => {
    const answer = await createFile('four', { 'embedding-model': 'x'.repeat(257) }).catch((error) => error);
    expect([answer.status, answer.param]).toEqual([400, 'embedding-model']);
  });
});

describe('a vector store without a model of its own', () => {
  test("gets that of its first file which names one, instead of the operator's", async () => {
    const plain = await createFile('first plain text');
    const named = await createFile('first named text', {
      'embedding-model': NAMED,
      'embedding-param-dimensions': '32',
    });
    const { id } = await client.vectorStores.create({ file_ids: [plain.id, named.id] });
    await waitForStore(client, id);
    expect(findModels('first plain text')).toEqual([[NAMED, 32]]);
    expect(findModels('first named text')).toEqual([[NAMED, 32]]);
  });

  test('gets it by single files, by batches, and by what messages attach', async () => {
    const headers = { 'embedding-model': NAMED };
    const [alone, batched, attached] = await Promise.all(
      ['alone text', 'batched text', 'attached text'].map((text) => createFile(text, headers)),
    );
    const stores = await Promise.all([client.vectorStores.create({}), client.vectorStores.create({})]);
    await client.vectorStores.files.create(stores[0].id, { file_id: alone?.id ?? '' });
    await client.vectorStores.fileBatches.create(stores[1].id, { file_ids: [batched?.id ?? ''] });
    const thread = await client.beta.threads.create({
      messages: [
        {
          role: 'user',
          content: 'Read it.',
          attachments: [{ file_id: attached?.id ?? '', tools: [{ type: 'file_search' }] }],
        },
      ],
    });
    const ofThread = thread.tool_resources?.file_search?.vector_store_ids ?? [];
    for (const id of [...stores.map(({ id }) => id), ...ofThread]) await waitForStore(client, id);
    for (const text of ['alone text', 'batched text', 'attached text']) {
      expect(findModels(text)).toEqual([[NAMED, null]]);
    }
  });

  test('gets the one that the request names, if it does', async () => {
    const named = await createFile('overruled text', { 'embedding-model': NAMED });
    const { id } = await client.vectorStores.create(
      { file_ids: [named.id] },
      { headers: { 'embedding-model': OTHER } },
    );
    await waitForStore(client, id);
    expect(findModels('overruled text')).toEqual([[OTHER, null]]);
  });
});

test('a vector store with a model reads every file by it, whatever the file was uploaded for', async () => {
  const plain = await createFile('decides the store');
  const named = await createFile('comes second', { 'embedding-model': NAMED });
  const { id } = await client.vectorStores.create({ file_ids: [plain.id] });
  await client.vectorStores.files.create(id, { file_id: named.id });
  expect((await waitForStore(client, id)).file_counts.completed).toBe(2);
  expect(findModels('comes second')).toEqual([[OPERATORS, null]]);
});
