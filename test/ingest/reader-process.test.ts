import { afterEach, describe, expect, test } from 'bun:test';
import { existsSync, readFileSync } from 'node:fs';
import { getPriority } from 'node:os';
import { join } from 'node:path';
import { type DocumentChunk, DocumentError, type DocumentReader } from '../../src/ingest/document-reader.ts';
import { type SpawnedReader, spawnReader } from '../../src/ingest/reader-child.ts';
import type { DocumentReaderOptions } from '../../src/ingest/reader-process.ts';
import { AUTO, createTestReader, readAll, readToError, toSource } from './reading.ts';

const MIB = 1024 * 1024;
const WAIT_MS = 10_000;
const LINES = Array.from(
  { length: 20_000 },
  (_, i) => `Line ${i} of the long log says that all is well.\n`,
).join('');

/** Polls a condition that another process brings about. */
async function waitUntil(condition: () => boolean, what: string): Promise<void> {
  const deadlineMs = performance.now() + WAIT_MS;
  while (!condition()) {
    if (performance.now() > deadlineMs) throw new Error(`${what}: not within ${WAIT_MS} ms.`);
    await Bun.sleep(5);
  }
}

/** Gone, or only its entry in the process table is left. */
function isGone(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.startsWith('Z') ?? true;
  } catch {
    return true;
  }
}

