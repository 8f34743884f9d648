/**
 * What the two sides of the SQLite engine say to each other: the event loop's side sends batches of calls,
 * the database's thread answers with batches of replies.
 *
 * Everything is a tuple of strings and numbers, because cloning tuples between threads costs a third of
 * what cloning objects costs. Documents travel as JSON text: each side parses only what it needs.
 */

import type { CollectionName } from '../collections.ts';
import type { StoreErrorCode } from '../store.ts';

/** Where a record is: every step and every read begins with these. `parent` is empty where there is none. */
export type Place = readonly [collection: CollectionName, tenant: string, parent: string, id: string];

/** Where a new record's sort key comes from. */
export type SortKeyOrigin =
  /** The id holds it. */
  | 'native'
  /** The caller gave it. */
  | 'given'
  /** Made now: the record goes behind every record of its list. */
  | 'made';

export type InsertStep = readonly [
  kind: 'insert',
  place: Place,
  sortKey: string,
  origin: SortKeyOrigin,
  document: string,
  /** `[field, value, field, value, …]` of the filters that the document answers to. */
  filters: readonly string[],
];
export type UpdateStep = readonly [kind: 'update', place: Place, change: string, ifVersion: number | null];
export type DeleteStep = readonly [kind: 'delete', place: Place, ifVersion: number | null];
/** `equals` is a JSON object, or null where only the presence counts. */
export type RequireStep = readonly [kind: 'require', place: Place, equals: string | null];
export type Step = InsertStep | UpdateStep | DeleteStep | RequireStep;

/** Of the documents that steps carry: what they weigh in a queue and in a transaction. */
export function countCharacters(steps: readonly Step[]): number {
  let characters = 0;
  for (const step of steps) {
    if (step[0] === 'insert') characters += step[4].length;
    else if (step[0] === 'update') characters += step[2].length;
  }
  return characters;
}

/** What a step answers besides versions, which start at 1. */
export const NOTHING_WRITTEN = 0;
/** A `delete` found no record. */
export const NOTHING_THERE = -1;

export type GetCall = readonly [kind: 'get', call: number, place: Place];
export type ListCall = readonly [
  kind: 'list',
  call: number,
  collection: CollectionName,
  tenant: string,
  parent: string,
  limit: number,
  order: 'asc' | 'desc',
  after: string | null,
  before: string | null,
  /** `[field, value, field, value, …]`, all of which must hold. */
  conditions: readonly string[],
];
export type WriteCall = readonly [kind: 'write', call: number, steps: readonly Step[], answer: WriteAnswer];
/** `version` and `record` go with exactly one step, the latter with an update; a refusal then has no index. */
export type WriteAnswer = 'versions' | 'version' | 'record';
export type DeleteAllCall = readonly [
  kind: 'deleteAll',
  call: number,
  collection: CollectionName,
  tenant: string,
  parent: string,
];
export type PingCall = readonly [kind: 'ping', call: number];
/** Ends the thread once everything that came before is written. */
export type CloseCall = readonly [kind: 'close', call: number];

export type ReadCall = GetCall | ListCall | PingCall;
export type ChangeCall = WriteCall | DeleteAllCall;
export type Call = ReadCall | ChangeCall | CloseCall;

/** The first message to the thread: open the database. Answered by one reply to call 0. */
export interface OpenRequest {
  readonly directory: string;
  readonly file: string;
  readonly lockWaitMs: number;
}

export const OPEN_CALL = 0;

export type RecordReply = readonly [kind: 'record', call: number, document: string | null, version: number];
export type PageReply = readonly [
  kind: 'page',
  call: number,
  /** One JSON array. */
  documents: string,
  versions: readonly number[],
  hasMore: boolean,
  /** Null where the id says it; null at all where every id does. */
  sortKeys: readonly (string | null)[] | null,
];
export type VersionsReply = readonly [kind: 'versions', call: number, versions: readonly number[]];
/** Of a single step the version, of a `deleteAll` how many. */
export type CountReply = readonly [kind: 'count', call: number, count: number];
export type DoneReply = readonly [kind: 'done', call: number];
export type ErrorReply = readonly [
  kind: 'error',
  call: number,
  code: StoreErrorCode,
  message: string,
  index: number | null,
];
/** Not an answer: what the thread has done so far. */
export type StatisticsReply = readonly [
  kind: 'statistics',
  call: number,
  transactions: number,
  writes: number,
  lockWaits: number,
];
export type Reply =
  | RecordReply
  | PageReply
  | VersionsReply
  | CountReply
  | DoneReply
  | ErrorReply
  | StatisticsReply;
