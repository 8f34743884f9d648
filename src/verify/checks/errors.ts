/** What a server says to requests that are wrong. */

import { APIError } from 'openai';
import type { Check } from '../check.ts';
import { CheckFailure } from '../outcome.ts';
import { needAssistant } from './assistants.ts';
import { needThread } from './threads.ts';

export const ERROR_CHECKS: readonly Check[] = Object.freeze([
  {
    group: 'errors',
    operation: 'getAssistant',
    note: 'of an id that nothing has',
    status: 404,
    async run(context) {
      needAssistant(context);
      await expectError(context.client.beta.assistants.retrieve('asst_000000000000000000000000'));
    },
  },
  {
    group: 'errors',
    operation: 'getThread',
    note: 'of an id that nothing has',
    status: 404,
    async run(context) {
      needThread(context);
      await expectError(context.client.beta.threads.retrieve('thread_000000000000000000000000'));
    },
  },
  {
    group: 'errors',
    operation: 'createMessage',
    note: 'without its role',
    status: 400,
    async run(context) {
      const path = `/threads/${needThread(context)}/messages`;
      await expectError(context.client.post(path, { body: { content: 'Whose words?' } }));
    },
  },
  {
    group: 'errors',
    operation: 'listAssistants',
    note: 'with a limit that is too high',
    status: 400,
    async run(context) {
      needAssistant(context);
      await expectError(context.client.beta.assistants.list({ limit: 101 }));
    },
  },
] satisfies Check[]);

/** The status is looked at with the answer. Errors: whatever else the client throws, and where it throws nothing. */
async function expectError(call: PromiseLike<unknown>): Promise<void> {
  try {
    await call;
  } catch (error) {
    if (error instanceof APIError && error.status !== undefined) return;
    throw error;
  }
  throw new CheckFailure('it was taken for right');
}
