/**
 * An embedding model's server for the tests: real HTTP, the true wire format, vectors that follow from the words of
 * the text, and any misbehaviour. It can be told at any time to be slow, to fail, or to shuffle its answers.
 */

import { embedText } from '../../src/providers/rehearsal/rehearsal-embeddings.ts';

export interface EmbedderBehaviour {
  /** Each call takes as long. */
  readonly latencyMs: number;
  /** Each call takes up to so much longer, by chance, so that answers overtake each other. */
  readonly jitterMs: number;
  /** Items of an answer come in any order, with their right `index`. */
  readonly shuffles: boolean;
  /** So many of the next calls fail, with this status. */
  readonly failures: { readonly left: number; readonly status: number; readonly retryAfter?: string };
  /** Calls are held, unanswered. */
  readonly holds: boolean;
}

export interface EmbedderCall {
  readonly model: string;
  readonly inputs: readonly string[];
  readonly dimensions: number | null;
  readonly authorization: string | null;
  readonly body: Readonly<Record<string, unknown>>;
}

export interface ScriptedEmbedder {
  /** Base URL with its version. */
  readonly url: string;
  readonly calls: readonly EmbedderCall[];
  /** Calls that are being answered now, and the most there were at once. */
  readonly active: number;
  readonly mostActive: number;
  /** How long at least one call was under way, in milliseconds, all together. */
  readonly busyMs: number;
  behave(change: Partial<EmbedderBehaviour>): void;
  close(): Promise<void>;
}

const DIMENSIONS = 64;

const WELL_BEHAVED: EmbedderBehaviour = Object.freeze({
  latencyMs: 0,
  jitterMs: 0,
  shuffles: false,
  failures: { left: 0, status: 500 },
  holds: false,
});

export function startScriptedEmbedder(
  given: Partial<EmbedderBehaviour> = {},
  options: { readonly remembers?: boolean } = {},
): ScriptedEmbedder {
  let behaviour: EmbedderBehaviour = { ...WELL_BEHAVED, ...given };
  const calls: EmbedderCall[] = [];
  const held: (() => void)[] = [];
  let active = 0;
  let mostActive = 0;
  let busyMs = 0;
  let busySince = 0;

  const begin = (): void => {
    if (active === 0) busySince = performance.now();
    active += 1;
    mostActive = Math.max(mostActive, active);
  };
  const end = (): void => {
    active -= 1;
    if (active === 0) busyMs += performance.now() - busySince;
  };

  const answer = async (request: Request): Promise<Response> => {
    const body = (await request.json()) as Record<string, unknown>;
    const call = toCall(body, request.headers.get('authorization'));
    if (options.remembers !== false) calls.push(call);
    if (behaviour.holds) await new Promise<void>((resolve) => held.push(resolve));
    const waitMs = behaviour.latencyMs + Math.random() * behaviour.jitterMs;
    if (waitMs > 0) await Bun.sleep(waitMs);
    const { left, status, retryAfter } = behaviour.failures;
    if (left > 0) {
      behaviour = { ...behaviour, failures: { ...behaviour.failures, left: left - 1 } };
      return Response.json(
        { error: { message: `Scripted failure ${status}.`, type: null, code: null, param: null } },
        { status, headers: retryAfter === undefined ? {} : { 'retry-after': retryAfter } },
      );
    }
    return Response.json(toAnswer(call, behaviour.shuffles));
  };

  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    idleTimeout: 0,
    async fetch(request) {
      if (!new URL(request.url).pathname.endsWith('/embeddings')) {
        return Response.json({ error: { message: 'Not found.' } }, { status: 404 });
      }
      begin();
      try {
        return await answer(request);
      } finally {
        end();
      }
    },
  });

  return {
    url: `http://127.0.0.1:${server.port}/v1`,
    calls,
    get active() {
      return active;
    },
    get mostActive() {
      return mostActive;
    },
    get busyMs() {
      return busyMs + (active > 0 ? performance.now() - busySince : 0);
    },
    behave(change) {
      behaviour = { ...behaviour, ...change };
      if (!behaviour.holds) for (const release of held.splice(0)) release();
    },
    async close() {
      for (const release of held.splice(0)) release();
      await server.stop(true);
    },
  };
}

function toCall(body: Readonly<Record<string, unknown>>, authorization: string | null): EmbedderCall {
  const { input, model, dimensions } = body;
  return {
    model: String(model),
    inputs: Array.isArray(input) ? input.map(String) : [String(input)],
    dimensions: typeof dimensions === 'number' ? dimensions : null,
    authorization,
    body,
  };
}

function toAnswer(call: EmbedderCall, shuffles: boolean): unknown {
  const isPacked = call.body.encoding_format === 'base64';
  const data = call.inputs.map((text, index) => {
    const vector = embedText(text, call.dimensions ?? DIMENSIONS);
    const embedding = isPacked ? Buffer.from(vector.buffer).toString('base64') : [...vector];
    return { object: 'embedding', index, embedding };
  });
  if (shuffles) {
    for (let at = data.length - 1; at > 0; at -= 1) {
      const other = Math.floor(Math.random() * (at + 1));
      const [a, b] = [data[at], data[other]];
      if (a !== undefined && b !== undefined) [data[at], data[other]] = [b, a];
    }
  }
  return { object: 'list', data, model: call.model, usage: { prompt_tokens: 1, total_tokens: 1 } };
}
