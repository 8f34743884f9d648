/** Deletions, and a cancel that takes a file out of its store: all that would be in the way of other checks. */

import { type Check, poll } from '../check.ts';
import { expect, need } from '../outcome.ts';
import { needAssistant } from './assistants.ts';
import { needFile } from './files.ts';
import { needThread } from './threads.ts';
import { needStore } from './vector-stores.ts';

const NOT_SAID = 'it does not say that it is deleted';

export const DELETION_CHECKS: readonly Check[] = Object.freeze([
  {
    group: 'messages',
    operation: 'deleteMessage',
    async run(context) {
      const thread_id = needThread(context);
      need(context.made.messageId, 'createMessage');
      const { messages } = context.client.beta.threads;
      const { id } = await messages.create(thread_id, { role: 'user', content: 'A message that goes.' });
      expect((await messages.delete(id, { thread_id })).deleted, NOT_SAID);
      const page = await messages.list(thread_id, { limit: 100 });
      expect(!page.data.some((message) => message.id === id), 'it is still there');
    },
  },
  // Here, because a file whose batch is cancelled is not found any more.
  {
    group: 'batches',
    operation: 'cancelVectorStoreFileBatch',
    async run(context) {
      const vector_store_id = needStore(context);
      need(context.made.batchId, 'createVectorStoreFileBatch');
      const { fileBatches } = context.client.vectorStores;
      const { id } = await fileBatches.create(vector_store_id, { file_ids: [needFile(context)] });
      await fileBatches.cancel(id, { vector_store_id });
      const ask = () => fileBatches.retrieve(id, { vector_store_id });
      // It may have been done before it was cancelled.
      await poll(context, ask, ({ status }) => status !== 'in_progress');
    },
  },
  {
    group: 'files in vector stores',
    operation: 'deleteVectorStoreFile',
    async run(context) {
      const deleted = await context.client.vectorStores.files.delete(needFile(context), {
        vector_store_id: needStore(context),
      });
      expect(deleted.deleted, NOT_SAID);
    },
  },
  {
    group: 'vector stores',
    operation: 'deleteVectorStore',
    async run(context) {
      expect((await context.client.vectorStores.delete(needStore(context))).deleted, NOT_SAID);
    },
  },
  {
    group: 'files',
    operation: 'deleteFile',
    async run(context) {
      expect((await context.client.files.delete(needFile(context))).deleted, NOT_SAID);
    },
  },
  {
    group: 'threads',
    operation: 'deleteThread',
    async run(context) {
      expect((await context.client.beta.threads.delete(needThread(context))).deleted, NOT_SAID);
    },
  },
  {
    group: 'assistants',
    operation: 'deleteAssistant',
    async run(context) {
      expect((await context.client.beta.assistants.delete(needAssistant(context))).deleted, NOT_SAID);
    },
  },
] satisfies Check[]);
