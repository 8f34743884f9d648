/** What becomes of the calls of one turn: the server's own are carried out, the client's are asked for. */

import { toCallDelta } from '../deltas.ts';
import type { RunEvent } from '../events.ts';
import type {
  AnsweredCall,
  FunctionCallRecord,
  ModelCall,
  RunRecord,
  ToolCallRecord,
} from '../run-records.ts';
import { toSpanProblem } from '../run-trace.ts';
import type { RunWork } from '../run-work.ts';
import { withContent } from '../step-views.ts';
import type { TurnRecorder } from '../turn-recorder.ts';
import type { ServerCallRecord, ToolContext } from './server-tool.ts';

export interface SettledCalls {
  /** All calls in the model's order, as the step shows them. */
  readonly records: ToolCallRecord[];
  /** Those that the client has to answer. */
  readonly open: readonly FunctionCallRecord[];
  /** Those that the server has answered. */
  readonly answered: readonly AnsweredCall[];
  readonly events: readonly RunEvent[];
}

/**
 * Carries out the server's calls side by side. `firstNumber` is how many calls the run has made before, `tokensMax` what
 * all answers together may have. Throws what a tool throws.
 */
export async function answerServerCalls(
  recorder: TurnRecorder,
  work: RunWork,
  { firstNumber, tokensMax }: { readonly firstNumber: number; readonly tokensMax: number },
): Promise<SettledCalls> {
  const { calls } = recorder;
  const { serverTools } = recorder.context;
  const own = calls.filter((call) => serverTools.has(call.name));
  const context = { ...toToolContext(work), tokensMax: Math.floor(tokensMax / Math.max(1, own.length)) };
  const settle = async (call: ModelCall, index: number) => {
    const tool = serverTools.get(call.name);
    if (tool === undefined) return { open: toFunctionCall(call) };
    const span = work.startSpan(`execute_tool ${call.name}`, {
      attributes: { 'gen_ai.operation.name': 'execute_tool', 'gen_ai.tool.name': call.name },
    });
    try {
      const { record, ...answer } = await tool.execute(call, { ...context, number: firstNumber + index });
      return { record, answer: { ...call, ...answer } };
    } catch (error) {
      span.end(toSpanProblem(error));
      throw error;
    } finally {
      span.end();
    }
  };
  const settled = await Promise.all(calls.map(settle));
  const stepId = recorder.openToolStep?.id ?? '';
  const toEvent = (record: ServerCallRecord, index: number, found: AnsweredCall['found']): RunEvent => {
    // The id was announced with the call: what adds up deltas would write it twice.
    const { id: _, ...rest } = work.view.content ? withContent(record, found ?? []) : record;
    return toCallDelta(stepId, index, rest);
  };
  return {
    records: settled.map(({ open, record }) => open ?? record),
    open: settled.flatMap(({ open }) => open ?? []),
    answered: settled.flatMap(({ answer }) => answer ?? []),
    events: settled.flatMap(({ record, answer }, index) =>
      record ? [toEvent(record, index, answer.found)] : [],
    ),
  };
}

export function toToolContext(work: RunWork): ToolContext {
  const { writer, headers, requestId, signal } = work;
  return { run: writer.run, tenant: writer.tenant, headers, requestId, signal };
}

/** A call of the client's as it is kept, without an output yet. */
export function toFunctionCall(call: ModelCall): FunctionCallRecord {
  return {
    id: call.id,
    type: 'function',
    function: { name: call.name, arguments: call.arguments, output: null },
  };
}

export function toRequiredAction(
  calls: readonly FunctionCallRecord[],
): NonNullable<RunRecord['required_action']> {
  return {
    type: 'submit_tool_outputs',
    submit_tool_outputs: {
      tool_calls: calls.map(({ id, function: { name, arguments: args } }) => ({
        id,
        type: 'function',
        function: { name, arguments: args },
      })),
    },
  };
}
