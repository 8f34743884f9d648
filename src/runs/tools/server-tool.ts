/** A tool that the server itself carries out (retrieval is one), as a port: the run loop knows no more of it. */

import type { ChatTool } from '../../providers/provider.ts';
import type { ModelCall, RunRecord, ToolCallRecord } from '../run-records.ts';

/** The calls that steps can show besides functions and code. */
export type ServerCallRecord = Extract<ToolCallRecord, { type: 'file_search' }>;

export interface ServerToolResult {
  /** What the model reads. */
  readonly output: string;
  /** What the client sees in the step. */
  readonly record: ServerCallRecord;
}

export interface ServerTool {
  /** Offered where the run's `tools` hold this type. */
  readonly type: RunRecord['tools'][number]['type'];
  /** How the model is told of it; the function's name is what calls are recognised by. */
  toChatTool(run: RunRecord): ChatTool;
  /** The call as it is announced before it was carried out. */
  toRecord(call: ModelCall): ServerCallRecord;
  /** Carries the call out. What goes wrong because of the model's arguments is an `output`; a throw fails the run. */
  execute(
    call: ModelCall,
    context: { run: RunRecord; tenant: string; signal: AbortSignal },
  ): Promise<ServerToolResult>;
}

/** The tools of this run that the server carries out, by the name that the model calls them with. */
export function toServerTools(run: RunRecord, all: readonly ServerTool[]): ReadonlyMap<string, ServerTool> {
  const offered = all.filter((tool) => run.tools.some(({ type }) => type === tool.type));
  return new Map(offered.map((tool) => [toFunctionName(tool.toChatTool(run)), tool]));
}

function toFunctionName(tool: ChatTool): string {
  return tool.type === 'function' ? tool.function.name : tool.custom.name;
}
