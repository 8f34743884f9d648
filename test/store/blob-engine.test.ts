/** The SQLite engine of blobs: its thread, its file, other processes on it, crashes and full disks. */

import { Database } from 'bun:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { cpSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PIECE_BYTES_MAX } from '../../src/store/blob-store.ts';
import { BLOB_APPLICATION_ID } from '../../src/store/sqlite/blob-schema.ts';
import { BLOB_FILE } from '../../src/store/sqlite/blob-store.ts';
import { APPLICATION_ID } from '../../src/store/sqlite/schema.ts';
import { createSqliteStore, DATABASE_FILE } from '../../src/store/sqlite/sqlite-store.ts';
import { StoreError } from '../../src/store/store.ts';
import { waitUntil } from '../support/server.ts';
import { isPiece, makePiece } from './blob-child.ts';
import { type BlobDirectory, makeBlobDirectory } from './blob-directory.ts';
import { startChild } from './sqlite-process.ts';

const SOURCE = join(import.meta.dir, '../../src');
const CRASHES = 4;

let directory: BlobDirectory;
beforeEach(async () => {
  directory = await makeBlobDirectory();
});
afterEach(() => directory.remove());

const startBlobChild = (task: readonly string[], prefix = '') => startChild(task, prefix, 'blob-child.ts');

function toCode(reason: unknown): unknown {
  return reason instanceof StoreError ? reason.code : reason;
}

function query(statement: string): unknown {
  const database = new Database(join(directory.path, BLOB_FILE));
  const [row] = database.query(statement).values();
  database.close();
  return row?.[0];
}

describe('the file', () => {
  test("is made for its owner only, and says whose it is and which schema it has: not the records'", async () => {
    const blobs = await directory.open();
    await blobs.putPiece('t', 'b', 0, makePiece(1));
    for (const ending of ['', '-wal', '-shm']) {
      expect(statSync(join(directory.path, BLOB_FILE + ending)).mode & 0o777).toBe(0o600);
    }
    expect([query('PRAGMA application_id'), query('PRAGMA user_version')]).toEqual([BLOB_APPLICATION_ID, 1]);
    expect(BLOB_APPLICATION_ID).not.toBe(APPLICATION_ID);
    expect([query('PRAGMA page_size'), query('PRAGMA auto_vacuum')]).toEqual([16_384, 2]);
  });

  test('of records, of another program or of a newer version is refused, and is not touched', async () => {
    const store = await createSqliteStore({ directory: directory.path });
    await store.close();
    cpSync(join(directory.path, DATABASE_FILE), join(directory.path, BLOB_FILE));
    expect(await directory.open().then(() => 'opened', toCode)).toBe('unavailable');
    expect(query('PRAGMA application_id')).toBe(APPLICATION_ID);
    writeFileSync(
      join(directory.path, BLOB_FILE),
      'no database, but a text of some length, to be sure of it',
    );
    expect(await directory.open().then(() => 'opened', toCode)).toBe('unavailable');
  });

  test('is complete by itself once the store is closed', async () => {
    const blobs = await directory.open();
    for (let i = 0; i < 40; i += 1) await blobs.putPiece('t', 'b', i, makePiece(i));
    await blobs.close();
    const copy = await makeBlobDirectory();
    cpSync(join(directory.path, BLOB_FILE), join(copy.path, BLOB_FILE));
    const copied = await copy.open();
    for (let i = 0; i < 40; i += 1) expect(isPiece(await copied.getPiece('t', 'b', i), i)).toBe(true);
    await copy.remove();
  });
});

describe('space', () => {
  const fill = async (blobs: Awaited<ReturnType<BlobDirectory['open']>>, blob: string, pieces: number) => {
    for (let at = 0; at < pieces; at += 8) {
      await Promise.all(
        Array.from({ length: 8 }, (_, i) =>
          blobs.putPiece('t', blob, at + i, new Uint8Array(PIECE_BYTES_MAX).fill(i)),
        ),
      );
    }
  };
  const readSize = () => statSync(join(directory.path, BLOB_FILE)).size;

  test('of what is deleted is used again', async () => {
    const blobs = await directory.open();
    await fill(blobs, 'first', 64);
    for (let round = 0; round < 3; round += 1) {
      await blobs.deleteBlob('t', round === 0 ? 'first' : `again-${round - 1}`);
      await fill(blobs, `again-${round}`, 64);
    }
    await blobs.close();
    expect(readSize()).toBeLessThan(64 * PIECE_BYTES_MAX * 1.25);
  });

  test('is given back when much of it is free and nobody writes', async () => {
    const blobs = await directory.open();
    await fill(blobs, 'kept', 16);
    await fill(blobs, 'large', 320);
    await blobs.deleteBlob('t', 'large');
    const free = () => Number(query('PRAGMA freelist_count'));
    expect(free()).toBeGreaterThan(4000);
    await waitUntil('the file is cut', () => free() <= 2048, 30_000);
    await blobs.close();
    expect(readSize()).toBeLessThan(50 * 1024 * 1024);
    const again = await directory.open();
    for (let i = 0; i < 16; i += 1) expect((await again.getPiece('t', 'kept', i))?.[0]).toBe(i % 8);
  }, 60_000);
});

