/**
 * Reading files into a vector store: how much longer it takes than the embedding model does, and what it costs those who
 * use the server meanwhile. `bun bench/ingest.ts`
 */

import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import {
  atLeast,
  atMost,
  createAssistant,
  isQuick,
  liftCallLimit,
  openResults,
  RUN_TOKEN,
  readStream,
  type Server,
  type StreamTimes,
  startRun,
  startServer,
  startUpstream,
  toMedian,
  toQuantile,
} from './harness.ts';

liftCallLimit();

const CHUNKS = 2_000;
const LATENCY_MS = 100;
const DIMENSIONS = 1_536;
const WALL_AIM = 1.1;
const DOCUMENTS = 200;
const LAG_AIM_MS = 20;
const RATE_AIM = 0.9;
const ROUNDS = isQuick ? 1 : 3;
const HEALTH_MS = 4;
const POLL_MS = 5;

interface Embedder {
  readonly url: string;
  readBusyMs(): Promise<number>;
  stop(): Promise<void>;
}

async function startEmbedder(latencyMs: number): Promise<Embedder> {
  const path = resolve(import.meta.dir, '../test/support/embedder-server.ts');
  const flags = ['--latency', String(latencyMs), '--dimensions', String(DIMENSIONS)];
  const child = Bun.spawn([process.execPath, path, ...flags], { stdout: 'pipe' });
  const { value } = await child.stdout.getReader().read();
  const url = new TextDecoder().decode(value).trim();
  return {
    url: `${url}/v1`,
    async readBusyMs() {
      const figures = (await (await fetch(`${url}/figures`)).json()) as { busyMs: number };
      return figures.busyMs;
    },
    async stop() {
      child.kill();
      await child.exited;
    },
  };
}

async function upload(
  server: Server,
  name: string,
  bytes: string | Uint8Array<ArrayBuffer>,
): Promise<string> {
  const form = new FormData();
  form.set('purpose', 'assistants');
  form.set('file', new File([bytes], name));
  const response = await fetch(`${server.url}/v1/files`, { method: 'POST', body: form });
  return ((await response.json()) as { id: string }).id;
}

interface Store {
  readonly id: string;
  readonly file_counts: { readonly in_progress: number; readonly completed: number; readonly failed: number };
}

async function createStore(server: Server, embedder: Embedder): Promise<string> {
  const response = await fetch(`${server.url}/v1/vector_stores`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...toHeaders(embedder) },
    body: '{}',
  });
  return ((await response.json()) as Store).id;
}

function toHeaders(embedder: Embedder): Record<string, string> {
  return {
    'embedding-model': 'bench-embedding',
    'embedding-param-base-url': embedder.url,
    'embedding-param-api-key': 'bench',
  };
}

/** Adds the files and waits until all are read. Answers the milliseconds. */
async function read(
  server: Server,
  embedder: Embedder,
  fileIds: readonly string[],
  chunking: { max_chunk_size_tokens: number; chunk_overlap_tokens: number },
): Promise<number> {
  const storeId = await createStore(server, embedder);
  const start = performance.now();
  await fetch(`${server.url}/v1/vector_stores/${storeId}/file_batches`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...toHeaders(embedder) },
    body: JSON.stringify({ file_ids: fileIds, chunking_strategy: { type: 'static', static: chunking } }),
  });
  for (;;) {
    const store = (await (await fetch(`${server.url}/v1/vector_stores/${storeId}`)).json()) as Store;
    if (store.file_counts.in_progress === 0) {
      if (store.file_counts.failed > 0) throw new Error(`${store.file_counts.failed} files failed`);
      return performance.now() - start;
    }
    await Bun.sleep(POLL_MS);
  }
}

/** About `tokens` tokens of plain sentences, in words that repeat as words do. */
function toText(seed: number, tokens: number): string {
  const words = [
    'harbour',
    'ferry',
    'engine',
    'winter',
    'timetable',
    'passenger',
    'tide',
    'gauge',
    'rudder',
    'lamp',
  ];
  let text = '';
  for (let at = 0; at < tokens; at += 10) {
    const word = (step: number) => words[(seed * 7 + at * 3 + step * step) % words.length];
    text += `The ${word(1)} of the ${word(2)} was ${word(3)} number ${(seed * 31 + at) % 977}.\n`;
  }
  return text;
}

