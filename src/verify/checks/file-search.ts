/** Runs that search files. */

import type { Check, CheckContext } from '../check.ts';
import { toRunRules } from '../event-rules.ts';
import { expect } from '../outcome.ts';
import { needAssistant } from './assistants.ts';
import { needFile } from './files.ts';
import { awaitRest } from './runs.ts';
import { needStore } from './vector-stores.ts';

export const FILE_SEARCH_CHECKS: readonly Check[] = Object.freeze([
  {
    group: 'file search',
    operation: 'createThreadAndRun',
    note: 'with file_search',
    async run(context) {
      const { client } = context;
      const fileId = needFile(context);
      const created = await client.beta.threads.createAndRun(toRequest(context));
      const { id, thread_id, status } = await awaitRest(context, created);
      expect(status === 'completed', `the run ended ${status}`);
      const steps = await client.beta.threads.runs.steps.list(id, { thread_id });
      const calls = steps.data.flatMap(({ step_details: details }) =>
        details.type === 'tool_calls' ? details.tool_calls : [],
      );
      expect(
        calls.some(({ type }) => type === 'file_search'),
        'no step searched',
      );
      if (!context.target.isRehearsal) return;
      const { data } = await client.beta.threads.messages.list(thread_id, { run_id: id });
      const [part] = data[0]?.content ?? [];
      expect(part?.type === 'text', 'there is no text');
      const cited = part.text.annotations.map((note) =>
        note.type === 'file_citation' ? note.file_citation.file_id : '',
      );
      expect(cited.includes(fileId), 'the file is not cited');
    },
  },
  {
    group: 'file search',
    operation: 'createThreadAndRun',
    note: 'with file_search, streamed',
    events: toRunRules([
      'thread.created',
      'thread.run.created',
      'thread.run.queued',
      'thread.run.in_progress',
      'thread.run.step.created*',
      'thread.run.step.in_progress*',
      'thread.run.step.delta*',
      'thread.run.step.completed*',
      'thread.message.created',
      'thread.message.in_progress',
      'thread.message.delta*',
      'thread.message.completed',
      'thread.run.completed',
      'done',
    ]),
    async run(context) {
      const stream = await context.client.beta.threads.createAndRun({ ...toRequest(context), stream: true });
      let searches = 0;
      for await (const { event, data } of stream) {
        if (event === 'thread.run.step.completed' && data.type === 'tool_calls') searches += 1;
      }
      expect(searches > 0, 'no step searched');
    },
  },
] satisfies Check[]);

function toRequest(context: CheckContext) {
  return {
    assistant_id: needAssistant(context),
    instructions: 'Answer from the files alone.',
    tools: [{ type: 'file_search' as const }],
    tool_resources: { file_search: { vector_store_ids: [needStore(context)] } },
    thread: {
      metadata: { tag: context.tag },
      messages: [{ role: 'user' as const, content: 'When may guests check in, by the house rules?' }],
      tool_resources: { file_search: { vector_store_ids: [needStore(context)] } },
    },
  };
}
