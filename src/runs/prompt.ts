/** The request that goes to the model: every field of the run, its thread's window, and the run's own turns. */

import type { ChatMessage, ChatRequest, ChatTool } from '../providers/provider.ts';
import type { MessageObject as MessageRecord } from '../schemas/generated/messages.ts';
import type { RunRecord } from './run-records.ts';
import { type ServerTool, toServerTools } from './tools/server-tool.ts';
import { type Turn, toTurnMessages } from './turns.ts';

export interface PromptParts {
  readonly run: RunRecord;
  /** The name that the provider knows the model by. */
  readonly model: string;
  /** Oldest first. */
  readonly messages: readonly MessageRecord[];
  readonly turns: readonly Turn[];
  readonly serverTools: readonly ServerTool[];
}

export function toChatRequest(parts: PromptParts): ChatRequest {
  const { run } = parts;
  const tools = toChatTools(run, parts.serverTools);
  const completionTokensLeft = toCompletionTokensLeft(run);
  const effort = run.internal.reasoning_effort ?? undefined;
  return {
    model: parts.model,
    messages: toMessages(parts),
    ...(run.temperature === null || run.temperature === undefined ? {} : { temperature: run.temperature }),
    ...(run.top_p === null || run.top_p === undefined ? {} : { top_p: run.top_p }),
    ...(completionTokensLeft === null ? {} : { max_completion_tokens: completionTokensLeft }),
    ...(effort === undefined ? {} : { reasoning_effort: effort }),
    ...toResponseFormat(run),
    ...(tools.length === 0 ? {} : { tools, ...toToolControls(run, parts.turns.length > 0) }),
  };
}

/** A run on an empty thread without instructions still asks something: models refuse to hear nothing at all. */
const NOTHING_SAID: ChatMessage = Object.freeze({ role: 'system', content: 'You are a helpful assistant.' });

function toMessages({ run, messages, turns }: PromptParts): ChatMessage[] {
  const said = [...toInstructions(run), ...messages.map(toChatMessage), ...toTurnMessages(turns)];
  return said.length === 0 ? [NOTHING_SAID] : said;
}

/** Tokens that the run may still make; null where it has no bound. */
export function toCompletionTokensLeft(run: RunRecord): number | null {
  if (run.max_completion_tokens === null) return null;
  return Math.max(0, run.max_completion_tokens - run.internal.usage.completion_tokens);
}

function toInstructions(run: RunRecord): ChatMessage[] {
  return run.instructions === '' ? [] : [{ role: 'system', content: run.instructions }];
}

function toChatTools(run: RunRecord, serverTools: readonly ServerTool[]): ChatTool[] {
  const functions = run.tools.flatMap((tool): ChatTool[] =>
    tool.type === 'function' ? [{ type: 'function', function: toFunctionDefinition(tool.function) }] : [],
  );
  const own = [...toServerTools(run, serverTools).values()].map((tool) => tool.toChatTool(run));
  return [...functions, ...own];
}

type GivenFunction = Extract<RunRecord['tools'][number], { type: 'function' }>['function'];
type FunctionDefinition = Extract<ChatTool, { type: 'function' }>['function'];

function toFunctionDefinition(given: GivenFunction): FunctionDefinition {
  return {
    name: given.name,
    ...(given.description === undefined ? {} : { description: given.description }),
    ...(given.parameters === undefined ? {} : { parameters: given.parameters as Record<string, unknown> }),
    ...(given.strict === undefined || given.strict === null ? {} : { strict: given.strict }),
  };
}

/**
 * A tool that must be called "before responding to the user" is asked for until one has been called;
 * asking for it again afterwards would never let the model answer.
 */
function toToolControls(run: RunRecord, hasCalled: boolean): Partial<ChatRequest> {
  const { tool_choice: choice } = run;
  const forced = choice === 'required' || (typeof choice === 'object' && choice !== null);
  const sent = forced && hasCalled ? 'auto' : choice;
  return {
    ...(sent === null ? {} : { tool_choice: toToolChoice(sent) }),
    // True is every server's default, and some models refuse to hear it.
    ...(run.parallel_tool_calls === false ? { parallel_tool_calls: false } : {}),
  };
}

function toToolChoice(
  choice: NonNullable<RunRecord['tool_choice']>,
): NonNullable<ChatRequest['tool_choice']> {
  if (typeof choice === 'string') return choice;
  const name = choice.type === 'function' ? (choice.function?.name ?? '') : choice.type;
  return { type: 'function', function: { name } };
}

function toResponseFormat(run: RunRecord): Partial<ChatRequest> {
  const { response_format: format } = run;
  if (format === null || typeof format === 'string' || format.type === 'text') return {};
  return { response_format: format as NonNullable<ChatRequest['response_format']> };
}

type ChatPart = Exclude<Extract<ChatMessage, { role: 'user' }>['content'], string>[number];

/** Texts of one message become one string, which every server takes; pictures need the list of parts. */
export function toChatMessage(message: MessageRecord): ChatMessage {
  const text = message.content
    .map((part) => (part.type === 'text' ? part.text.value : part.type === 'refusal' ? part.refusal : ''))
    .filter((part) => part !== '')
    .join('\n');
  if (message.role === 'assistant') return { role: 'assistant', content: text };
  if (!message.content.some((part) => part.type === 'image_url')) return { role: 'user', content: text };
  return { role: 'user', content: message.content.flatMap(toChatPart) };
}

function toChatPart(part: MessageRecord['content'][number]): ChatPart[] {
  switch (part.type) {
    case 'text':
      return [{ type: 'text', text: part.text.value }];
    case 'image_url':
      return [
        {
          type: 'image_url',
          image_url: { url: part.image_url.url, detail: part.image_url.detail ?? 'auto' },
        },
      ];
    default:
      return [];
  }
}
