/**
 * Large files: what they take of the server's memory, and how fast they come and go. `bun bench/files.ts`
 *
 * 1. A file of 512 MiB is uploaded and downloaded, one piece after the other: growth of the RSS of all processes of the
 *    server over what they had before, at its highest. Aim < 64 MiB.
 * 2. The upload against SQLite alone: the same pieces inserted in a loop, four a transaction, into the same file under the
 *    same settings. Ratio of bytes a second, aim ≥ 0.5.
 * 3. Both against a plain Bun server that writes the bytes to a plain file, syncs it once at the end, and sends it back as
 *    a file. Ratios of bytes a second, aims ≥ 0.15 up and ≥ 0.3 down: a database in a log writes everything twice, and
 *    syncs it with each few pieces, so that several processes can share it and a crash leaves nothing half written.
 *
 * Both sides alternate; the ratio is the median over the rounds.
 */

import { createHash } from 'node:crypto';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PIECE_BYTES_MAX } from '../src/store/blob-store.ts';
import { BLOB_FILE, openBlobDatabase } from '../src/store/sqlite/blob-schema.ts';
import { atLeast, below, isQuick, openResults, type Server, startServer, toMedian } from './harness.ts';

const MIB = 1024 * 1024;
const FILE_MIB = isQuick ? 128 : 512;
const ROUNDS = isQuick ? 2 : 4;
const MEMORY_AIM_MIB = 64;
const SQLITE_AIM = 0.5;
const UP_AIM = 0.15;
const DOWN_AIM = 0.3;
const PIECES_PER_TRANSACTION = 4;
const SAMPLE_MS = 20;
const PLAIN_FLAG = '--plain-server';
const BOUNDARY = 'bench-boundary';
const FORM_HEAD = `--${BOUNDARY}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nuser_data\r\n--${BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="large.bin"\r\nContent-Type: application/octet-stream\r\n\r\n`;
const FORM_END = `\r\n--${BOUNDARY}--\r\n`;

/** The other side: no form, no database, one sync. */
async function servePlainly(): Promise<never> {
  const path = join(tmpdir(), `understudy-bench-plain-${process.pid}.bin`);
  const server = Bun.serve({
    port: 0,
    idleTimeout: 120,
    maxRequestBodySize: Number.MAX_SAFE_INTEGER,
    async fetch(request) {
      if (request.method === 'GET') return new Response(Bun.file(path));
      const file = await open(path, 'w');
      for await (const chunk of request.body ?? []) await file.write(chunk);
      await file.sync();
      await file.close();
      return Response.json({ id: 'plain' });
    },
  });
  process.on('SIGTERM', async () => {
    await Bun.file(path).delete();
    process.exit(0);
  });
  console.log(server.url.href);
  return await new Promise<never>(() => undefined);
}

/** Random enough that nothing is saved by packing, without making each byte anew. */
const BLOCK = crypto.getRandomValues(new Uint8Array(65_536));

function toMibOf(index: number): Uint8Array {
  const bytes = new Uint8Array(MIB);
  for (let at = 0; at < MIB; at += BLOCK.length) bytes.set(BLOCK, at);
  bytes[0] = index & 0xff;
  bytes[1] = index >> 8;
  return bytes;
}

function toBody(head: string, end: string): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  let index = 0;
  return new ReadableStream(
    {
      pull(controller) {
        if (index === 0 && head !== '') controller.enqueue(encoder.encode(head));
        if (index < FILE_MIB) controller.enqueue(toMibOf(index));
        else {
          if (end !== '') controller.enqueue(encoder.encode(end));
          controller.close();
        }
        index += 1;
      },
    },
    { highWaterMark: 0 },
  );
}

interface Target {
  readonly uploadUrl: string;
  readonly type: string;
  readonly head: string;
  readonly end: string;
  toDownloadUrl(id: string): string;
}

/** MiB a second. */
async function time(work: () => Promise<void>): Promise<number> {
  const begin = performance.now();
  await work();
  return FILE_MIB / ((performance.now() - begin) / 1000);
}

async function upload(target: Target): Promise<string> {
  const response = await fetch(target.uploadUrl, {
    method: 'POST',
    headers: { 'content-type': target.type },
    body: toBody(target.head, target.end),
  });
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
  return ((await response.json()) as { id: string }).id;
}

async function download(url: string): Promise<void> {
  const response = await fetch(url);
  let bytes = 0;
  for await (const chunk of response.body ?? []) bytes += chunk.byteLength;
  if (bytes !== FILE_MIB * MIB) throw new Error(`${bytes} bytes came back`);
}

async function checkBytes(url: string): Promise<void> {
  const expected = createHash('sha256');
  for (let index = 0; index < FILE_MIB; index += 1) expected.update(toMibOf(index));
  const actual = createHash('sha256');
  for await (const chunk of (await fetch(url)).body ?? []) actual.update(chunk);
  if (actual.digest('hex') !== expected.digest('hex')) throw new Error('other bytes came back');
}

