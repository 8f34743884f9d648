/** Which models a call makes the server ask. */

import { type Call, type Members, readMembers, toMembers, toName } from './call.ts';

/** What has the model, where the call itself does not say. */
export type Holder =
  | { readonly kind: 'assistant'; readonly id: string }
  | { readonly kind: 'run'; readonly threadId: string; readonly id: string };

export interface ModelUse {
  /** The model that the call names. */
  readonly model: string | null;
  /** Where the model is found, and the tools: null where the call has all that counts. */
  readonly holder: Holder | null;
  /** The tools that the call names; null: those of the holder. */
  readonly tools: unknown;
  /**
   * `names`: it may decide a vector store's embedding model; `asks`: the model of some store is asked; `maybe`: it is where
   * files are searched, which the tools tell.
   */
  readonly embedding: 'names' | 'asks' | 'maybe' | 'none';
}

const NOTHING: ModelUse = Object.freeze({ model: null, holder: null, tools: null, embedding: 'none' });

export function findModelUse(call: Call): ModelUse {
  const { method, path, query } = call;
  const [first, second, third, fourth, fifth] = path;
  if (method !== 'POST') {
    const named = first === 'models' && path.length > 1 ? path.slice(1).join('/') : query.get('model');
    return { ...NOTHING, model: toName(named) };
  }
  if (first === 'files' || first === 'uploads') return { ...NOTHING, embedding: 'names' };
  if (first === 'vector_stores') return { ...NOTHING, embedding: toStoreEmbedding(path) };
  if (first === 'threads' && third === 'runs' && fifth === 'submit_tool_outputs') {
    return toRunUse({ kind: 'run', threadId: second ?? '', id: fourth ?? '' }, {});
  }
  const members = readMembers(call.body);
  const isRun = first === 'threads' && (path.length === 2 ? second === 'runs' : third === 'runs');
  if (isRun && path.length <= 3) {
    const id = toName(members.assistant_id);
    return toRunUse(id === null ? null : { kind: 'assistant', id }, members);
  }
  if (first === 'assistants' || first === 'threads') {
    return { ...NOTHING, embedding: namesStores(members) ? 'names' : 'none' };
  }
  return { ...NOTHING, model: toName(members.model) ?? toName(query.get('model')) };
}

function toStoreEmbedding(path: readonly string[]): ModelUse['embedding'] {
  const last = path.at(-1);
  if (path.length > 1 && last === 'search') return 'asks';
  return path.length > 1 && last === 'cancel' ? 'none' : 'names';
}

function toRunUse(holder: Holder | null, members: Members): ModelUse {
  return {
    model: toName(members.model),
    holder,
    tools: members.tools ?? null,
    embedding: namesStores(members) || namesStores(toMembers(members.thread)) ? 'names' : 'maybe',
  };
}

/** Whether a body makes a vector store, or puts files into one. */
function namesStores(members: Members): boolean {
  const search = toMembers(toMembers(members.tool_resources).file_search);
  if (Array.isArray(search.vector_stores) && search.vector_stores.length > 0) return true;
  const messages = [members, ...toList(members.messages), ...toList(members.additional_messages)];
  return messages.some((message) =>
    toList(toMembers(message).attachments).some((one) => searchesFiles(toMembers(one).tools)),
  );
}

/** Whether `file_search` is among tools. */
export function searchesFiles(tools: unknown): boolean {
  return toList(tools).some((tool) => toMembers(tool).type === 'file_search');
}

function toList(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** The assistant that a call changes or deletes; null for all other calls. */
export function findChangedAssistant({ method, path }: Call): string | null {
  const [first, id] = path;
  const isChange = first === 'assistants' && path.length === 2 && (method === 'POST' || method === 'DELETE');
  return isChange && id !== undefined ? id : null;
}
