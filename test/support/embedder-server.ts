/**
 * An embedding model of fixed latency as its own process, for benchmarks: `bun embedder-server.ts --latency 100
 * --dimensions 256` prints its URL. It costs next to nothing: its vectors are made beforehand. `GET /figures` tells how
 * long it was busy.
 */

import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    latency: { type: 'string', default: '0' },
    dimensions: { type: 'string', default: '256' },
  },
});
const latencyMs = Number(values.latency);
const dimensions = Number(values.dimensions);
const VECTORS = 1024;

const vectors = Array.from({ length: VECTORS }, (_, seed) => {
  const numbers = Float32Array.from({ length: dimensions }, (_, at) =>
    Math.sin(seed * 12.9898 + at * 78.233),
  );
  return Buffer.from(numbers.buffer).toString('base64');
});

let calls = 0;
let texts = 0;
let active = 0;
let busyMs = 0;
let busySinceMs = 0;

const server = Bun.serve({
  hostname: '127.0.0.1',
  port: 0,
  idleTimeout: 0,
  async fetch(request) {
    if (new URL(request.url).pathname === '/figures') return Response.json({ calls, texts, busyMs });
    const { input, model } = (await request.json()) as { input: readonly string[]; model: string };
    if (active === 0) busySinceMs = performance.now();
    active += 1;
    if (latencyMs > 0) await Bun.sleep(latencyMs);
    const data = input.map((_, index) => ({
      object: 'embedding',
      index,
      embedding: vectors[(texts + index) % VECTORS],
    }));
    calls += 1;
    texts += input.length;
    active -= 1;
    if (active === 0) busyMs += performance.now() - busySinceMs;
    return Response.json({ object: 'list', data, model, usage: { prompt_tokens: 1, total_tokens: 1 } });
  },
});
process.stdout.write(`http://127.0.0.1:${server.port}\n`);
