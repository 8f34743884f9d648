/** Segments, as the thread that writes sees them. Changes go into the caller's transaction. */

import type { Database } from 'bun:sqlite';
import type { PostingsBlock } from './postings.ts';
import { BLOCKS_MAX, BUILDING, DEAD, READY, toBlockId } from './schema.ts';

/** Chunks of one version that follow each other in a segment. */
export interface Member {
  /** The number of the first of them in the segment. */
  readonly base: number;
  readonly version: number;
  readonly position: number;
  readonly count: number;
}

export interface SegmentRow {
  readonly id: number;
  readonly chunks: number;
  /** Of them, those that are not gone. */
  readonly alive: number;
}

export interface Segments {
  /** Makes a segment that is complete. */
  insert(store: number, chunks: number, blocks: readonly PostingsBlock[], member: Member): void;
  /** Begins one that is written in several steps. */
  begin(store: number, chunks: number, nowMs: number): number;
  /** Whether the segment is being built still; notes that somebody works at it. */
  touch(segment: number, nowMs: number): boolean;
  /** `from` counts the blocks that are there. */
  appendBlocks(segment: number, from: number, blocks: readonly PostingsBlock[]): void;
  /** Only those whose version is not gone. */
  insertMembers(segment: number, members: readonly Member[]): void;
  /** Puts a segment in the place of others. A segment without members is dead at once. */
  replace(segment: number, directory: readonly string[], replaced: readonly number[]): void;
  /** Forgets where the chunks of a version are. Segments that have no other die. */
  removeMembers(version: number): void;
  /** Those of a store that are complete, in the order in which they were made. */
  list(store: number): readonly SegmentRow[];
  /** When the store's youngest building segment was last worked at; null where there is none. */
  readBuilding(store: number): number | null;
  killBuilding(store: number): void;
  readDirectory(segment: number): readonly string[] | null;
  readMembers(segment: number): readonly Member[];
  readBlock(segment: number, block: number): Uint8Array | null;
}

export function createSegments(database: Database): Segments {
  const insert = database.prepare<{ id: number }, [number, number, number, string, number]>(
    'INSERT INTO segments (store, state, chunks, directory, touched) VALUES (?, ?, ?, ?, ?) RETURNING id',
  );
  const insertBlock = database.prepare<void, [number, Uint8Array]>(
    'INSERT INTO postings (id, bytes) VALUES (?, ?)',
  );
  const insertMember = database.prepare<void, [number, number, number, number, number]>(
    `INSERT INTO members (segment, base, version, position, count) SELECT ?1, ?2, ?3, ?4, ?5
     WHERE EXISTS (SELECT 1 FROM versions WHERE id = ?3 AND state < ${DEAD})`,
  );
  const touch = database.prepare<void, [number, number]>(
    `UPDATE segments SET touched = ?2 WHERE id = ?1 AND state = ${BUILDING}`,
  );
  const complete = database.prepare<void, [number, string]>(
    `UPDATE segments SET state = ${READY}, directory = ?2 WHERE id = ?1`,
  );
  const kill = database.prepare<void, [number]>(`UPDATE segments SET state = ${DEAD} WHERE id = ?`);
  const killEmpty = database.prepare<void, [number]>(
    `UPDATE segments SET state = ${DEAD} WHERE id = ?1 AND state = ${READY}
     AND NOT EXISTS (SELECT 1 FROM members WHERE segment = ?1)`,
  );
  const killBuilding = database.prepare<void, [number]>(
    `UPDATE segments SET state = ${DEAD} WHERE store = ? AND state = ${BUILDING}`,
  );
  const findOfVersion = database.prepare<{ segment: number }, [number]>(
    'SELECT DISTINCT segment FROM members WHERE version = ?',
  );
  const removeOfVersion = database.prepare<void, [number]>('DELETE FROM members WHERE version = ?');
  const list = database.prepare<SegmentRow, [number]>(
    `SELECT id, chunks, (SELECT total(count) FROM members WHERE segment = segments.id) AS alive
     FROM segments WHERE store = ? AND state = ${READY} ORDER BY id`,
  );
  const readBuilding = database.prepare<{ touched: number | null }, [number]>(
    `SELECT max(touched) AS touched FROM segments WHERE store = ? AND state = ${BUILDING}`,
  );
  const readDirectory = database.prepare<{ directory: string }, [number]>(
    `SELECT directory FROM segments WHERE id = ? AND state = ${READY}`,
  );
  const readMembers = database.prepare<Member, [number]>(
    'SELECT base, version, position, count FROM members WHERE segment = ? ORDER BY base',
  );
  const readBlock = database.prepare<{ bytes: Uint8Array }, [number]>(
    'SELECT bytes FROM postings WHERE id = ?',
  );

  const insertRow = (
    store: number,
    state: number,
    chunks: number,
    directory: string,
    nowMs: number,
  ): number => insert.get(store, state, chunks, directory, nowMs)?.id ?? 0;

  const appendBlocks = (segment: number, from: number, blocks: readonly PostingsBlock[]): void => {
    if (from + blocks.length > BLOCKS_MAX) throw new Error('A segment has too many blocks.');
    for (const [index, { bytes }] of blocks.entries())
      insertBlock.run(toBlockId(segment, from + index), bytes);
  };

  const insertMembers = (segment: number, members: readonly Member[]): void => {
    for (const { base, version, position, count } of members) {
      insertMember.run(segment, base, version, position, count);
    }
  };

  return {
    insert(store, chunks, blocks, member) {
      const directory = JSON.stringify(blocks.map(({ first }) => first));
      const segment = insertRow(store, READY, chunks, directory, 0);
      appendBlocks(segment, 0, blocks);
      insertMembers(segment, [member]);
    },
    begin: (store, chunks, nowMs) => insertRow(store, BUILDING, chunks, '[]', nowMs),
    touch: (segment, nowMs) => touch.run(segment, nowMs).changes > 0,
    appendBlocks,
    insertMembers,
    replace(segment, directory, replaced) {
      complete.run(segment, JSON.stringify(directory));
      killEmpty.run(segment);
      for (const one of replaced) kill.run(one);
    },
    removeMembers(version) {
      const segments = findOfVersion.all(version);
      removeOfVersion.run(version);
      for (const { segment } of segments) killEmpty.run(segment);
    },
    list: (store) => list.all(store),
    readBuilding: (store) => readBuilding.get(store)?.touched ?? null,
    killBuilding: (store) => void killBuilding.run(store),
    readDirectory(segment) {
      const row = readDirectory.get(segment);
      return row === null ? null : (JSON.parse(row.directory) as string[]);
    },
    readMembers: (segment) => readMembers.all(segment),
    readBlock: (segment, block) => readBlock.get(toBlockId(segment, block))?.bytes ?? null,
  };
}