/** What SQLite alone takes in, in MiB a second. */
async function timeSqlite(): Promise<number> {
  const directory = await mkdtemp(join(tmpdir(), 'understudy-bench-sqlite-'));
  const database = openBlobDatabase({ directory, file: join(directory, BLOB_FILE), lockWaitMs: 1000 });
  const [begin, commit] = [database.prepare('BEGIN IMMEDIATE'), database.prepare('COMMIT')];
  const insert = database.prepare<void, [number, Uint8Array]>(
    `INSERT INTO pieces (tenant, blob, number, bytes) VALUES ('default', 'file', ?, ?)`,
  );
  const piecesPerMib = MIB / PIECE_BYTES_MAX;
  const speed = await time(async () => {
    for (let index = 0; index < FILE_MIB; index += 1) {
      const bytes = toMibOf(index);
      for (let piece = 0; piece < piecesPerMib; piece += 1) {
        const number = index * piecesPerMib + piece;
        if (number % PIECES_PER_TRANSACTION === 0) begin.run();
        insert.run(number, bytes.subarray(piece * PIECE_BYTES_MAX, (piece + 1) * PIECE_BYTES_MAX));
        if (number % PIECES_PER_TRANSACTION === PIECES_PER_TRANSACTION - 1) commit.run();
      }
    }
  });
  database.close();
  await rm(directory, { recursive: true });
  return speed;
}

/** KiB over what it was before, at its highest while `work` runs. */
async function measureGrowth(server: Server, work: () => Promise<void>): Promise<number> {
  const before = (await server.readMemory()).rss;
  let highest = before;
  let isDone = false;
  const sampling = (async () => {
    while (!isDone) {
      highest = Math.max(highest, (await server.readMemory()).rss);
      await Bun.sleep(SAMPLE_MS);
    }
  })();
  await work();
  isDone = true;
  await sampling;
  return highest - before;
}

async function startPlain(): Promise<{ url: string; stop(): Promise<void> }> {
  const child = Bun.spawn([process.execPath, import.meta.path, PLAIN_FLAG], { stdout: 'pipe' });
  const { value } = await child.stdout.getReader().read();
  return {
    url: new TextDecoder().decode(value).trim(),
    async stop() {
      child.kill();
      await child.exited;
    },
  };
}

async function bench(): Promise<void> {
  const plain = await startPlain();
  const server = await startServer();
  const ours: Target = {
    uploadUrl: `${server.url}/v1/files`,
    type: `multipart/form-data; boundary=${BOUNDARY}`,
    head: FORM_HEAD,
    end: FORM_END,
    toDownloadUrl: (id) => `${server.url}/v1/files/${id}/content`,
  };
  const theirs: Target = {
    uploadUrl: plain.url,
    type: 'application/octet-stream',
    head: '',
    end: '',
    toDownloadUrl: () => plain.url,
  };
  const remove = (id: string) => fetch(`${server.url}/v1/files/${id}`, { method: 'DELETE' });

  let first = '';
  const growth = await measureGrowth(server, async () => {
    first = await upload(ours);
    await download(ours.toDownloadUrl(first));
  });
  await checkBytes(ours.toDownloadUrl(first));
  await remove(first);

  const up: number[] = [];
  const overSqlite: number[] = [];
  const down: number[] = [];
  for (let round = 1; round <= ROUNDS; round += 1) {
    const speeds: { up: number; down: number }[] = [];
    for (const target of [ours, theirs]) {
      let id = '';
      const upSpeed = await time(async () => {
        id = await upload(target);
      });
      const downSpeed = await time(() => download(target.toDownloadUrl(id)));
      if (target === ours) await remove(id);
      speeds.push({ up: upSpeed, down: downSpeed });
    }
    const [mine, other] = speeds;
    if (mine === undefined || other === undefined) break;
    const sqlite = await timeSqlite();
    overSqlite.push(mine.up / sqlite);
    up.push(mine.up / other.up);
    down.push(mine.down / other.down);
    console.log(
      `round ${round}: up ${mine.up.toFixed(0)} MiB/s, SQLite alone ${sqlite.toFixed(0)}, plain ${other.up.toFixed(0)}; ` +
        `down ${mine.down.toFixed(0)} MiB/s, plain ${other.down.toFixed(0)}`,
    );
  }
  await server.stop();
  await plain.stop();
  const mib = growth / 1024;
  const results = openResults('files');
  results.report({
    id: 'memory-growth',
    what: `what an upload and a download of ${FILE_MIB} MiB add to the RSS of all processes`,
    value: mib,
    unit: 'MiB',
    aim: below(MEMORY_AIM_MIB),
  });
  for (const [id, what, ratios, aim] of [
    ['upload-over-sqlite', 'upload, over the same pieces written by SQLite alone', overSqlite, SQLITE_AIM],
    ['upload-over-plain-file', 'upload, over a plain server that writes and syncs a plain file', up, UP_AIM],
    ['download-over-plain-file', 'download, over a plain server that sends a plain file', down, DOWN_AIM],
  ] as const) {
    results.report({ id, what, value: toMedian(ratios), unit: '', aim: atLeast(aim) });
  }
}

if (process.argv.includes(PLAIN_FLAG)) await servePlainly();
else await bench();
