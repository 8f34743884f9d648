/** A client's body for Chat Completions, checked as far as providers read it that do not hand it on as it is. */

import { type JsonRecord, toList, toRecord } from '../json-values.ts';
import { type ChatRequest, ProviderError } from '../provider.ts';

const ROLES: ReadonlySet<unknown> = new Set(['system', 'developer', 'user', 'assistant', 'tool', 'function']);
const CHOICES_MAX = 16;

export interface RelayedChat {
  readonly request: ChatRequest;
  readonly isStream: boolean;
  readonly includesUsage: boolean;
  /** `n` of the request. */
  readonly choiceCount: number;
}

/** Throws `ProviderError` (`invalid_request`) that names the parameter at fault. */
export function readRelayedChat(body: JsonRecord): RelayedChat {
  checkMessages(body.messages);
  checkTools(body.tools);
  for (const name of ['max_completion_tokens', 'max_tokens']) checkAllowance(name, body[name]);
  const count = body.n ?? 1;
  if (typeof count !== 'number' || !Number.isInteger(count) || count < 1 || count > CHOICES_MAX) {
    throw refuse('n', `'n' must be a whole number between 1 and ${CHOICES_MAX}.`);
  }
  return {
    // What is read of a request from here on has been checked above, or is checked where it is read.
    request: body as unknown as ChatRequest,
    isStream: body.stream === true,
    includesUsage: toRecord(body.stream_options)?.include_usage === true,
    choiceCount: count,
  };
}

function checkMessages(messages: unknown): void {
  if (!Array.isArray(messages)) throw refuse('messages', "'messages' must be a list.");
  for (const [at, value] of messages.entries()) {
    const message = toRecord(value);
    if (message === null || !ROLES.has(message.role)) {
      throw refuse(`messages[${at}].role`, `'messages[${at}]' must have a known role.`);
    }
    const { content } = message;
    if (content !== undefined && content !== null && typeof content !== 'string' && !Array.isArray(content)) {
      throw refuse(`messages[${at}].content`, `'messages[${at}].content' must be a text or a list of parts.`);
    }
    checkCalls(at, message.tool_calls);
  }
}

function checkCalls(at: number, calls: unknown): void {
  if (calls === undefined || calls === null) return;
  const isList = Array.isArray(calls) && calls.every((call) => hasName(call));
  if (!isList)
    throw refuse(`messages[${at}].tool_calls`, `'messages[${at}].tool_calls' must be a list of calls.`);
}

function checkTools(tools: unknown): void {
  if (tools === undefined || tools === null) return;
  if (!Array.isArray(tools)) throw refuse('tools', "'tools' must be a list.");
  for (const [at, tool] of toList(tools).entries()) {
    if (!hasName(tool)) throw refuse(`tools[${at}].function.name`, `'tools[${at}]' must have a name.`);
  }
}

/** Whether it is a function (or a call of one) with a name; other kinds are passed over later. */
function hasName(value: unknown): boolean {
  const tool = toRecord(value);
  if (tool === null) return false;
  if (tool.type !== 'function') return typeof tool.type === 'string';
  const name = toRecord(tool.function)?.name;
  return typeof name === 'string' && name !== '';
}

function checkAllowance(name: string, value: unknown): void {
  if (value === undefined || value === null) return;
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 1) {
    throw refuse(name, `'${name}' must be a whole number of at least 1.`);
  }
}

function refuse(param: string, message: string): ProviderError {
  return new ProviderError('invalid_request', message, { status: 400, param });
}
