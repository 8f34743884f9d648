/** Takes away what the checks have made, whatever became of them. */

import type OpenAI from 'openai';
import { readField } from './event-rules.ts';
import type { Exchange } from './exchanges.ts';
import { toJson } from './exchanges.ts';

/** Requests by which things are made, and the deletion of each. Threads take messages and runs along, stores their entries. */
const MAKERS: Readonly<Record<string, Kind>> = Object.freeze({
  '/assistants': 'assistant',
  '/threads': 'thread',
  '/threads/runs': 'thread',
  '/files': 'file',
  '/uploads': 'upload',
  '/vector_stores': 'store',
});

type Kind = 'assistant' | 'thread' | 'file' | 'upload' | 'store';

/** Stores before the files that are in them. */
const ORDER: readonly Kind[] = ['assistant', 'thread', 'store', 'upload', 'file'];

/** How many of each list are looked through for things that were made by a call whose answer was spoilt. */
const SWEPT_MAX = 100;

export interface Cleanup {
  /** Looks whether the call made or deleted something. */
  note(exchange: Exchange): void;
  /** A call that no answer came to: it may have made something. */
  noteLost(method: string, path: string): void;
  /** Deletes all that is left. Answers what could not be deleted. */
  clear(client: OpenAI, tag: string): Promise<readonly string[]>;
}

export function createCleanup(): Cleanup {
  const kept = new Map<string, Kind>();
  let isSpoilt = false;
  return {
    noteLost(method, path) {
      if (method === 'POST' && MAKERS[path] !== undefined) isSpoilt = true;
    },
    note({ method, path, json, status, events }) {
      const kind = MAKERS[path];
      if (method === 'DELETE' && status < 300) kept.delete(path.split('/').at(-1) ?? '');
      if (/^\/uploads\/[^/]+\/(complete|cancel)$/.test(path) && status < 300) {
        kept.delete(path.split('/')[2] ?? '');
        const fileId = readField(readField(json, 'file'), 'id');
        if (typeof fileId === 'string') kept.set(fileId, 'file');
      }
      if (method !== 'POST' || kind === undefined || (status >= 400 && status < 500)) return;
      const answer = events === null ? json : toJson(events[0]?.data ?? '');
      const id = path === '/threads/runs' ? toThreadId(answer) : readField(answer, 'id');
      if (typeof id === 'string') kept.set(id, kind);
      else isSpoilt = true;
    },
    async clear(client, tag) {
      if (isSpoilt) for (const [id, kind] of await findTagged(client, tag)) kept.set(id, kind);
      const left: string[] = [];
      const things = [...kept].sort(([, a], [, b]) => ORDER.indexOf(a) - ORDER.indexOf(b));
      for (const [id, kind] of things) {
        try {
          await DELETIONS[kind](client, id);
        } catch (error) {
          if (readField(error, 'status') !== 404) left.push(id);
        }
      }
      return left;
    },
  };
}

/** A stream begins with the thread, an answer without one is the run. */
function toThreadId(answer: unknown): unknown {
  return readField(answer, 'object') === 'thread' ? readField(answer, 'id') : readField(answer, 'thread_id');
}

const DELETIONS: Readonly<Record<Kind, (client: OpenAI, id: string) => Promise<unknown>>> = Object.freeze({
  assistant: (client, id) => client.beta.assistants.delete(id),
  thread: (client, id) => client.beta.threads.delete(id),
  file: (client, id) => client.files.delete(id),
  upload: (client, id) => client.uploads.cancel(id),
  store: (client, id) => client.vectorStores.delete(id),
});

function toPage(page: unknown): { data: readonly { id: string }[] } {
  const data = readField(page, 'data');
  const ids = (Array.isArray(data) ? data : []).filter((item) => typeof readField(item, 'id') === 'string');
  return { data: ids };
}

/** What bears our tag among the newest of each list. A list that cannot be had is empty; that of threads is an extension. */
async function findTagged(client: OpenAI, tag: string): Promise<(readonly [string, Kind])[]> {
  const query = { limit: SWEPT_MAX, order: 'desc' } as const;
  const lists: readonly (readonly [Kind, () => Promise<{ data: readonly { id: string }[] }>])[] = [
    ['assistant', async () => await client.beta.assistants.list(query)],
    ['store', async () => await client.vectorStores.list(query)],
    ['thread', async () => toPage(await client.get('/threads', { query }))],
    ['file', async () => await client.files.list(query)],
  ];
  const found: (readonly [string, Kind])[] = [];
  for (const [kind, list] of lists) {
    const page = await list().catch(() => ({ data: [] }));
    for (const item of page.data) if (JSON.stringify(item).includes(tag)) found.push([item.id, kind]);
  }
  return found;
}