describe('the process that reads documents', () => {
  const open: DocumentReader[] = [];
  const spawned: SpawnedReader[] = [];
  const create = (options: Partial<DocumentReaderOptions> = {}): DocumentReader => {
    const reader = createTestReader({
      spawn() {
        const child = spawnReader();
        spawned.push(child);
        return child;
      },
      ...options,
    });
    open.push(reader);
    return reader;
  };
  const pidAt = (index: number): number => {
    const child = spawned[index];
    if (child === undefined) throw new Error(`There is no process ${index}.`);
    return child.pid;
  };
  afterEach(async () => {
    await Promise.all(open.splice(0).map((reader) => reader.close()));
    spawned.splice(0);
  });

  test('is used for many documents, at a lower priority, and knows nothing of the environment', async () => {
    process.env.UNDERSTUDY_TEST_SECRET = 'do not hand on';
    try {
      const reader = create();
      for (let i = 0; i < 5; i += 1)
        expect((await readAll(reader, toSource('a.txt', `Text ${i}.`))).text).toBe(`Text ${i}.`);
    } finally {
      delete process.env.UNDERSTUDY_TEST_SECRET;
    }
    expect(spawned.length).toBe(1);
    expect(getPriority(pidAt(0))).toBeGreaterThan(0);
    if (existsSync('/proc/self/environ')) {
      expect(readFileSync(`/proc/${pidAt(0)}/environ`, 'latin1')).toBe('BUN_FEATURE_FLAG_NO_ORPHANS=1\0');
    }
  });

  test('ends when it has nothing to do, and another is started for the next document', async () => {
    const reader = create({ idleMs: 50 });
    await readAll(reader, toSource('a.txt', 'One.'));
    await spawned[0]?.exited;
    expect((await readAll(reader, toSource('b.txt', 'Two.'))).text).toBe('Two.');
    expect(spawned.length).toBe(2);
  });

  test('is there before the first document where one is expected, once, and ends where none comes', async () => {
    const reader = create({ idleMs: 300 });
    reader.warm();
    reader.warm();
    expect(spawned.length).toBe(1);
    expect((await readAll(reader, toSource('a.txt', 'One.'))).text).toBe('One.');
    expect(spawned.length).toBe(1);
    await spawned[0]?.exited;
    await waitUntil(() => {
      reader.warm();
      return spawned.length === 2;
    }, 'another one after the first has ended');
    await spawned[1]?.exited;
    await reader.close();
    reader.warm();
    expect(spawned.length).toBe(2);
  });

  test('one document a process at a time, and never more processes than allowed', async () => {
    const reader = create({ processesMax: 2 });
    const results = await Promise.all(
      Array.from({ length: 9 }, (_, i) =>
        readAll(reader, toSource(`file ${i}.txt`, `Text ${i}. `.repeat(200))),
      ),
    );
    for (const [i, { text }] of results.entries()) expect(text).toBe(`Text ${i}. `.repeat(200));
    expect(spawned.length).toBeLessThanOrEqual(2);
  });

  test("killed in the middle: its document fails as the server's fault, the next is read", async () => {
    const reader = create();
    const reading = reader.read(toSource('long.txt', LINES), AUTO, new AbortController().signal);
    expect((await reading.next()).done).toBe(false);
    process.kill(pidAt(0), 'SIGKILL');
    await spawned[0]?.exited;
    const failure = await reading.next().then(
      () => null,
      (error: unknown) => error,
    );
    expect(failure).toBeInstanceOf(DocumentError);
    expect(failure).toMatchObject({
      code: 'server_error',
      message: 'The process that read the file ended unexpectedly (signal SIGKILL).',
    });
    expect((await readAll(reader, toSource('a.txt', 'Next.'))).text).toBe('Next.');
  });

  test('killed while it has nothing to do: the next document does not notice', async () => {
    const reader = create();
    await readAll(reader, toSource('a.txt', 'One.'));
    process.kill(pidAt(0), 'SIGKILL');
    expect((await readAll(reader, toSource('b.txt', 'Two.'))).text).toBe('Two.');
  });

  test('that takes too long is ended, and the document fails with the bound', async () => {
    const reader = create({ timeoutMs: 300 });
    const han = Array.from({ length: 4_000_000 }, (_, i) =>
      String.fromCharCode(0x4e00 + ((i * 7919) % 20_000)),
    ).join('');
    const error = await readToError(reader, toSource('slow.txt', han));
    expect(error).toMatchObject({
      code: 'invalid_file',
      message: 'The file took longer to read than the 0.3 seconds that it may.',
    });
    expect(isGone(pidAt(0))).toBe(true);
  });

  test.skipIf(process.platform === 'win32')('that does not even read what it is sent is ended', async () => {
    const reader = create({ timeoutMs: 500 });
    await readAll(reader, toSource('a.txt', 'One.'));
    process.kill(pidAt(0), 'SIGSTOP');
    const large = new ReadableStream<Uint8Array>({
      pull(controller) {
        controller.enqueue(new Uint8Array(MIB).fill(0x61));
      },
    });
    const error = await readToError(reader, { name: 'b.txt', size: 50 * MIB, bytes: large });
    expect(error).toMatchObject({ code: 'invalid_file' });
    expect(isGone(pidAt(0))).toBe(true);
  });

  test('time in which nobody takes the chunks does not count', async () => {
    const reader = create({ timeoutMs: 2000 });
    const some = LINES.slice(0, 150_000);
    const reading = reader.read(toSource('long.txt', some), AUTO, new AbortController().signal);
    await reading.next();
    await Bun.sleep(2200);
    let end = 0;
    for await (const batch of reading) end = batch.at(-1)?.end ?? 0;
    expect(end).toBe(some.length);
  });

  test('time in which the bytes do not come does not count', async () => {
    const reader = create({ timeoutMs: 2000 });
    const bytes = new ReadableStream<Uint8Array>({
      async start(controller) {
        await Bun.sleep(2200);
        controller.enqueue(new TextEncoder().encode('Late, but complete.'));
        controller.close();
      },
    });
    expect((await readAll(reader, { name: 'late.txt', size: 19, bytes })).text).toBe('Late, but complete.');
  });

  test.skipIf(process.platform !== 'linux')(
    'that needs too much memory is ended, and the document fails with the bound',
    async () => {
      const reader = create({ memoryBytesMax: 200 * MIB });
      const error = await readToError(
        reader,
        toSource('large.html', `<p>${'many words of text </p><p>'.repeat(2_000_000)}`),
      );
      expect(error).toMatchObject({
        code: 'invalid_file',
        message: 'The file needs more memory to be read than the 200 MiB that it may.',
      });
      expect(isGone(pidAt(0))).toBe(true);
    },
  );

  test('an abort while it works ends the work, with the reason of the signal', async () => {
    const reader = create();
    const abort = new AbortController();
    const reason = new Error('No longer wanted.');
    const han = Array.from({ length: 8_000_000 }, (_, i) =>
      String.fromCharCode(0x4e00 + ((i * 7919) % 20_000)),
    ).join('');
    const reading = readAll(reader, toSource('slow.txt', han), AUTO, abort.signal);
    await waitUntil(() => spawned.length === 1, 'the process starts');
    abort.abort(reason);
    expect(await reading.catch((error: unknown) => error)).toBe(reason);
    await waitUntil(() => isGone(pidAt(0)), 'the process ends');
  });

  test('an abort while bytes are waited for, or a process, is heard', async () => {
    const reader = create();
    const abort = new AbortController();
    const reason = new Error('No longer wanted.');
    let isCancelled = false;
    const never = new ReadableStream<Uint8Array>({
      cancel() {
        isCancelled = true;
      },
    });
    const waiting = readAll(reader, { name: 'a.txt', size: 10, bytes: never }, AUTO, abort.signal);
    const queued = readAll(reader, toSource('b.txt', 'x'), AUTO, abort.signal);
    await waitUntil(() => spawned.length === 1, 'the process starts');
    abort.abort(reason);
    expect(await waiting.catch((error: unknown) => error)).toBe(reason);
    expect(await queued.catch((error: unknown) => error)).toBe(reason);
    expect(isCancelled).toBe(true);
    expect((await readAll(reader, toSource('c.txt', 'Next.'))).text).toBe('Next.');
  });

  test('a loop over the chunks that is left early ends the reading', async () => {
    const reader = create();
    for await (const _ of reader.read(toSource('long.txt', LINES), AUTO, new AbortController().signal)) break;
    await waitUntil(() => isGone(pidAt(0)), 'the process ends');
    expect((await readAll(reader, toSource('a.txt', 'Next.'))).text).toBe('Next.');
  });

  test('whoever takes chunks slowly has only those under way in memory', async () => {
    const reader = create();
    const reading = reader.read(toSource('long.txt', LINES), AUTO, new AbortController().signal);
    const first = await reading.next();
    const before = process.memoryUsage().rss;
    await Bun.sleep(500);
    // Nothing comes unasked: what was not taken is still text in the process.
    expect(process.memoryUsage().rss - before).toBeLessThan(32 * MIB);
    const chunks: DocumentChunk[] = first.done === true ? [] : [...first.value];
    expect(chunks.length).toBeLessThanOrEqual(32);
    for await (const batch of reading) {
      expect(batch.length).toBeLessThanOrEqual(32);
      chunks.push(...batch);
    }
    expect(chunks.at(-1)?.end).toBe(LINES.length);
  });

  test('closing ends what is read, what waits, and the processes; a second time does nothing', async () => {
    const reader = create();
    const reading = reader.read(toSource('long.txt', LINES), AUTO, new AbortController().signal);
    await reading.next();
    const queued = readAll(reader, toSource('b.txt', 'x')).catch((error: unknown) => error);
    await reader.close();
    await reader.close();
    expect(isGone(pidAt(0))).toBe(true);
    expect(await queued).toMatchObject({ code: 'server_error', message: 'The server is stopping.' });
    expect(await reading.next().catch((error: unknown) => error)).toMatchObject({ code: 'server_error' });
    expect(await readToError(reader, toSource('c.txt', 'x'))).toMatchObject({
      message: 'The server is stopping.',
    });
  });

  test.skipIf(process.platform !== 'linux')(
    'ends with the server, also when that is killed while it works',
    async () => {
      const server = Bun.spawn([process.execPath, join(import.meta.dir, 'doomed-server.ts')], {
        stdout: 'pipe',
        stderr: 'inherit',
      });
      const lines = server.stdout.pipeThrough(new TextDecoderStream()).getReader();
      const pid = Number((await lines.read()).value);
      expect(pid).toBeGreaterThan(0);
      expect(isGone(pid)).toBe(false);
      server.kill('SIGKILL');
      await server.exited;
      await waitUntil(() => isGone(pid), 'the process ends');
    },
  );
});
