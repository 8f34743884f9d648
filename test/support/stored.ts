/**
 * What the servers of a data directory have stored, read past them: the same questions, whatever the engine. A server may be
 * using the store meanwhile.
 */

import type { CollectionName } from '../../src/store/collections.ts';
import type { Store } from '../../src/store/store.ts';
import * as cassandra from './cassandra/stored.ts';
import * as sqlite from './sqlite-stored.ts';
import { readTestEngine } from './test-engine.ts';

export interface KeptRecord {
  readonly id: string;
  /** Empty for collections without a parent. */
  readonly parent: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into records of any shape.
  readonly document: any;
}

/** Of bytes, `PIECE_BYTES_MAX` each at most. */
export async function countPieces(dataDirectory: string): Promise<number> {
  return await toReader().countPieces(dataDirectory);
}

/** Of every tenant, under every parent. Empty where the collection has never been used. */
export async function readRecords(
  dataDirectory: string,
  collection: CollectionName,
): Promise<readonly KeptRecord[]> {
  return await toReader().readRecords(dataDirectory, collection);
}

export async function countRecords(dataDirectory: string, collection: CollectionName): Promise<number> {
  return (await readRecords(dataDirectory, collection)).length;
}

/** The values of its records' fields that lists of a collection are filtered by, as they are kept for that. */
export async function countFilterValues(dataDirectory: string, collection: CollectionName): Promise<number> {
  return await toReader().countFilterValues(dataDirectory, collection);
}

/** All rows of what searches read: files, versions of them, chunks, postings, vectors. */
export async function countIndexRows(dataDirectory: string): Promise<number> {
  return await toReader().countIndexRows(dataDirectory);
}

/** Every byte that is stored, as Latin-1, for those who search it for secrets. Errors: where nothing is stored. */
export async function readEverything(dataDirectory: string): Promise<string> {
  return await toReader().readEverything(dataDirectory);
}

/** The store as one more server would open it, for the time of `work`. */
export async function useStore<T>(dataDirectory: string, work: (store: Store) => Promise<T>): Promise<T> {
  const store = await toReader().openStore(dataDirectory);
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}

function toReader(): typeof sqlite | typeof cassandra {
  return readTestEngine() === 'sqlite' ? sqlite : cassandra;
}
