/** Rules that the tools of an assistant and of a run share, beyond what their schemas say. */

import { ApiError } from '../errors.ts';
import type { AssistantObject } from '../schemas/generated/assistants.ts';
import type { CreateRunRequest } from '../schemas/generated/runs.ts';

export type AssistantTool = AssistantObject['tools'][number];

const FUNCTION_NAME = /^[a-zA-Z0-9_-]{1,64}$/;

/** Checks names and repetition. Errors: 400 naming the tool. */
export function checkTools(tools: readonly AssistantTool[]): void {
  const seen = new Set<string>();
  for (const [index, tool] of tools.entries()) {
    if (tool.type !== 'function') continue;
    const { name } = tool.function;
    const param = `tools[${index}].function.name`;
    if (!FUNCTION_NAME.test(name)) {
      throw ApiError.invalidValue(
        param,
        `Invalid '${param}': a name is 1 to 64 characters of a-z, A-Z, 0-9, underscores and dashes.`,
      );
    }
    if (seen.has(name)) {
      throw ApiError.invalidValue(
        param,
        `Invalid '${param}': the function '${name}' is defined more than once.`,
      );
    }
    seen.add(name);
  }
}

/**
 * Refuses a run that would need a tool that this server does not have.
 * Errors: 400 naming `tools`.
 */
export function refuseMissingTools(tools: readonly AssistantTool[]): void {
  if (tools.some((tool) => tool.type === 'code_interpreter')) {
    throw ApiError.invalidRequest(
      "This server has no code interpreter: a run cannot use tools of type 'code_interpreter'. Give the run its own 'tools', or take the tool off the assistant.",
      'tools',
    );
  }
}

/** A forced function must be one of the tools. Errors: 400 naming `tool_choice`. */
export function checkToolChoice(
  choice: CreateRunRequest['tool_choice'] | null,
  tools: readonly AssistantTool[],
): void {
  if (choice === null || choice === undefined) return;
  if (choice === 'required' && tools.length === 0) {
    throw ApiError.invalidValue(
      'tool_choice',
      "Invalid 'tool_choice': a tool is required, but the run has no tools.",
    );
  }
  if (typeof choice === 'string') return;
  const { type } = choice;
  const name = type === 'function' ? choice.function?.name : undefined;
  const isOffered = tools.some(
    (tool) => tool.type === type && (tool.type !== 'function' || tool.function.name === name),
  );
  if (isOffered) return;
  const what = name === undefined ? `a tool of type '${type}'` : `the function '${name}'`;
  throw ApiError.invalidValue(
    'tool_choice',
    `Invalid 'tool_choice': ${what} is not among the tools of the run.`,
  );
}
