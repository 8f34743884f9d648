/** Stands between the suite and the real server, and spoils what a test tells it to. */

export interface Spoiling {
  /** `GET /v1/threads/…`: which answers. */
  readonly request: RegExp;
  /** Looked for in the request's body too, where it is given. */
  readonly body?: RegExp;
  /** Which of these answers is spoilt, from 0. All of them where it is left out. */
  readonly which?: number;
  spoil(response: Response): Response | Promise<Response>;
}

export interface SpoilingProxy {
  /** `http://127.0.0.1:PORT`. */
  readonly url: string;
  /** How many answers were spoilt. */
  spoilt(): number;
  /** `GET /v1/models` of every request that came. */
  readonly seen: readonly string[];
  stop(): Promise<void>;
}

export function startSpoilingProxy(target: string, spoiling: Spoiling | null): SpoilingProxy {
  let matched = 0;
  let spoilt = 0;
  const seen: string[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    idleTimeout: 0,
    async fetch(request) {
      const { pathname, search } = new URL(request.url);
      const body = await request.arrayBuffer();
      const name = `${request.method} ${pathname}`;
      seen.push(name);
      const headers = new Headers(request.headers);
      headers.delete('host');
      headers.set('accept-encoding', 'identity');
      const response = await fetch(`${target}${pathname}${search}`, {
        method: request.method,
        headers,
        signal: request.signal,
        ...(body.byteLength === 0 ? {} : { body }),
      });
      const isMeant =
        spoiling?.request.test(name) === true &&
        (spoiling.body === undefined || spoiling.body.test(new TextDecoder().decode(body)));
      if (!isMeant) return response;
      matched += 1;
      if (spoiling.which !== undefined && spoiling.which !== matched - 1) return response;
      spoilt += 1;
      return await spoiling.spoil(response);
    },
  });
  return {
    url: `http://127.0.0.1:${server.port}`,
    seen,
    spoilt: () => spoilt,
    stop: () => server.stop(true),
  };
}

/** The same answer under another status. */
export function withStatus(status: number) {
  return (response: Response): Response =>
    new Response(response.body, { status, headers: toPlainHeaders(response) });
}

/** The same answer without a field of its object. */
export function without(field: string) {
  return async (response: Response): Promise<Response> => {
    const { [field]: _left, ...rest } = (await response.json()) as Record<string, unknown>;
    return Response.json(rest, { status: response.status });
  };
}

/** The frames of a stream as the test wants them; the last one ends with a blank line, too. */
export function withFrames(change: (frames: string[]) => string[]) {
  return async (response: Response): Promise<Response> => {
    const frames = (await response.text()).split('\n\n').filter((frame) => frame.trim() !== '');
    const text = change(frames)
      .map((frame) => `${frame}\n\n`)
      .join('');
    return new Response(text, { status: response.status, headers: toPlainHeaders(response) });
  };
}

function toPlainHeaders(response: Response): Headers {
  const headers = new Headers(response.headers);
  headers.delete('content-length');
  headers.delete('transfer-encoding');
  return headers;
}
