/** Runs that call a function and go on with its output. */

import type OpenAI from 'openai';
import type { Check, CheckContext } from '../check.ts';
import { toRunRules } from '../event-rules.ts';
import { toJson } from '../exchanges.ts';
import { expect, need } from '../outcome.ts';
import { needAssistant } from './assistants.ts';
import { WEATHER_FUNCTION, WEATHER_QUESTION } from './prompts.ts';
import { awaitRest, expectCompleted } from './runs.ts';

type Run = OpenAI.Beta.Threads.Run;

export const FUNCTION_CHECKS: readonly Check[] = Object.freeze([
  {
    group: 'function calling',
    operation: 'createThreadAndRun',
    note: 'with a function',
    async run(context) {
      const created = await context.client.beta.threads.createAndRun(toRequest(context));
      const run = await awaitRest(context, created);
      expectCall(run);
      context.made.waitingRun = run;
    },
  },
  {
    group: 'function calling',
    operation: 'submitToolOuputsToRun',
    async run(context) {
      const waiting = need(context.made.waitingRun, 'the run with a function');
      const run = await context.client.beta.threads.runs.submitToolOutputs(waiting.id, {
        thread_id: waiting.thread_id,
        tool_outputs: toOutputs(waiting),
      });
      await expectCompleted(context, run);
    },
  },
  {
    group: 'function calling',
    operation: 'createThreadAndRun',
    note: 'with a function, streamed',
    events: toRunRules([
      'thread.created',
      'thread.run.created',
      'thread.run.queued',
      'thread.run.in_progress',
      'thread.run.step.created',
      'thread.run.step.in_progress',
      'thread.run.step.delta*',
      'thread.run.requires_action',
      'done',
    ]),
    async run(context) {
      const stream = await context.client.beta.threads.createAndRun({ ...toRequest(context), stream: true });
      let waiting: Run | undefined;
      for await (const { event, data } of stream) {
        if (event === 'thread.run.requires_action') waiting = data;
      }
      if (waiting !== undefined) context.made.streamedWaitingRun = waiting;
    },
  },
  {
    group: 'function calling',
    operation: 'submitToolOuputsToRun',
    note: 'streamed',
    events: toRunRules([
      'thread.run.step.completed*',
      'thread.run.queued',
      'thread.run.in_progress',
      'thread.run.step.created',
      'thread.run.step.in_progress',
      'thread.message.created',
      'thread.message.in_progress',
      'thread.message.delta*',
      'thread.message.completed',
      'thread.run.completed',
      'done',
    ]),
    async run(context) {
      const waiting = need(context.made.streamedWaitingRun, 'the streamed run with a function');
      const stream = await context.client.beta.threads.runs.submitToolOutputs(waiting.id, {
        thread_id: waiting.thread_id,
        tool_outputs: toOutputs(waiting),
        stream: true,
      });
      for await (const _event of stream);
    },
  },
] satisfies Check[]);

function toRequest(context: CheckContext) {
  return {
    assistant_id: needAssistant(context),
    thread: {
      metadata: { tag: context.tag },
      messages: [{ role: 'user' as const, content: WEATHER_QUESTION }],
    },
    tools: [WEATHER_FUNCTION],
    tool_choice: { type: 'function' as const, function: { name: WEATHER_FUNCTION.function.name } },
  };
}

function toCalls(run: Run) {
  return run.required_action?.submit_tool_outputs.tool_calls ?? [];
}

function expectCall(run: Run): void {
  expect(run.status === 'requires_action', `the run ended ${run.status}`);
  const [call] = toCalls(run);
  expect(call?.function.name === WEATHER_FUNCTION.function.name, 'no function is called');
  expect(typeof toJson(call.function.arguments) === 'object', 'the arguments are no JSON');
}

function toOutputs(run: Run) {
  return toCalls(run).map(({ id }) => ({ tool_call_id: id, output: '12 degrees and sunny' }));
}
