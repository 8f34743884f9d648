/** The thread: its death, and where its file is found. */

import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Scope, StoreError } from '../../src/store/store.ts';
import { makeSqliteDirectory, type SqliteDirectory } from './sqlite-directory.ts';

const SOURCE = join(import.meta.dir, '../../src');

function toCode(reason: unknown): unknown {
  return reason instanceof StoreError ? reason.code : reason;
}

describe("the database's thread", () => {
  const scope: Scope = { tenant: 't', parent: 'p' };
  let directory: SqliteDirectory;
  beforeEach(async () => {
    directory = await makeSqliteDirectory();
  });
  afterEach(() => directory.remove());

  test('when it dies, waiting and later calls are refused as unavailable, and close ends', async () => {
    let thread: Worker | undefined;
    const store = await directory.open({
      startThread: () => {
        thread = new Worker(join(SOURCE, 'store/sqlite/thread.ts'));
        return thread;
      },
    });
    await store.insert('messages', scope, { id: 'before' });
    const waiting = Array.from({ length: 20 }, (_, index) =>
      store.insert('messages', scope, { id: `waiting-${index}` }).then(() => 'written', toCode),
    );
    thread?.terminate();
    // Those that the thread had taken may have been written; none is left without an answer.
    for (const outcome of await Promise.all(waiting))
      expect(['written', 'unavailable']).toContain(outcome as string);
    const later = [
      store.ping(),
      store.get('messages', scope, 'before'),
      store.insert('messages', scope, { id: 'x' }),
    ];
    expect(await Promise.all(later.map((call) => call.then(() => 'answered', toCode)))).toEqual([
      'unavailable',
      'unavailable',
      'unavailable',
    ]);
    await store.close();
    const again = await directory.open();
    expect((await again.get('messages', scope, 'before'))?.version).toBe(1);
  });

  test('its death is told once, its proper end and a failed start are not', async () => {
    const lost: string[] = [];
    const onLost = (reason: string): void => {
      lost.push(reason);
    };
    const closed = await directory.open({ onLost });
    await closed.close();
    const missing = () => new Worker(join(directory.path, 'missing.ts'));
    expect(await directory.open({ onLost, startThread: missing }).then(() => 'opened', toCode)).toBe(
      'unavailable',
    );
    expect(lost).toEqual([]);
    let thread: Worker | undefined;
    const store = await directory.open({
      onLost,
      startThread: () => {
        thread = new Worker(join(SOURCE, 'store/sqlite/thread.ts'));
        return thread;
      },
    });
    thread?.terminate();
    expect(await store.ping().then(() => 'answered', toCode)).toBe('unavailable');
    await store.close();
    expect(lost).toHaveLength(1);
  });

  test('when it cannot start, opening fails', async () => {
    const opening = directory.open({ startThread: () => new Worker(join(directory.path, 'missing.ts')) });
    expect(await opening.then(() => 'opened', toCode)).toBe('unavailable');
  });

  test('when it throws, calls are refused as unavailable', async () => {
    const file = join(directory.path, 'throws.ts');
    writeFileSync(
      file,
      `let isOpen = false;
      self.onmessage = () => {
        if (isOpen) throw new Error('broken');
        isOpen = true;
        postMessage([['done', 0]]);
      };`,
    );
    const store = await directory.open({ startThread: () => new Worker(file) });
    expect(await store.ping().then(() => 'answered', toCode)).toBe('unavailable');
    expect(await store.ping().then(() => 'answered', toCode)).toBe('unavailable');
  });

  test('a compiled executable finds its thread, away from the source', async () => {
    const copy = join(directory.path, 'project');
    mkdirSync(copy);
    cpSync(SOURCE, join(copy, 'src'), { recursive: true });
    writeFileSync(
      join(copy, 'src/entry.ts'),
      `import { createSqliteStore } from './store/sqlite/sqlite-store.ts';
      const store = await createSqliteStore({ directory: process.argv[2] ?? '' });
      await store.insert('assistants', { tenant: 't' }, { id: 'compiled' });
      console.log((await store.get('assistants', { tenant: 't' }, 'compiled'))?.record.id);
      await store.close();`,
    );
    const executable = join(directory.path, 'executable');
    const build = [
      'build',
      '--compile',
      '--root=src',
      'src/entry.ts',
      'src/store/sqlite/thread.ts',
      '--outfile',
      executable,
    ];
    const built = Bun.spawn([process.execPath, ...build], { cwd: copy, stdout: 'ignore', stderr: 'pipe' });
    expect([await built.exited, await new Response(built.stderr).text()]).toEqual([0, '']);
    await Bun.spawn(['rm', '-r', copy]).exited;
    const run = Bun.spawn([executable, join(directory.path, 'data')], { stdout: 'pipe', stderr: 'pipe' });
    expect(await new Response(run.stdout).text()).toBe('compiled\n');
    expect([await run.exited, await new Response(run.stderr).text()]).toEqual([0, '']);
  }, 60_000);
});
