/**
 * The least that a relay can be: Bun hands the body to the upstream under its key, and the answer back. It knows no model,
 * checks nothing, logs nothing. `bun bench/support/bare-relay.ts UPSTREAM` prints its URL and runs until it is told to end.
 */

const [upstream = ''] = process.argv.slice(2);

const server = Bun.serve({
  port: 0,
  hostname: '127.0.0.1',
  idleTimeout: 0,
  async fetch(request) {
    const { pathname } = new URL(request.url);
    const text = await request.text();
    const response = await fetch(upstream + pathname.slice('/v1'.length), {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: 'Bearer bench' },
      body: text,
      signal: request.signal,
    });
    const type = response.headers.get('content-type') ?? '';
    const headers = { 'content-type': type };
    // The faster way for each.
    if (type.includes('json')) return new Response(await response.text(), { headers });
    return new Response(response.body, { headers });
  },
});

process.stdout.write(`http://127.0.0.1:${server.port}\n`);
