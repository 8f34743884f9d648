/** What a process that dies while it stages, publishes, merges or removes leaves behind. */

import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import type { SqliteVectorIndex } from '../../src/vector/sqlite/sqlite-vector-index.ts';
import { WANTED_MAX } from '../../src/vector/vector-index.ts';
import { publish, toQuery, toVector } from '../contract/vector-index-fixture.ts';
import { FILES, SHARED_SCOPE, toSize, toVersion } from './index-child.ts';
import { type IndexDirectory, makeIndexDirectory, waitUntil } from './index-directory.ts';
import { startIndexChild } from './index-process.ts';

const ROUNDS = 5;

/** The round of each file's version that can be found, after a check that the version is whole. */
async function readVersions(index: SqliteVectorIndex): Promise<ReadonlyMap<string, number>> {
  const rounds = new Map<string, number>();
  let chunks = 0;
  for (let number = 0; number < FILES; number += 1) {
    const file = `file-${number}`;
    const texts: string[] = [];
    for (let more = 1; more > 0; ) {
      const read = await index.readChunks(SHARED_SCOPE, file, texts.length, 256);
      texts.push(...read.map(({ text }) => text));
      more = read.length;
    }
    if (texts.length === 0) continue;
    const round = Number(/ r(\d+) /.exec(texts[0] ?? '')?.[1]);
    expect(texts).toEqual(toVersion(file, round).map(({ text }) => text));
    rounds.set(file, round);
    chunks += texts.length;
    // By words and by vectors, each chunk once, with what it was published with.
    const last = texts.length - 1;
    const vector = toVector(1, last, round, 3);
    const [best] = await index.search(
      SHARED_SCOPE,
      toQuery(`${file} r${round} p${last}`, vector, { wanted: 1 }),
    );
    expect([best?.file, best?.chunk.position, best?.attributes]).toEqual([file, last, { round }]);
    expect(best?.cosine).toBeCloseTo(1, 5);
    const hits = await index.search(SHARED_SCOPE, toQuery(`r${round}`, null, { wanted: WANTED_MAX }));
    expect(new Set(hits.map((hit) => `${hit.file}:${hit.chunk.position}`)).size).toBe(hits.length);
    expect(hits).toHaveLength(Math.min(WANTED_MAX, toSize(round)));
  }
  expect((await index.describe(SHARED_SCOPE)).chunks).toBe(chunks);
  return rounds;
}

describe('crashes', () => {
  let directory: IndexDirectory;
  beforeEach(async () => {
    directory = await makeIndexDirectory();
  });
  afterEach(() => directory.remove());

  test(`kill -9 in the middle of staging and publishing, ${ROUNDS} times: what was acknowledged is there, whole and once, and the rest goes on`, async () => {
    const acknowledged = new Map<string, number>();
    let next = 0;
    for (let round = 0; round < ROUNDS; round += 1) {
      const child = startIndexChild('publish', directory.path, String(next));
      // Killed at another moment of its life each time, with work under way.
      const enough = 3 + 4 * round;
      let seen = 0;
      for await (const line of child.lines) {
        const [file = '', number = '', chunks] = line.split(' ');
        acknowledged.set(file, Math.max(Number(number), acknowledged.get(file) ?? -1));
        expect(Number(chunks)).toBe(toSize(Number(number)));
        next = Math.max(next, Number(number));
        seen += 1;
        if (seen === enough) child.kill();
      }
      await child.wait();
      expect(seen).toBeGreaterThanOrEqual(enough);
      expect(directory.checkIntegrity()).toEqual([['ok']]);
      const index = await directory.open();
      const versions = await readVersions(index);
      for (const [file, number] of acknowledged) expect(versions.get(file)).toBeGreaterThanOrEqual(number);
      await index.close();
      // The next child begins with the attempt that may have been interrupted.
      next = Math.max(0, next - 1);
    }
    const index = await directory.open();
    for (let number = 0; number < FILES; number += 1) {
      const file = `file-${number}`;
      const round = 100_000 + number;
      const options = { ingest: `attempt-${round}`, attributes: { round } };
      await publish(index, SHARED_SCOPE, file, toVersion(file, round), options);
    }
    const versions = await readVersions(index);
    expect([...versions.values()]).toEqual(Array.from({ length: FILES }, (_, number) => 100_000 + number));
    await index.removeStore(SHARED_SCOPE);
    await waitUntil(() => Object.keys(directory.countRows()).length === 0);
  }, 120_000);

  test('a removal that a crash interrupts is finished by the next start, without a call', async () => {
    const index = await directory.open();
    for (let round = 0; round < 6; round += 1) {
      await publish(index, SHARED_SCOPE, `file-${round}`, toVersion(`file-${round}`, 4), { ingest: 'first' });
    }
    await index.close();
    const child = startIndexChild('remove', directory.path);
    expect(await child.readLine()).toBe('hidden');
    child.kill();
    await child.wait();
    expect(directory.countRows().chunks).toBeGreaterThan(0);
    const again = await directory.open();
    expect((await again.describe(SHARED_SCOPE)).chunks).toBe(0);
    await waitUntil(() => Object.keys(directory.countRows()).length === 0);
    expect(directory.checkIntegrity()).toEqual([['ok']]);
  }, 60_000);
});
