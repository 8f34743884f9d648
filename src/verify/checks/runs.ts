/** Runs that answer with text, awaited and streamed, and their steps. */

import type OpenAI from 'openai';
import { type Check, type CheckContext, poll } from '../check.ts';
import { toRunRules } from '../event-rules.ts';
import { expect, need } from '../outcome.ts';
import { needAssistant } from './assistants.ts';
import { GREETING } from './prompts.ts';
import { needThread } from './threads.ts';

type Run = OpenAI.Beta.Threads.Run;

const AT_WORK: readonly string[] = ['queued', 'in_progress', 'cancelling'];

const BEGINNING = ['thread.run.created', 'thread.run.queued', 'thread.run.in_progress'];
const ANSWERED = [
  'thread.run.step.created',
  'thread.run.step.in_progress',
  'thread.message.created',
  'thread.message.in_progress',
  'thread.message.delta*',
  'thread.message.completed',
  'thread.run.step.completed',
  'thread.run.completed',
  'done',
];
export const ANSWER_RULES = toRunRules([...BEGINNING, ...ANSWERED]);

export const RUN_CHECKS: readonly Check[] = Object.freeze([
  {
    group: 'runs',
    operation: 'createRun',
    async run(context) {
      const { client, made } = context;
      const run = await client.beta.threads.runs.create(needThread(context), {
        assistant_id: needAssistant(context),
      });
      made.runId = run.id;
      await expectCompleted(context, run);
    },
  },
  {
    group: 'runs',
    operation: 'getRun',
    async run(context) {
      const run = await context.client.beta.threads.runs.retrieve(needRun(context), {
        thread_id: needThread(context),
      });
      expect((run.usage?.total_tokens ?? 0) > 0, 'there is no usage');
    },
  },
  {
    group: 'runs',
    operation: 'modifyRun',
    async run(context) {
      const run = await context.client.beta.threads.runs.update(needRun(context), {
        thread_id: needThread(context),
        metadata: { more: 'yes' },
      });
      expect(run.metadata?.more === 'yes', 'its metadata is not changed');
    },
  },
  {
    group: 'runs',
    operation: 'listRuns',
    async run(context) {
      const id = needRun(context);
      const page = await context.client.beta.threads.runs.list(needThread(context));
      expect(
        page.data.some((run) => run.id === id),
        'it lacks the run',
      );
    },
  },
  {
    group: 'steps',
    operation: 'listRunSteps',
    async run(context) {
      const page = await context.client.beta.threads.runs.steps.list(needRun(context), {
        thread_id: needThread(context),
      });
      const [step] = page.data;
      if (step !== undefined) context.made.stepId = step.id;
      expect(step?.type === 'message_creation', 'no step made a message');
    },
  },
  {
    group: 'steps',
    operation: 'getRunStep',
    async run(context) {
      const step = await context.client.beta.threads.runs.steps.retrieve(
        need(context.made.stepId, 'listRunSteps'),
        {
          thread_id: needThread(context),
          run_id: needRun(context),
        },
      );
      expect(step.status === 'completed', `its status is ${step.status}`);
    },
  },
  {
    group: 'messages',
    operation: 'listMessages',
    note: 'of a run',
    async run(context) {
      const page = await context.client.beta.threads.messages.list(needThread(context), {
        run_id: needRun(context),
      });
      expect(page.data.length === 1 && page.data[0]?.role === 'assistant', 'the answer is not alone there');
    },
  },
  {
    group: 'runs',
    operation: 'createRun',
    note: 'streamed',
    events: ANSWER_RULES,
    async run(context) {
      const stream = await context.client.beta.threads.runs.create(needThread(context), {
        assistant_id: needAssistant(context),
        stream: true,
      });
      for await (const _event of stream);
    },
  },
  {
    group: 'runs',
    operation: 'createRun',
    note: "with the SDK's stream helper",
    isStreamed: true,
    async run(context) {
      const stream = context.client.beta.threads.runs.stream(needThread(context), {
        assistant_id: needAssistant(context),
        additional_messages: [{ role: 'user', content: GREETING }],
      });
      const told: string[] = [];
      stream.on('textDelta', ({ value }) => void told.push(value ?? ''));
      const [message] = await stream.finalMessages();
      const [part] = message?.content ?? [];
      expect(
        part?.type === 'text' && part.text.value === told.join(''),
        'its text is not that of its deltas',
      );
      expect((await stream.finalRun()).status === 'completed', 'the run is not completed');
    },
  },
  {
    group: 'runs',
    operation: 'createThreadAndRun',
    async run(context) {
      const run = await context.client.beta.threads.createAndRun({
        assistant_id: needAssistant(context),
        thread: { metadata: { tag: context.tag }, messages: [{ role: 'user', content: GREETING }] },
      });
      context.made.threadRunId = run.id;
      await expectCompleted(context, run);
    },
  },
  {
    group: 'runs',
    operation: 'createThreadAndRun',
    note: 'streamed',
    events: toRunRules(['thread.created', ...BEGINNING, ...ANSWERED]),
    async run(context) {
      const stream = await context.client.beta.threads.createAndRun({
        assistant_id: needAssistant(context),
        thread: { metadata: { tag: context.tag }, messages: [{ role: 'user', content: GREETING }] },
        stream: true,
      });
      for await (const _event of stream);
    },
  },
] satisfies Check[]);

export function needRun({ made }: Pick<CheckContext, 'made'>): string {
  return need(made.runId, 'createRun');
}

/** The run as it is when nobody works on it. */
export async function awaitRest(context: CheckContext, run: Run): Promise<Run> {
  const ask = () => context.client.beta.threads.runs.retrieve(run.id, { thread_id: run.thread_id });
  return await poll(context, ask, ({ status }) => !AT_WORK.includes(status));
}

export async function expectCompleted(context: CheckContext, run: Run): Promise<void> {
  const { status, last_error: error } = await awaitRest(context, run);
  expect(status === 'completed', `the run ended ${status}${error === null ? '' : `: ${error.message}`}`);
}