describe('the thread', () => {
  test('commits pieces that come together in one transaction', async () => {
    const blobs = await directory.open();
    await Promise.all(Array.from({ length: 24 }, (_, i) => blobs.putPiece('t', 'b', i, makePiece(i))));
    const { transactions, pieces } = blobs.getStatistics();
    expect(pieces).toBe(24);
    expect(transactions).toBeLessThanOrEqual(3);
  });

  test('takes the bytes over without a copy, and hands them over likewise', async () => {
    const blobs = await directory.open();
    const bytes = new Uint8Array(PIECE_BYTES_MAX).fill(7);
    await blobs.putPiece('t', 'b', 0, bytes);
    // A buffer that has changed hands is empty where it was.
    expect(bytes.byteLength).toBe(0);
    const piece = await blobs.getPiece('t', 'b', 0);
    expect(piece?.buffer.byteLength).toBe(PIECE_BYTES_MAX);
    expect(piece?.every((byte) => byte === 7)).toBe(true);
  });

  test('when it dies, waiting and later calls are refused, that is told once, and what was acknowledged is there', async () => {
    const lost: string[] = [];
    let thread: Worker | undefined;
    const blobs = await directory.open({
      onLost: (reason) => lost.push(reason),
      startThread: () => {
        thread = new Worker(join(SOURCE, 'store/sqlite/blob-thread.ts'));
        return thread;
      },
    });
    await blobs.putPiece('t', 'b', 0, makePiece(3));
    const waiting = Array.from({ length: 20 }, (_, i) =>
      blobs.putPiece('t', 'waiting', i, makePiece(i)).then(() => 'written', toCode),
    );
    thread?.terminate();
    for (const outcome of await Promise.all(waiting)) {
      expect(['written', 'unavailable']).toContain(outcome as string);
    }
    const later = [
      blobs.getPiece('t', 'b', 0),
      blobs.putPiece('t', 'b', 1, makePiece(1)),
      blobs.deleteBlob('t', 'b'),
    ];
    expect(await Promise.all(later.map((call) => call.then(() => 'answered', toCode)))).toEqual([
      'unavailable',
      'unavailable',
      'unavailable',
    ]);
    await blobs.close();
    expect(lost).toHaveLength(1);
    const again = await directory.open();
    expect(isPiece(await again.getPiece('t', 'b', 0), 3)).toBe(true);
  });

  test('when it is closed or cannot start, nothing is told as lost', async () => {
    const lost: string[] = [];
    const onLost = (reason: string): void => {
      lost.push(reason);
    };
    await (await directory.open({ onLost })).close();
    const startThread = () => new Worker(join(directory.path, 'missing.ts'));
    expect(await directory.open({ onLost, startThread }).then(() => 'opened', toCode)).toBe('unavailable');
    expect(lost).toEqual([]);
  });

  test('is found by a compiled executable, away from the source', async () => {
    const copy = join(directory.path, 'project');
    mkdirSync(copy);
    cpSync(SOURCE, join(copy, 'src'), { recursive: true });
    writeFileSync(
      join(copy, 'src/entry.ts'),
      `import { createSqliteBlobStore } from './store/sqlite/blob-store.ts';
      const blobs = await createSqliteBlobStore({ directory: process.argv[2] ?? '' });
      await blobs.putPiece('t', 'b', 0, new TextEncoder().encode('compiled'));
      console.log(new TextDecoder().decode(await blobs.getPiece('t', 'b', 0)));
      await blobs.close();`,
    );
    const executable = join(directory.path, 'executable');
    const entries = ['src/entry.ts', 'src/store/sqlite/thread.ts', 'src/store/sqlite/blob-thread.ts'];
    const build = ['build', '--compile', '--root=src', ...entries, '--outfile', executable];
    const built = Bun.spawn([process.execPath, ...build], { cwd: copy, stdout: 'ignore', stderr: 'pipe' });
    expect([await built.exited, await new Response(built.stderr).text()]).toEqual([0, '']);
    await Bun.spawn(['rm', '-r', copy]).exited;
    const run = Bun.spawn([executable, join(directory.path, 'data')], { stdout: 'pipe', stderr: 'pipe' });
    expect(await new Response(run.stdout).text()).toBe('compiled\n');
    expect([await run.exited, await new Response(run.stderr).text()]).toEqual([0, '']);
  }, 60_000);
});

