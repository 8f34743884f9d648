/** Threads and messages, but their deletion. */

import type { Check, CheckContext } from '../check.ts';
import { readField } from '../event-rules.ts';
import { expect, need } from '../outcome.ts';

const TEXT = 'The first words.';

export const THREAD_CHECKS: readonly Check[] = Object.freeze([
  {
    group: 'threads',
    operation: 'createThread',
    async run({ client, made, tag }) {
      const thread = await client.beta.threads.create({
        messages: [{ role: 'user', content: TEXT }],
        metadata: { tag },
      });
      made.threadId = thread.id;
      expect(thread.metadata?.tag === tag, 'its metadata is not what was sent');
    },
  },
  {
    group: 'threads',
    operation: 'getThread',
    async run(context) {
      const id = needThread(context);
      expect((await context.client.beta.threads.retrieve(id)).id === id, 'it is another thread');
    },
  },
  {
    group: 'threads',
    operation: 'modifyThread',
    async run(context) {
      const { client, tag } = context;
      const changed = await client.beta.threads.update(needThread(context), {
        metadata: { tag, more: 'yes' },
      });
      expect(changed.metadata?.more === 'yes', 'its metadata is not changed');
    },
  },
  {
    group: 'threads',
    operation: 'listThreads',
    note: 'an extension',
    isExtension: true,
    async run(context) {
      const id = needThread(context);
      const page = await context.client.get('/threads', { query: { limit: 100, order: 'desc' } });
      const data = readField(page, 'data');
      expect(
        Array.isArray(data) && data.some((thread) => readField(thread, 'id') === id),
        'it lacks the thread',
      );
    },
  },
  {
    group: 'messages',
    operation: 'createMessage',
    async run(context) {
      const { client, made } = context;
      const message = await client.beta.threads.messages.create(needThread(context), {
        role: 'user',
        content: [{ type: 'text', text: 'A message that stays.' }],
      });
      made.messageId = message.id;
      expect(toFirstText(message) === 'A message that stays.', 'its text is not what was sent');
    },
  },
  {
    group: 'messages',
    operation: 'getMessage',
    async run(context) {
      const message = await context.client.beta.threads.messages.retrieve(needMessage(context), {
        thread_id: needThread(context),
      });
      expect(toFirstText(message) === 'A message that stays.', 'its text is not what was sent');
    },
  },
  {
    group: 'messages',
    operation: 'modifyMessage',
    async run(context) {
      const changed = await context.client.beta.threads.messages.update(needMessage(context), {
        thread_id: needThread(context),
        metadata: { more: 'yes' },
      });
      expect(readField(changed.metadata, 'more') === 'yes', 'its metadata is not changed');
    },
  },
  {
    group: 'messages',
    operation: 'listMessages',
    async run(context) {
      const id = needMessage(context);
      const page = await context.client.beta.threads.messages.list(needThread(context), { order: 'asc' });
      const texts = page.data.map(toFirstText);
      expect(texts[0] === TEXT && page.data[1]?.id === id, 'they are not in the order of their making');
    },
  },
] satisfies Check[]);

export function needThread({ made }: Pick<CheckContext, 'made'>): string {
  return need(made.threadId, 'createThread');
}

function needMessage({ made }: Pick<CheckContext, 'made'>): string {
  return need(made.messageId, 'createMessage');
}

function toFirstText(message: { content: readonly unknown[] }): unknown {
  return readField(readField(message.content[0], 'text'), 'value');
}
