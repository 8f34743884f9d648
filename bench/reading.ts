/** How fast documents become chunks in the process that reads them, and what it needs. `node scripts/bun.mjs bench/reading.ts` */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DocumentSource } from '../src/ingest/document-reader.ts';
import { spawnReader } from '../src/ingest/reader-child.ts';
import { createDocumentReader } from '../src/ingest/reader-process.ts';
import { createTokenizer } from '../src/ingest/tokenizer.ts';
import { createLog } from '../src/log.ts';
import { type Aim, atLeast, atMost, isQuick, openResults } from './harness.ts';

const results = openResults('reading');
const MIB = 1024 * 1024;
const WORDS =
  'harbour vessel master winter basin minister letter regulation lamp keeper sediment river gauge north anchor'.split(
    ' ',
  );
const TEXT_WORDS = isQuick ? 100_000 : 1_000_000;
const PDF_ROUNDS = isQuick ? 5 : 25;
const PDF_PAGES = 12;
const COUNT_AIM = 1_000_000;
const WORD_AIM_MS = 2000;
const PAGES_AIM = 100;
const TOKENS_AIM = 200_000;
const START_AIM_MS = 500;
const MEMORY_AIM_MIB = 150;

/** The same text each time: sentences of eight words, paragraphs of seven sentences. */
function makeText(words: number): string {
  let text = '';
  for (let i = 0, state = 1; i < words; i += 1) {
    state = (state * 48_271) % 2_147_483_647;
    const end = i % 56 === 55 ? '.\n\n' : i % 8 === 7 ? '. ' : ' ';
    text += WORDS[state % WORDS.length] + end;
  }
  return text;
}

function report(id: string, what: string, value: number, unit: string, aim: Aim): void {
  results.report({ id, what, value, unit, aim });
}

async function measureCounting(text: string): Promise<void> {
  const tokenizer = await createTokenizer();
  tokenizer.count(text.slice(0, 100_000));
  const startMs = performance.now();
  const tokens = tokenizer.count(text);
  const perSecond = (tokens / (performance.now() - startMs)) * 1000;
  report('tokens-counted', 'tokens counted', perSecond, 'a second', atLeast(COUNT_AIM));
  const word = text.replace(/[^a-z]/g, '').slice(0, MIB);
  const wordMs = performance.now();
  tokenizer.count(word);
  const tookMs = performance.now() - wordMs;
  report('long-word', 'one word of a mebibyte counted', tookMs, 'ms', atMost(WORD_AIM_MS));
}

const pids: number[] = [];
const reader = createDocumentReader({
  processesMax: 1,
  memoryBytesMax: 1024 * MIB,
  timeoutMs: 120_000,
  idleMs: 60_000,
  log: createLog('silent', () => undefined),
  spawn() {
    const child = spawnReader();
    pids.push(child.pid);
    return child;
  },
});

/** Tokens of all chunks, and the milliseconds until the last. */
async function read(
  name: string,
  bytes: Uint8Array<ArrayBuffer>,
): Promise<{ tokens: number; tookMs: number }> {
  const source: DocumentSource = { name, size: bytes.length, bytes: new Blob([bytes]).stream() };
  const startMs = performance.now();
  let tokens = 0;
  const signal = new AbortController().signal;
  for await (const batch of reader.read(source, { tokensMax: 800, overlapTokens: 400 }, signal)) {
    for (const chunk of batch) tokens += chunk.tokens;
  }
  return { tokens, tookMs: performance.now() - startMs };
}

function readMemoryMib(pid: number): number {
  const kib = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1];
  return Number(kib) / 1024;
}

const text = makeText(TEXT_WORDS);
await measureCounting(text);
const first = await read('first.txt', new TextEncoder().encode('Hello there.'));
const firstWhat = 'the first document, with the start of the process that reads it';
report('first-document', firstWhat, first.tookMs, 'ms', atMost(START_AIM_MS));
report('memory', 'memory of that process', readMemoryMib(pids[0] ?? 0), 'MiB', atMost(MEMORY_AIM_MIB));
const plain = await read('long.txt', new TextEncoder().encode(text));
const tokensPerSecond = (plain.tokens / plain.tookMs) * 1000;
report('text', 'tokens of text to chunks, in one process', tokensPerSecond, 'a second', atLeast(TOKENS_AIM));
const pdf = await Bun.file(join(import.meta.dir, '../test/ingest/documents/station-log.pdf')).bytes();
let pdfMs = 0;
for (let round = 0; round < PDF_ROUNDS; round += 1) pdfMs += (await read('station-log.pdf', pdf)).tookMs;
const pagesPerSecond = (PDF_ROUNDS * PDF_PAGES * 1000) / pdfMs;
report('pdf', 'pages of PDF to chunks, in one process', pagesPerSecond, 'a second', atLeast(PAGES_AIM));
await reader.close();
