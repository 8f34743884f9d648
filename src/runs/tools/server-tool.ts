/** A tool that the server itself carries out (retrieval is one), as a port: the run loop knows no more of it. */

import type { ChatTool, RequestHeaders } from '../../providers/provider.ts';
import type { FileSearchRecord, FoundPassage, ModelCall, RunRecord } from '../run-records.ts';

/** The calls that steps can show besides functions and code. */
export type ServerCallRecord = FileSearchRecord;

export interface ServerToolResult {
  /** What the model reads, besides what was found. */
  readonly output: string;
  /** What the model is shown under markers, and may cite; absent for tools that find nothing of the kind. */
  readonly found?: readonly FoundPassage[];
  /** What the client sees in the step, without the texts that were found. */
  readonly record: ServerCallRecord;
}

/** For whom a tool works. */
export interface ToolContext {
  readonly run: RunRecord;
  readonly tenant: string;
  /** Of the request that the run was started by; they may hold keys, and are kept nowhere. */
  readonly headers: RequestHeaders;
  readonly requestId: string;
  readonly signal: AbortSignal;
}

export interface CallContext extends ToolContext {
  /** Counts the calls of the run: no other call of it has this number. */
  readonly number: number;
  /** What the model can be shown of the answer without anything else having to leave the prompt. */
  readonly tokensMax: number;
}

export interface ServerTool {
  /** Offered where the run's `tools` hold this type. */
  readonly type: RunRecord['tools'][number]['type'];
  /**
   * How the model is told of it; the function's name is what calls are recognised by, and none of the names of the
   * run's own functions.
   */
  toChatTool(run: RunRecord): ChatTool;
  /** The call as it is announced before it was carried out. */
  toRecord(call: ModelCall): ServerCallRecord;
  /** The call that is made for a model that cannot make any; null where there is nothing to ask for. */
  toUnaskedArguments(words: readonly string[]): string | null;
  /** Waits, before the first turn, for what the tool needs. Errors: the signal's reason. */
  prepare(context: ToolContext): Promise<void>;
  /** Carries the call out. What goes wrong because of the model's arguments is an `output`; a throw fails the run. */
  execute(call: ModelCall, context: CallContext): Promise<ServerToolResult>;
}

/** The tools of this run that the server carries out, by the name that the model calls them with. */
export function toServerTools(run: RunRecord, all: readonly ServerTool[]): ReadonlyMap<string, ServerTool> {
  const offered = all.filter((tool) => run.tools.some(({ type }) => type === tool.type));
  return new Map(offered.map((tool) => [toFunctionName(tool.toChatTool(run)), tool]));
}

function toFunctionName(tool: ChatTool): string {
  return tool.type === 'function' ? tool.function.name : tool.custom.name;
}
