/** What the rehearsal model reads of a conversation. */

import { toRecord, toText } from '../json-values.ts';
import type { ChatMessage } from '../provider.ts';

export interface ConversationTurn {
  readonly userText: string;
  readonly imageCount: number;
  /** Rounds of function calls since the last user message. */
  readonly roundCount: number;
  /** Results of the last round, with the names of the functions. */
  readonly results: readonly { readonly name: string; readonly text: string }[];
  readonly messageCount: number;
  readonly instructionCount: number;
}

export function readTurn(messages: readonly ChatMessage[]): ConversationTurn {
  const lastUser = messages.findLastIndex((message) => message.role === 'user');
  const user = messages[lastUser];
  const since = messages.slice(lastUser + 1);
  const names = new Map<string, string>();
  let roundCount = 0;
  for (const message of since) {
    if (message.role !== 'assistant' || (message.tool_calls ?? []).length === 0) continue;
    roundCount += 1;
    for (const call of message.tool_calls ?? [])
      if (call.type === 'function') names.set(call.id, call.function.name);
  }
  const results = since.flatMap((message) =>
    message.role === 'tool'
      ? [{ name: names.get(message.tool_call_id) ?? 'the function', text: toContentText(message.content) }]
      : [],
  );
  const isInstruction = (message: ChatMessage): boolean =>
    message.role === 'system' || message.role === 'developer';
  const isSpoken = (message: ChatMessage): boolean => message.role === 'user' || message.role === 'assistant';
  return {
    userText: user === undefined ? '' : toContentText(user.content),
    imageCount: countImages(user?.content),
    roundCount,
    results,
    messageCount: messages.filter(isSpoken).length,
    instructionCount: messages.filter(isInstruction).length,
  };
}

function toContentText(content: ChatMessage['content']): string {
  if (typeof content === 'string') return content;
  const parts: readonly unknown[] = Array.isArray(content) ? content : [];
  return parts.map((part) => toText(toRecord(part)?.text) ?? '').join('\n');
}

function countImages(content: ChatMessage['content'] | undefined): number {
  const parts: readonly unknown[] = Array.isArray(content) ? content : [];
  return parts.filter((part) => toRecord(part)?.type === 'image_url').length;
}
