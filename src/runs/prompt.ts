/** The request that goes to the model: every field of the run, its thread's window, and the run's own turns. */

import type { ChatMessage, ChatRequest, ChatTool } from '../providers/provider.ts';
import type { MessageObject as MessageRecord } from '../schemas/generated/messages.ts';
import { removeMarkers } from './citations.ts';
import type { RunRecord } from './run-records.ts';
import { toShownOutput } from './tools/found-passages.ts';
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
  /** Whether the model takes tools. Where it does not, what was searched for it stands before its user's last words. */
  readonly offersTools: boolean;
  /** As data URLs by the ids of their files; null for those that cannot be shown. */
  readonly images: ReadonlyMap<string, string | null>;
}

export function toChatRequest(parts: PromptParts): ChatRequest {
  const { run } = parts;
  const serverTools = toServerTools(run, parts.serverTools);
  const tools = parts.offersTools ? toChatTools(run, serverTools) : [];
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
    ...(tools.length === 0 ? {} : { tools, ...toToolControls(run, serverTools, parts.turns.length > 0) }),
  };
}

/** A run on an empty thread without instructions still asks something: models refuse to hear nothing at all. */
const NOTHING_SAID: ChatMessage = Object.freeze({ role: 'system', content: 'You are a helpful assistant.' });

function toMessages({ run, messages, turns, offersTools, images }: PromptParts): ChatMessage[] {
  const before = messages.map((message) => toChatMessage(message, images));
  const said = offersTools ? [...before, ...toTurnMessages(turns)] : withFindings(before, turns);
  const all = [...toInstructions(run), ...said];
  return all.length === 0 ? [NOTHING_SAID] : all;
}

/**
 * What was searched unasked, together with the user's last words in one message: some models take no messages of the
 * system amid a conversation, and others no two of the user in a row.
 */
function withFindings(messages: readonly ChatMessage[], turns: readonly Turn[]): ChatMessage[] {
  const calls = turns.flatMap((turn) => turn.calls);
  // That nothing was found for a "Thank you" is nothing to talk about.
  const told = calls.filter(({ output, found }) => output !== '' || (found ?? []).length > 0);
  const at = messages.findLastIndex(({ role }) => role === 'user');
  const newest = messages[at];
  if (told.length === 0 || newest?.role !== 'user') return [...messages];
  const text = [FINDINGS, ...told.map(toShownOutput), LAST_WORDS].join('\n\n');
  const { content } = newest;
  const joined =
    typeof content === 'string' ? `${text}\n\n${content}` : [{ type: 'text' as const, text }, ...content];
  return messages.with(at, { ...newest, content: joined });
}

const FINDINGS = 'The files that belong to this conversation were searched.';
const LAST_WORDS = 'These are the words of the user:';

/** Tokens that the run may still make; null where it has no bound. */
export function toCompletionTokensLeft(run: RunRecord): number | null {
  if (run.max_completion_tokens === null) return null;
  return Math.max(0, run.max_completion_tokens - run.internal.usage.completion_tokens);
}

function toInstructions(run: RunRecord): ChatMessage[] {
  return run.instructions === '' ? [] : [{ role: 'system', content: run.instructions }];
}

function toChatTools(run: RunRecord, serverTools: ReadonlyMap<string, ServerTool>): ChatTool[] {
  const functions = run.tools.flatMap((tool): ChatTool[] =>
    tool.type === 'function' ? [{ type: 'function', function: toFunctionDefinition(tool.function) }] : [],
  );
  const own = [...serverTools.values()].map((tool) => tool.toChatTool(run));
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
function toToolControls(
  run: RunRecord,
  serverTools: ReadonlyMap<string, ServerTool>,
  hasCalled: boolean,
): Partial<ChatRequest> {
  const { tool_choice: choice } = run;
  const forced = choice === 'required' || (typeof choice === 'object' && choice !== null);
  const sent = forced && hasCalled ? 'auto' : choice;
  return {
    ...(sent === null ? {} : { tool_choice: toToolChoice(sent, serverTools) }),
    // True is every server's default, and some models refuse to hear it.
    ...(run.parallel_tool_calls === false ? { parallel_tool_calls: false } : {}),
  };
}

function toToolChoice(
  choice: NonNullable<RunRecord['tool_choice']>,
  serverTools: ReadonlyMap<string, ServerTool>,
): NonNullable<ChatRequest['tool_choice']> {
  if (typeof choice === 'string') return choice;
  const [own = choice.type] = [...serverTools].find(([, { type }]) => type === choice.type) ?? [];
  const name = choice.type === 'function' ? (choice.function?.name ?? '') : own;
  return { type: 'function', function: { name } };
}

function toResponseFormat(run: RunRecord): Partial<ChatRequest> {
  const { response_format: format } = run;
  if (format === null || typeof format === 'string' || format.type === 'text') return {};
  return { response_format: format as NonNullable<ChatRequest['response_format']> };
}

type ChatPart = Exclude<Extract<ChatMessage, { role: 'user' }>['content'], string>[number];

/**
 * Texts of one message become one string, which every server takes; pictures need the list of parts. The markers of
 * earlier runs are left out: they would be taken for this run's when the model repeats them.
 */
export function toChatMessage(
  message: MessageRecord,
  images: ReadonlyMap<string, string | null>,
): ChatMessage {
  const text = message.content
    .map((part) => (part.type === 'text' ? part.text.value : part.type === 'refusal' ? part.refusal : ''))
    .filter((part) => part !== '')
    .join('\n');
  if (message.role === 'assistant') return { role: 'assistant', content: removeMarkers(text) };
  if (!message.content.some(({ type }) => type === 'image_url' || type === 'image_file')) {
    return { role: 'user', content: text };
  }
  return { role: 'user', content: message.content.flatMap((part) => toChatPart(part, images)) };
}

function toChatPart(
  part: MessageRecord['content'][number],
  images: ReadonlyMap<string, string | null>,
): ChatPart[] {
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
    case 'image_file': {
      const { file_id: id, detail = 'auto' } = part.image_file;
      const url = images.get(id) ?? null;
      if (url === null) return [{ type: 'text', text: `[The picture of the file ${id} cannot be shown.]` }];
      return [{ type: 'image_url', image_url: { url, detail } }];
    }
    default:
      return [];
  }
}