describe('several processes', () => {
  test('write at once, and everything that each has written is there', async () => {
    const blobs = await directory.open();
    const names = ['one', 'two', 'three'];
    const children = names.map((name) => startBlobChild(['hundred', directory.path, name]));
    for (const child of children) expect(await child.wait()).toEqual({ exitCode: 0, errors: '' });
    for (const name of names) {
      for (let i = 0; i < 100; i += 1) expect(isPiece(await blobs.getPiece('t', name, i), i)).toBe(true);
    }
  }, 60_000);

  test('that hold the lock keep writes waiting, not reads and not the event loop', async () => {
    const blobs = await directory.open();
    await blobs.putPiece('t', 'b', 0, makePiece(0));
    const holder = startBlobChild(['hold', directory.path]);
    expect(await holder.readLine()).toBe('held');
    let isWritten = false;
    const write = blobs.putPiece('t', 'b', 1, makePiece(1)).then(() => {
      isWritten = true;
    });
    for (let i = 0; i < 50; i += 1) expect(isPiece(await blobs.getPiece('t', 'b', 0), 0)).toBe(true);
    expect(isWritten).toBe(false);
    holder.endInput();
    await write;
    expect((await holder.wait()).exitCode).toBe(0);
    expect(blobs.getStatistics().lockWaits).toBeGreaterThan(0);
    expect(isPiece(await blobs.getPiece('t', 'b', 1), 1)).toBe(true);
  }, 30_000);

  test('that hold the lock for longer than the bound have writes refused, and nothing of them is written', async () => {
    const blobs = await directory.open({ lockWaitMs: 100 });
    const holder = startBlobChild(['hold', directory.path]);
    expect(await holder.readLine()).toBe('held');
    const refused = [blobs.putPiece('t', 'b', 0, makePiece(0)), blobs.deleteBlob('t', 'b')];
    expect(await Promise.all(refused.map((call) => call.then(() => 'written', toCode)))).toEqual([
      'unavailable',
      'unavailable',
    ]);
    holder.endInput();
    await holder.wait();
    expect(await blobs.getPiece('t', 'b', 0)).toBeNull();
    await blobs.putPiece('t', 'b', 0, makePiece(0));
  }, 30_000);

  test('that start at once on a directory that is not there make one database', async () => {
    const path = join(directory.path, 'new/data');
    const children = Array.from({ length: 5 }, () => startBlobChild(['open', path]));
    const ends = await Promise.all(children.map((child) => child.wait()));
    expect(ends).toEqual(ends.map(() => ({ exitCode: 0, errors: '' })));
  }, 60_000);
});

describe('crashes and full disks', () => {
  test(`kill -9 during writes, ${CRASHES} times: what was acknowledged is there, byte for byte, and the file is sound`, async () => {
    for (let round = 0; round < CRASHES; round += 1) {
      const child = startBlobChild(['write', directory.path, `round-${round}`]);
      const acknowledged: number[] = [];
      for await (const line of child.lines) {
        acknowledged.push(Number(line));
        if (acknowledged.length === 60 + round * 90) child.kill();
      }
      await child.wait();
      expect(acknowledged.length).toBeGreaterThanOrEqual(60 + round * 90);
      expect(query('PRAGMA integrity_check')).toBe('ok');
      const blobs = await directory.open();
      const pieces = await Promise.all(acknowledged.map((n) => blobs.getPiece('t', `round-${round}`, n)));
      expect(acknowledged.filter((number, at) => !isPiece(pieces[at] ?? null, number))).toEqual([]);
      await blobs.close();
    }
  }, 120_000);

  test('a full disk refuses writes as unavailable, keeps what was acknowledged, and reads go on', async () => {
    await (await directory.open()).close();
    // Files may grow to 4 MiB; the signal that would end the process becomes an error of the write.
    const child = startBlobChild(['fill', directory.path], `trap '' XFSZ; ulimit -f 8192;`);
    const lines = await Array.fromAsync(child.lines);
    expect(await child.wait()).toEqual({ exitCode: 0, errors: '' });
    expect(lines.pop()).toBe('read true');
    const outcomes = lines.map((line) => line.split(' ') as [number: string, outcome: string]);
    const written = outcomes.filter(([, outcome]) => outcome === 'written');
    const refused = outcomes.filter(([, outcome]) => outcome !== 'written');
    expect(written.length).toBeGreaterThan(10);
    expect(refused.length).toBeGreaterThan(0);
    expect(refused.map(([, outcome]) => outcome)).toEqual(refused.map(() => 'unavailable'));
    expect(query('PRAGMA integrity_check')).toBe('ok');
    const blobs = await directory.open();
    for (const [number, outcome] of outcomes) {
      const piece = await blobs.getPiece('t', 'b', Number(number));
      expect([number, isPiece(piece, Number(number))]).toEqual([number, outcome === 'written']);
    }
  }, 60_000);
});
