/** `POST /v1/threads/{thread_id}/messages/{message_id}` with a `content`, which OpenAI does not take. */

import type OpenAI from 'openai';

type Messages = OpenAI.Beta.Threads.Messages;
type MessageCreateParams = OpenAI.Beta.Threads.MessageCreateParams;

export interface EditMessageParams {
  readonly thread_id: string;
  /** The whole of it, as where a message is made. */
  readonly content: MessageCreateParams['content'];
  /** As it was, where it is left out. */
  readonly metadata?: MessageCreateParams['metadata'];
}

/**
 * Changes the content of a message on an understudy server; it keeps its id, its role and its place. Errors: those of the client, as
 * of every other call; 400 while a run is active on the thread.
 */
export function editMessage(
  client: Pick<OpenAI, 'post'>,
  messageId: string,
  { thread_id: threadId, ...body }: EditMessageParams,
  options: OpenAI.RequestOptions = {},
): ReturnType<Messages['update']> {
  const path = `/threads/${encodeURIComponent(threadId)}/messages/${encodeURIComponent(messageId)}`;
  return client.post(path, { ...options, body });
}
