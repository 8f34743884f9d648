/** Vector stores, the files in them, batches and search, but their deletion. */

import { type Check, type CheckContext, poll } from '../check.ts';
import { expect, need } from '../outcome.ts';
import { needFile } from './files.ts';

const QUESTION = 'When may guests check in?';
const ANSWER = '3 pm';

export const VECTOR_STORE_CHECKS: readonly Check[] = Object.freeze([
  {
    group: 'vector stores',
    operation: 'createVectorStore',
    async run({ client, made, tag }) {
      const store = await client.vectorStores.create({ name: tag, metadata: { tag } });
      made.storeId = store.id;
      expect(store.name === tag, `its name is ${store.name}`);
    },
  },
  {
    group: 'vector stores',
    operation: 'getVectorStore',
    async run(context) {
      const id = needStore(context);
      expect((await context.client.vectorStores.retrieve(id)).id === id, 'it is another store');
    },
  },
  {
    group: 'vector stores',
    operation: 'modifyVectorStore',
    async run(context) {
      const { client, tag } = context;
      const store = await client.vectorStores.update(needStore(context), { metadata: { tag, more: 'yes' } });
      expect(store.metadata?.more === 'yes', 'its metadata is not changed');
    },
  },
  {
    group: 'vector stores',
    operation: 'listVectorStores',
    async run(context) {
      const id = needStore(context);
      const page = await context.client.vectorStores.list({ limit: 100, order: 'desc' });
      expect(
        page.data.some((store) => store.id === id),
        'it lacks the store',
      );
    },
  },
  {
    group: 'files in vector stores',
    operation: 'createVectorStoreFile',
    async run(context) {
      const vector_store_id = needStore(context);
      const { files } = context.client.vectorStores;
      const added = await files.create(vector_store_id, {
        file_id: needFile(context),
        attributes: { floor: 1 },
      });
      const ask = () => files.retrieve(added.id, { vector_store_id });
      const read = await poll(context, ask, ({ status }) => status !== 'in_progress');
      expect(read.status === 'completed', `it ended ${read.status}: ${read.last_error?.message ?? ''}`);
    },
  },
  {
    group: 'files in vector stores',
    operation: 'getVectorStoreFile',
    async run(context) {
      const file = await context.client.vectorStores.files.retrieve(needFile(context), {
        vector_store_id: needStore(context),
      });
      expect(file.attributes?.floor === 1, 'its attributes are not what was sent');
    },
  },
  {
    group: 'files in vector stores',
    operation: 'updateVectorStoreFileAttributes',
    async run(context) {
      const file = await context.client.vectorStores.files.update(needFile(context), {
        vector_store_id: needStore(context),
        attributes: { floor: 2 },
      });
      expect(file.attributes?.floor === 2, 'its attributes are not changed');
    },
  },
  {
    group: 'files in vector stores',
    operation: 'listVectorStoreFiles',
    async run(context) {
      const id = needFile(context);
      const page = await context.client.vectorStores.files.list(needStore(context));
      expect(
        page.data.some((file) => file.id === id),
        'it lacks the file',
      );
    },
  },
  {
    group: 'files in vector stores',
    operation: 'retrieveVectorStoreFileContent',
    async run(context) {
      const page = await context.client.vectorStores.files.content(needFile(context), {
        vector_store_id: needStore(context),
      });
      expect(
        page.data
          .map(({ text }) => text ?? '')
          .join('')
          .includes(ANSWER),
        'its text is not there',
      );
    },
  },
  {
    group: 'search',
    operation: 'searchVectorStore',
    async run(context) {
      const { data } = await context.client.vectorStores.search(needStore(context), { query: QUESTION });
      expect(data[0]?.file_id === needFile(context), 'the file is not found');
      expect(
        data[0].content.some(({ text }) => text.includes(ANSWER)),
        'the passage is not the one asked for',
      );
    },
  },
  {
    group: 'search',
    operation: 'searchVectorStore',
    note: 'with filters',
    async run(context) {
      const filters = (value: number) => ({ type: 'eq' as const, key: 'floor', value });
      const search = (value: number) =>
        context.client.vectorStores.search(needStore(context), { query: QUESTION, filters: filters(value) });
      expect((await search(2)).data.length > 0, 'what the filter allows is not found');
      expect((await search(3)).data.length === 0, 'what the filter forbids is found');
    },
  },
  {
    group: 'batches',
    operation: 'createVectorStoreFileBatch',
    async run(context) {
      const vector_store_id = needStore(context);
      const { fileBatches } = context.client.vectorStores;
      const batch = await fileBatches.create(vector_store_id, { file_ids: [needFile(context)] });
      context.made.batchId = batch.id;
      const ask = () => fileBatches.retrieve(batch.id, { vector_store_id });
      const read = await poll(context, ask, ({ status }) => status !== 'in_progress');
      expect(read.status === 'completed' && read.file_counts.completed === 1, `it ended ${read.status}`);
    },
  },
  {
    group: 'batches',
    operation: 'getVectorStoreFileBatch',
    async run(context) {
      const id = needBatch(context);
      const batch = await context.client.vectorStores.fileBatches.retrieve(id, {
        vector_store_id: needStore(context),
      });
      expect(batch.id === id, 'it is another batch');
    },
  },
  {
    group: 'batches',
    operation: 'listFilesInVectorStoreBatch',
    async run(context) {
      const page = await context.client.vectorStores.fileBatches.listFiles(needBatch(context), {
        vector_store_id: needStore(context),
      });
      expect(page.data.length === 1, `it has ${page.data.length} files, not 1`);
    },
  },
] satisfies Check[]);

export function needStore({ made }: Pick<CheckContext, 'made'>): string {
  return need(made.storeId, 'createVectorStore');
}

function needBatch({ made }: Pick<CheckContext, 'made'>): string {
  return need(made.batchId, 'createVectorStoreFileBatch');
}
