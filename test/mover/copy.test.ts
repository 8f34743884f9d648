/** A whole tenant is copied, and the copy is the original to whoever asks it. */

import { Database } from 'bun:sqlite';
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { startRetrieval } from '../retrieval/retrieval-fixture.ts';
import { waitUntil } from '../support/server.ts';
import { copy, makeDirectories, readCounts } from './copy-process.ts';
import {
  type MadeTenant,
  makeTenant,
  PART_TEXT,
  readTenant,
  search,
  waitForStore,
} from './tenant-fixture.ts';

describe('a copy', () => {
  let directories: Awaited<ReturnType<typeof makeDirectories<'source' | 'copy' | 'back' | 'planted'>>>;
  let made: MadeTenant;
  beforeAll(async () => {
    directories = await makeDirectories('source', 'copy', 'back', 'planted');
    made = await makeTenant(directories.source);
  });
  afterAll(() => directories.remove());

  test('has everything, which a comparison confirms; made again it changes nothing', async () => {
    const { source, copy: target } = directories;
    const first = await copy(source, target);
    expect(first).toMatchObject({ code: 0 });
    expect(first.stdout).toContain('Both sides are the same:');
    expect(readCounts(first).present).toBe(0);
    for (const kind of [
      'assistants',
      'steps',
      'leases',
      'ingests',
      'expirations',
      'bytes of files',
      'chunks',
    ]) {
      expect(first.stdout).toMatch(new RegExp(`^ {2}${kind} +[1-9]`, 'm'));
    }
    const second = await copy(source, target);
    expect(second.code).toBe(0);
    expect(readCounts(second)).toEqual({ copied: 0, present: readCounts(first).copied });
    expect(second.stdout).toContain('0 B of files, 0 chunks');
    expect(await copy(source, target, '--verify-only')).toMatchObject({ code: 0 });
  });

  test('can be copied back, and is the same', async () => {
    const { source, copy: target, back } = directories;
    expect(await copy(target, back)).toMatchObject({ code: 0 });
    expect(await copy(source, back, '--verify-only')).toMatchObject({ code: 0 });
  });

  test('that lacks something, or holds something else, is told from the original: each place is named, and nothing is mended', async () => {
    const { source, copy: target, planted } = directories;
    await cp(target, planted, { recursive: true });
    const [thread, other] = made.threads;
    plant(join(planted, 'understudy.db'), (database) => {
      database.run(
        `UPDATE threads SET document = json_set(document, '$.metadata.question', 'x') WHERE id = '${thread}'`,
      );
      database.run(
        `DELETE FROM messages WHERE rowid = (SELECT max(rowid) FROM messages WHERE parent = '${other}')`,
      );
    });
    plant(join(planted, 'files.db'), (database) => {
      database.run(
        'UPDATE pieces SET bytes = zeroblob(length(bytes)) WHERE rowid = (SELECT max(rowid) FROM pieces)',
      );
    });
    plant(join(planted, 'index.db'), (database) => {
      database.run("UPDATE chunks SET text = replace(text, 'keeper', 'reeper')");
    });
    const result = await copy(source, planted, '--verify-only');
    expect(result.code).toBe(1);
    expect(result.stdout).toContain(`threads: ${thread} differs: metadata.`);
    expect(result.stdout).toMatch(new RegExp(`messages: msg_\\w+ of ${other} is missing at the destination`));
    expect(result.stdout).toMatch(/(files|upload_parts): the bytes of \S+ differ/);
    expect(result.stdout).toMatch(/index: the chunks of file-\w+ of vs_\w+ differ from position 0 on/);
    const again = await copy(source, planted);
    expect(again.code).toBe(1);
    expect(again.stdout).toContain('1 records were there already, are not the same');
    expect(again.stdout).toContain(`threads: ${thread} differs: metadata.`);
    expect(again.stdout).not.toContain('is missing');
  });

  test('answers as the original does: lists, steps, bytes, searches with the same results and scores; and goes on with what was open', async () => {
    const { source, copy: target } = directories;
    const answers: unknown[] = [];
    for (const dataDirectory of [source, target]) {
      const retrieval = await startRetrieval({ dataDirectory });
      const { client } = retrieval;
      try {
        await waitForStore(client, made.unread);
        answers.push(await readTenant(client, made));
        await goOn(client);
      } finally {
        await retrieval.close();
      }
    }
    expect(answers[1]).toEqual(answers[0]);
  });

  /** The run gets its output, the upload its other half, and the file that was being read can be found. */
  async function goOn(client: Awaited<ReturnType<typeof startRetrieval>>['client']): Promise<void> {
    const [found] = await search(client, made.unread, { query: 'seals' });
    expect(found?.filename).toBe('unread.txt');
    const { thread, run, call } = made.waiting;
    const { runs } = client.beta.threads;
    await runs.submitToolOutputs(run, {
      thread_id: thread,
      tool_outputs: [{ tool_call_id: call, output: 'rain' }],
    });
    await waitUntil(
      'the run has ended',
      async () => (await runs.retrieve(run, { thread_id: thread })).status === 'completed',
    );
    const rest = 'and the second.'.padEnd(32 - PART_TEXT.length);
    const part = await client.uploads.parts.create(made.upload.id, { data: new File([rest], 'part') });
    const whole = await client.uploads.complete(made.upload.id, { part_ids: [made.upload.part, part.id] });
    expect(await (await client.files.content(whole.file?.id ?? '')).text()).toBe(PART_TEXT + rest);
  }
});

function plant(file: string, work: (database: Database) => void): void {
  const database = new Database(file);
  try {
    work(database);
    database.run('PRAGMA wal_checkpoint(TRUNCATE)');
  } finally {
    database.close();
  }
}
