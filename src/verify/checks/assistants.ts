/** Assistants, but their deletion. */

import type { Check, CheckContext } from '../check.ts';
import { expect, need } from '../outcome.ts';

const NAME = 'verify';

export const ASSISTANT_CHECKS: readonly Check[] = Object.freeze([
  {
    group: 'assistants',
    operation: 'createAssistant',
    async run({ client, made, tag, target }) {
      const assistant = await client.beta.assistants.create({
        model: target.model,
        name: NAME,
        instructions: 'Answer in one short sentence.',
        metadata: { tag },
      });
      made.assistantId = assistant.id;
      expect(assistant.name === NAME && assistant.metadata?.tag === tag, 'it is not what was sent');
    },
  },
  {
    group: 'assistants',
    operation: 'getAssistant',
    async run(context) {
      const id = needAssistant(context);
      const assistant = await context.client.beta.assistants.retrieve(id);
      expect(assistant.id === id && assistant.name === NAME, 'it is not what was made');
    },
  },
  {
    group: 'assistants',
    operation: 'modifyAssistant',
    async run(context) {
      const id = needAssistant(context);
      const changed = await context.client.beta.assistants.update(id, { description: 'changed' });
      expect(changed.description === 'changed', 'the description is not changed');
      expect(changed.name === NAME, 'the name is not kept');
    },
  },
  {
    group: 'assistants',
    operation: 'listAssistants',
    async run(context) {
      const id = needAssistant(context);
      const page = await context.client.beta.assistants.list({ limit: 1, order: 'desc' });
      expect(page.data.length === 1, `${page.data.length} came for a limit of 1`);
      const after = await context.client.beta.assistants.list({ limit: 1, after: id });
      expect(!after.data.some((assistant) => assistant.id === id), 'the page after it has it again');
    },
  },
] satisfies Check[]);

export function needAssistant({ made }: Pick<CheckContext, 'made'>): string {
  return need(made.assistantId, 'createAssistant');
}
