/** `GET /v1/threads`, which OpenAI never had. */

import type OpenAI from 'openai';

type Thread = OpenAI.Beta.Threads.Thread;

export interface ListThreadsParams {
  /** Threads of one page: 1 to 100, 20 by default. */
  readonly limit?: number;
  /** By the time of their making: `desc`, the newest first, by default. */
  readonly order?: 'asc' | 'desc';
  /** The id of a thread: those behind it. */
  readonly after?: string;
  /** The id of a thread: those in front of it. */
  readonly before?: string;
  /** Threads whose metadata has all of these pairs. */
  readonly metadata?: Readonly<Record<string, string>>;
}

export interface ThreadPage {
  readonly object: 'list';
  readonly data: Thread[];
  readonly first_id: string | null;
  readonly last_id: string | null;
  readonly has_more: boolean;
}

/** One page where it is awaited; where it is iterated over, all threads from there on, page by page. */
export interface ThreadList extends PromiseLike<ThreadPage>, AsyncIterable<Thread> {}

/**
 * Lists threads of an understudy server. Nothing is asked before the list is awaited or iterated over.
 * Errors: those of the client, as of every other call.
 */
export function listThreads(
  client: Pick<OpenAI, 'get'>,
  params: ListThreadsParams = {},
  options: OpenAI.RequestOptions = {},
): ThreadList {
  const fetchPage = (query: ListThreadsParams): Promise<ThreadPage> =>
    client.get<ThreadPage>('/threads', { ...options, query: { ...query } });
  return {
    // biome-ignore lint/suspicious/noThenProperty: it is awaited, as the lists of the official client are.
    then: (onPage, onError) => fetchPage(params).then(onPage, onError),
    async *[Symbol.asyncIterator]() {
      let page = await fetchPage(params);
      for (;;) {
        yield* page.data;
        const last = page.data.at(-1)?.id;
        // Each page begins behind the one before it, so this ends with the threads.
        if (!page.has_more || last === undefined) return;
        page = await fetchPage({ ...params, after: last });
      }
    },
  };
}
