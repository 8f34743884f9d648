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
import type { RunWriter } from '../run-writer.ts';
import type { TurnRecorder } from '../turn-recorder.ts';

export interface SettledCalls {
  /** All calls in the model's order, as the step shows them. */
  readonly records: ToolCallRecord[];
  /** Those that the client has to answer. */
  readonly open: readonly FunctionCallRecord[];
  /** Those that the server has answered. */
  readonly answered: readonly AnsweredCall[];
  readonly events: readonly RunEvent[];
}

/** Carries out the server's calls side by side. Throws what a tool throws. */
export async function answerServerCalls(
  recorder: TurnRecorder,
  work: { readonly writer: RunWriter; readonly signal: AbortSignal },
): Promise<SettledCalls> {
  const { writer, signal } = work;
  const settle = async (call: ModelCall) => {
    const tool = recorder.context.serverTools.get(call.name);
    if (tool === undefined) return { open: toFunctionCall(call) };
    const { record, output } = await tool.execute(call, { run: writer.run, tenant: writer.tenant, signal });
    return { record, answer: { ...call, output } };
  };
  const settled = await Promise.all(recorder.calls.map(settle));
  const stepId = recorder.openToolStep?.id ?? '';
  return {
    records: settled.map(({ open, record }) => open ?? record),
    open: settled.flatMap(({ open }) => open ?? []),
    answered: settled.flatMap(({ answer }) => answer ?? []),
    events: settled.flatMap(({ record }, index) => (record ? [toCallDelta(stepId, index, record)] : [])),
  };
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
