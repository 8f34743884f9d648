/** From one file into a cluster, and back: nothing is lost on the way, nor changed. */

import { afterAll, beforeAll, expect, test } from 'bun:test';
import { CASSANDRA_START_MS } from '../support/cassandra/node.ts';
import { cassandraOrSkip, type SharedCassandra, useCassandra } from '../support/cassandra/shared-node.ts';
import { makeDirectories, readCounts, startCopy } from './copy-process.ts';
import { makeTenant } from './tenant-fixture.ts';

const describeCassandra = cassandraOrSkip('moving to Cassandra and back');

describeCassandra('moving to Cassandra and back', () => {
  let node: SharedCassandra;
  let directories: Awaited<ReturnType<typeof makeDirectories<'source' | 'back'>>>;

  beforeAll(async () => {
    node = await useCassandra();
    directories = await makeDirectories('source', 'back');
    await makeTenant(directories.source);
  }, CASSANDRA_START_MS);
  afterAll(() => directories.remove());

  const copy = (from: string, to: string, ...flags: readonly string[]) =>
    startCopy(['--from', from, '--to', to, ...flags]).ended;

  test('copies everything each way, which comparisons confirm, and made again changes nothing', async () => {
    const source = `sqlite:${directories.source}`;
    const back = `sqlite:${directories.back}`;
    const cluster = `cassandra:${node.contactPoint}/${node.toFreshKeyspace()}`;
    const there = await copy(source, cluster);
    expect(there.stdout + there.stderr).toContain('Both sides are the same:');
    expect(there.code).toBe(0);
    const again = await copy(source, cluster);
    expect(again.code).toBe(0);
    expect(readCounts(again)).toEqual({ copied: 0, present: readCounts(there).copied });
    const home = await copy(cluster, back);
    expect(home.stdout + home.stderr).toContain('Both sides are the same:');
    expect((await copy(source, back, '--verify-only')).code).toBe(0);
  }, 240_000);

  test('what names no cluster, or one that does not answer, is told in a line', async () => {
    const target = `sqlite:${directories.back}`;
    const nameless = await copy('cassandra:somewhere', target);
    expect(nameless.code).toBe(2);
    expect(nameless.stderr).toContain("'cassandra:somewhere' names no hosts and keyspace");
    const dead = await copy('cassandra:127.0.0.1:1/k', target);
    expect(dead.code).toBe(1);
    expect(dead.stderr).toContain('Cassandra at 127.0.0.1:1 cannot be reached');
    expect(dead.stderr).not.toContain('    at ');
  });
});