async function measureWall(): Promise<void> {
  const ratios: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const server = await startServer({ upstreamUrl: upstream.url });
    const embedder = await startEmbedder(LATENCY_MS);
    const files = await Promise.all(
      Array.from({ length: 20 }, (_, at) =>
        upload(server, `text ${at}.txt`, toText(round * 20 + at, 11_400)),
      ),
    );
    const chunking = { max_chunk_size_tokens: 200, chunk_overlap_tokens: 90 };
    const wallMs = await read(server, embedder, files, chunking);
    const busyMs = await embedder.readBusyMs();
    const figures = await (await fetch(`${embedder.url.replace('/v1', '')}/figures`)).json();
    console.log(`20 files: ${wallMs.toFixed(0)} ms, embedder busy ${busyMs.toFixed(0)} ms`, figures);
    ratios.push(wallMs / busyMs);
    await embedder.stop();
    await server.stop();
  }
  const ratio = toMedian(ratios);
  results.report({
    id: 'wall-over-embedder',
    what: `wall time of ${CHUNKS} chunks in 20 files, over the time in which the embedding model was busy; a server that has read nothing before`,
    value: ratio,
    unit: '',
    aim: atMost(WALL_AIM),
  });
}

/** How late the server answers what costs it nothing: as late as its event loop is. */
async function pingUntil(server: Server, ended: Promise<unknown>): Promise<readonly number[]> {
  const late: number[] = [];
  let isOver = false;
  void ended.finally(() => {
    isOver = true;
  });
  while (!isOver) {
    const start = performance.now();
    await (await fetch(`${server.url}/health`)).text();
    late.push(performance.now() - start);
    await Bun.sleep(HEALTH_MS);
  }
  return late;
}

function toRate({ tokens, totalMs, firstTokenMs }: StreamTimes): number {
  return (tokens - 1) / ((totalMs - firstTokenMs) / 1000);
}

function readExamples(): readonly (readonly [name: string, bytes: Uint8Array<ArrayBuffer>])[] {
  const folder = resolve(import.meta.dir, '../examples/documents');
  return readdirSync(folder).map((name) => [name, new Uint8Array(readFileSync(join(folder, name)))]);
}

async function measureNeighbours(server: Server): Promise<void> {
  const embedder = await startEmbedder(20);
  const examples = readExamples();
  const files = await Promise.all(
    Array.from({ length: DOCUMENTS }, (_, at) => {
      const [name, bytes] = examples[at % examples.length] ?? ['', new Uint8Array()];
      return at % 2 === 0
        ? upload(server, `${at} ${name}`, bytes)
        : upload(server, `text ${at}.md`, toText(at, 4_000));
    }),
  );
  const assistantId = await createAssistant(server, 'paced:150@50');
  const ask = () => readStream(() => startRun(server, assistantId, true), RUN_TOKEN);
  await ask();
  const alone = ask();
  const idle = await pingUntil(server, alone);
  const reading = read(server, embedder, files, { max_chunk_size_tokens: 800, chunk_overlap_tokens: 400 });
  const rates: number[] = [];
  let isRead = false;
  void reading.finally(() => {
    isRead = true;
  });
  const streaming = (async () => {
    while (!isRead) rates.push(toRate(await ask()));
  })();
  const busy = await pingUntil(server, Promise.all([reading, streaming]));
  const readingMs = await reading;
  await embedder.stop();
  const lag = toQuantile(busy, 0.99) - toMedian(idle);
  const rate = Math.min(...rates) / toRate(await alone);
  console.log(
    `${DOCUMENTS} documents in ${(readingMs / 1000).toFixed(1)} s; idle answers p50 ${toMedian(idle).toFixed(2)} ms, ` +
      `meanwhile p50 ${toMedian(busy).toFixed(2)} ms, p99 ${toQuantile(busy, 0.99).toFixed(2)} ms, max ${toQuantile(busy, 1).toFixed(2)} ms`,
  );
  results.report({
    id: 'added-wait-p99',
    what: `while ${DOCUMENTS} documents are read: what an answer that costs nothing waits longer, p99`,
    value: lag,
    unit: 'ms',
    aim: atMost(LAG_AIM_MS),
  });
  results.report({
    id: 'stream-rate',
    what: 'token rate of a streamed run beside it, over alone',
    value: rate,
    unit: '',
    aim: atLeast(RATE_AIM),
  });
}

const results = openResults('ingest');
const upstream = await startUpstream();
const server = await startServer({ upstreamUrl: upstream.url });
try {
  // Another server each time: the first file that one reads is the slowest.
  await measureWall();
  await measureNeighbours(server);
} finally {
  await server.stop();
  await upstream.stop();
}
