/** Stands between an example and the server: it sees every request, and may keep answers to itself. */

export interface GateRequest {
  readonly method: string;
  readonly path: string;
  readonly status: number;
}

export interface Gate extends AsyncDisposable {
  readonly url: string;
  /** What the server has answered, in order. */
  readonly requests: readonly GateRequest[];
  /** From now on the example never hears of the answers for which this holds. */
  keep(isKept: (request: GateRequest) => boolean): void;
}

/** `target` is asked for each request: the server may have been started anew. */
export function startGate(target: () => string): Gate {
  const requests: GateRequest[] = [];
  let isKept: (request: GateRequest) => boolean = () => false;
  const gate = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    idleTimeout: 0,
    async fetch(request) {
      const { pathname, search } = new URL(request.url);
      const headers = new Headers(request.headers);
      headers.delete('host');
      // What is compressed would be taken apart here.
      headers.set('accept-encoding', 'identity');
      const answer = await fetch(`${target()}${pathname}${search}`, {
        method: request.method,
        headers,
        body: request.method === 'GET' ? null : await request.arrayBuffer(),
        signal: request.signal,
      });
      const seen = { method: request.method, path: pathname, status: answer.status };
      requests.push(seen);
      if (isKept(seen)) await new Promise(() => undefined);
      return new Response(answer.body, { status: answer.status, headers: answer.headers });
    },
  });
  return {
    url: `http://127.0.0.1:${gate.port}`,
    requests,
    keep(change) {
      isKept = change;
    },
    [Symbol.asyncDispose]: () => gate.stop(true),
  };
}
