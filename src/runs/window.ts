/**
 * Which messages of a thread a run shows to the model: the newest ones, read backwards until the budget of
 * tokens is full. The cost follows the window, not the thread.
 */

import type { Ports } from '../ports.ts';
import type { MessageObject as MessageRecord } from '../schemas/generated/messages.ts';
import { toThreadScope } from './run-records.ts';
import { estimateTokens } from './token-estimate.ts';

export interface WindowRequest {
  readonly tenant: string;
  readonly threadId: string;
  /** Messages of this run are left out: the run's own turns carry them, together with their tool calls. */
  readonly runId: string;
  /** Tokens that the messages may have together; the newest message is taken even where it alone has more. */
  readonly tokensMax: number;
  /** `truncation_strategy.last_messages`; null: as many as fit. */
  readonly messagesMax: number | null;
}

export interface Window {
  /** Oldest first. */
  readonly messages: readonly MessageRecord[];
  /** Estimated. */
  readonly tokens: number;
}

/** Most threads fit into the first page; the next ones are larger, because then the thread is long. */
const FIRST_PAGE = 48;
const NEXT_PAGE = 208;
/** Messages that one run shows at most, however short they are: reading more would slow every start on a long thread. */
export const WINDOW_MESSAGES_MAX = 256;
/** What a message costs besides its text: role and separators. */
const TOKENS_PER_MESSAGE = 4;
const IMAGE_TOKENS = 800;
const IMAGE_TOKENS_LOW = 85;

export async function readWindow(deps: Pick<Ports, 'store'>, request: WindowRequest): Promise<Window> {
  const scope = toThreadScope(request.tenant, request.threadId);
  const messagesMax = Math.min(request.messagesMax ?? WINDOW_MESSAGES_MAX, WINDOW_MESSAGES_MAX);
  const newestFirst: MessageRecord[] = [];
  let tokens = 0;
  let after: string | undefined;
  for (let read = 0; read < WINDOW_MESSAGES_MAX; ) {
    const limit = Math.min(read === 0 ? FIRST_PAGE : NEXT_PAGE, messagesMax + 1);
    const page = await deps.store.list<MessageRecord>('messages', scope, {
      limit,
      order: 'desc',
      ...(after === undefined ? {} : { after }),
    });
    for (const { record } of page.items) {
      if (record.run_id === request.runId || isEmpty(record)) continue;
      const cost = toTokens(record);
      const full = newestFirst.length >= messagesMax || tokens + cost > request.tokensMax;
      if (full && newestFirst.length > 0) return { messages: newestFirst.reverse(), tokens };
      newestFirst.push(record);
      tokens += cost;
    }
    after = page.items.at(-1)?.record.id;
    read += page.items.length;
    if (!page.hasMore || after === undefined) break;
  }
  return { messages: newestFirst.reverse(), tokens };
}

/** A message that a crash or a cancel left without a word says nothing to the model. */
function isEmpty(message: MessageRecord): boolean {
  return message.content.every((part) => part.type === 'text' && part.text.value === '');
}

function toTokens(message: MessageRecord): number {
  return message.content.reduce((sum, part) => sum + toPartTokens(part), TOKENS_PER_MESSAGE);
}

function toPartTokens(part: MessageRecord['content'][number]): number {
  switch (part.type) {
    case 'text':
      return estimateTokens(part.text.value);
    case 'refusal':
      return estimateTokens(part.refusal);
    case 'image_url':
      return part.image_url.detail === 'low' ? IMAGE_TOKENS_LOW : IMAGE_TOKENS;
    case 'image_file':
      return part.image_file.detail === 'low' ? IMAGE_TOKENS_LOW : IMAGE_TOKENS;
  }
}
