/** Runs that do not end with an answer: cancelled, cut short, failed. */

import { type Check, type CheckContext, poll } from '../check.ts';
import { toRunRules } from '../event-rules.ts';
import { CheckSkipped, expect, need } from '../outcome.ts';
import { needAssistant } from './assistants.ts';
import { FEW_TOKENS, toBigQuestion, toLongQuestion } from './prompts.ts';
import { awaitRest } from './runs.ts';

const BEGINNING = [
  'thread.created',
  'thread.run.created',
  'thread.run.queued',
  'thread.run.in_progress',
  'thread.run.step.created',
  'thread.run.step.in_progress',
];
const SPEAKING = [
  ...BEGINNING,
  'thread.message.created',
  'thread.message.in_progress',
  'thread.message.delta*',
];

export const RUN_ENDING_CHECKS: readonly Check[] = Object.freeze([
  {
    group: 'ends of runs',
    operation: 'cancelRun',
    async run(context) {
      need(context.made.threadRunId, 'createThreadAndRun');
      const run = await context.client.beta.threads.createAndRun({
        assistant_id: needAssistant(context),
        thread: toThread(context, toLongQuestion(context.target)),
      });
      const { id, thread_id } = run;
      await poll(
        context,
        () => context.client.beta.threads.runs.retrieve(id, { thread_id }),
        ({ status }) => status !== 'queued',
      );
      await context.client.beta.threads.runs.cancel(id, { thread_id });
      const { status } = await awaitRest(context, run);
      expect(status === 'cancelled', `the run ended ${status}`);
    },
  },
  {
    group: 'ends of runs',
    operation: 'createThreadAndRun',
    note: 'cancelled while it streams',
    events: toRunRules([
      ...SPEAKING,
      '~thread.run.cancelling',
      '~thread.message.incomplete',
      '~thread.run.step.cancelled',
      'thread.run.cancelled',
      'done',
    ]),
    async run(context) {
      const stream = await context.client.beta.threads.createAndRun({
        assistant_id: needAssistant(context),
        thread: toThread(context, toLongQuestion(context.target)),
        stream: true,
      });
      let [threadId, runId, isCancelled] = ['', '', false];
      for await (const { event, data } of stream) {
        if (event === 'thread.run.created') [runId, threadId] = [data.id, data.thread_id];
        if (event !== 'thread.message.delta' || isCancelled) continue;
        isCancelled = true;
        await context.client.beta.threads.runs.cancel(runId, { thread_id: threadId });
      }
    },
  },
  {
    group: 'ends of runs',
    operation: 'createThreadAndRun',
    note: 'cut short by max_completion_tokens',
    events: toRunRules([
      ...SPEAKING,
      'thread.message.incomplete',
      '~thread.run.step.completed',
      'thread.run.incomplete',
      'done',
    ]),
    async run(context) {
      await readStream(context, toBigQuestion(context.target), FEW_TOKENS);
    },
  },
  {
    group: 'ends of runs',
    operation: 'createThreadAndRun',
    note: 'failed by the model',
    events: toRunRules([
      ...SPEAKING,
      'thread.message.incomplete',
      '~thread.run.step.failed',
      'thread.run.failed',
      'done',
    ]),
    async run(context) {
      if (!context.target.isRehearsal) throw new CheckSkipped('no real model fails on demand');
      await readStream(context, 'rehearsal: words 20\nrehearsal: fail midway', null);
    },
  },
] satisfies Check[]);

async function readStream(context: CheckContext, question: string, tokensMax: number | null): Promise<void> {
  const stream = await context.client.beta.threads.createAndRun({
    assistant_id: needAssistant(context),
    thread: toThread(context, question),
    max_completion_tokens: tokensMax,
    stream: true,
  });
  for await (const _event of stream);
}

function toThread({ tag }: CheckContext, content: string) {
  return { metadata: { tag }, messages: [{ role: 'user' as const, content }] };
}
