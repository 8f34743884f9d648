/** The model of an assistant or a run, asked of the server once and remembered. */

import { toMembers, toName } from './call.ts';
import type { Holder } from './model-use.ts';
import { createRemembered } from './remembered.ts';

export type Fetch = (input: string | URL | Request, init?: RequestInit) => Promise<Response>;

export interface HeldModel {
  readonly model: string | null;
  readonly tools: unknown;
}

export interface ModelLookup {
  /**
   * `headers` are those of a call that asks no model. Null where the server does not tell: the call that needs it then says why.
   * Rejects when `signal` is aborted; the lookup goes on for others who wait for it.
   */
  find(holder: Holder, headers: Headers, signal: AbortSignal | null): Promise<HeldModel | null>;
  forgetAssistant(id: string): void;
}

const ENTRIES_MAX = 1_000;
/** Other programs change assistants too. */
const KEPT_MS = 5 * 60_000;
const LOOKUP_TIMEOUT_MS = 30_000;
/** They are about the body of the call, or about this attempt at it. */
const BODY_HEADERS = ['content-type', 'content-length', 'transfer-encoding', 'idempotency-key', 'expect'];

export function createModelLookup(deps: {
  readonly fetch: Fetch;
  readonly baseUrl: string;
  readonly now: () => number;
}): ModelLookup {
  const remembered = createRemembered<HeldModel>({ entriesMax: ENTRIES_MAX, keptMs: KEPT_MS, now: deps.now });

  const ask = async (path: string, given: Headers): Promise<HeldModel> => {
    const headers = toLookupHeaders(given);
    const signal = AbortSignal.timeout(LOOKUP_TIMEOUT_MS);
    const response = await deps.fetch(deps.baseUrl + path, {
      method: 'GET',
      headers,
      signal,
      redirect: 'manual',
    });
    const found = toMembers(await response.json());
    if (!response.ok) throw new Error(`The model of ${path} is not known: ${response.status}.`);
    return { model: toName(found.model), tools: found.tools };
  };

  return {
    async find(holder, headers, signal) {
      const path = toPath(holder);
      const asked = remembered
        .find(path, () => ask(path, headers))
        // The call goes out without a key, and the server's answer to it says what is wrong.
        .catch(() => null);
      return await unlessAborted(asked, signal);
    },
    forgetAssistant: (id) => remembered.forget(toPath({ kind: 'assistant', id })),
  };
}

function toPath(holder: Holder): string {
  const id = encodeURIComponent(holder.id);
  if (holder.kind === 'assistant') return `/assistants/${id}`;
  return `/threads/${encodeURIComponent(holder.threadId)}/runs/${id}`;
}

/** What gets the call to the server (a gateway's header, a tenant's) is needed here too; what is for a model is not. */
function toLookupHeaders(given: Headers): Headers {
  const headers = new Headers(given);
  for (const name of [...headers.keys()]) {
    if (/^(llm-param-|embedding-|api-key$|base-url$)/.test(name)) headers.delete(name);
  }
  for (const name of BODY_HEADERS) headers.delete(name);
  headers.set('accept', 'application/json');
  return headers;
}

async function unlessAborted<Value>(asked: Promise<Value>, signal: AbortSignal | null): Promise<Value> {
  if (signal === null) return await asked;
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const onAbort = (): void => aborted.reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([asked, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
