/** One call of the client, as far as it says which models it uses. */

export interface Call {
  readonly method: string;
  /** Below the base URL, in its parts: `['threads', 'thread_…', 'runs']`. */
  readonly path: readonly string[];
  readonly query: URLSearchParams;
  readonly body: unknown;
}

/** A JSON object; what is no JSON, or no object, has no members. */
export type Members = Readonly<Record<string, unknown>>;

/** Null for a call that goes elsewhere than below `baseUrl`. */
export function toCall(baseUrl: string, url: string, method: string, body: unknown): Call | null {
  const base = new URL(baseUrl);
  const target = URL.parse(url);
  const root = `${base.pathname.replace(/\/+$/, '')}/`;
  if (target === null || target.origin !== base.origin || !target.pathname.startsWith(root)) return null;
  const path = target.pathname.slice(root.length).split('/').filter(Boolean).map(decodePart);
  return { method: method.toUpperCase(), path, query: target.searchParams, body };
}

function decodePart(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

export function readMembers(body: unknown): Members {
  if (typeof body === 'string') {
    try {
      return toMembers(JSON.parse(body));
    } catch {
      return {};
    }
  }
  return body instanceof FormData ? { model: body.get('model') } : {};
}

export function toMembers(value: unknown): Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Members) : {};
}

export function toName(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}
