/** All writing of the index, on the thread that writes: each call becomes work of the scheduler. */

import type { Clock } from '../../clock.ts';
import { createShrinker } from '../../store/sqlite/blob-shrinker.ts';
import { closeDatabase } from '../../store/sqlite/write-ahead-log.ts';
import type { Attributes } from '../attribute-filter.ts';
import type { FileEntry, IndexScope } from '../vector-index.ts';
import { createMerging } from './merging.ts';
import { createPieces } from './pieces.ts';
import type { StagedChunks, WriterOpenRequest, WriteStatistics } from './protocol.ts';
import { createPublishing } from './publishing.ts';
import { createRemoval, type Removal, type RemovalWork } from './removal.ts';
import { createScheduler, type Job, type Scheduler } from './scheduler.ts';
import { DEAD, openIndexDatabase, PUBLISHED, STAGED } from './schema.ts';
import { createSegments } from './segments.ts';
import type { Reply } from './serve-calls.ts';
import { createStaging } from './staging.ts';
import { createStores, type Stores } from './stores.ts';
import { createVectorSums } from './vector-sums.ts';

export interface WriteEngine {
  stage(scope: IndexScope, file: string, ingest: string, staged: StagedChunks, reply: Reply): void;
  countStaged(scope: IndexScope, file: string, ingest: string): number;
  publish(scope: IndexScope, entry: FileEntry, ingest: string, reply: Reply): void;
  setAttributes(scope: IndexScope, file: string, attributes: Attributes, reply: Reply): void;
  removeFile(scope: IndexScope, file: string, reply: Reply): void;
  removeStore(scope: IndexScope, reply: Reply): void;
  getStatistics(): WriteStatistics;
  /** Ends after what was called before. */
  close(reply: Reply): void;
}

/** What one small change writes, roughly, in bytes. */
const CHANGE_BYTES = 4096;
/** What one step of freeing touches: the pages of some hundred chunks. */
const FREEING_BYTES = 2 * 1024 * 1024;

/** Opens the database. Errors: `unavailable`. */
export function createWriteEngine(request: WriterOpenRequest, clock: Clock): WriteEngine {
  const database = openIndexDatabase(request);
  const stores = createStores(database);
  const segments = createSegments(database);
  const staging = createStaging(database, stores, segments);
  const sums = createVectorSums(database);
  const removal = createRemoval(database, stores, segments, sums);
  const pieces = createPieces(database, stores, segments, sums);
  let merges = 0;
  const merging = createMerging({
    stores,
    segments,
    clock,
    onMerged(count) {
      merges += count;
      scheduler.wake();
    },
  });
  const publishing = createPublishing({
    sums,
    database,
    stores,
    pieces,
    onPublished(store) {
      merging.wake(store);
      scheduler.wake();
    },
  });
  /** Staged versions that may have a piece to prepare. */
  const staged = new Set<number>();
  const freeing = createFreeingJobs(stores, removal, merging.wake);
  const nextInBackground = (): Job | null => {
    for (const version of staged) {
      const job = publishing.toPieceJob(version);
      if (job !== null) return job;
      staged.delete(version);
    }
    return freeing() ?? merging.next();
  };
  const scheduler = createScheduler({ database, lockWaitMs: request.lockWaitMs, nextInBackground });
  const shrinker = createShrinker(database, () => scheduler.isIdle());
  const enqueueRemoval = createRemovalQueue(scheduler, removal, stores, () => {
    scheduler.wake();
    shrinker.wake();
  });

  return {
    stage(scope, file, ingest, chunks, reply) {
      let version: number | null = null;
      scheduler.enqueue({
        weight: toWeight(chunks),
        apply() {
          version = staging.stage(scope, file, ingest, chunks);
          return false;
        },
        finish() {
          if (version !== null) staged.add(version);
          scheduler.wake();
          reply.answer(null);
        },
        refuse: reply.refuse,
      });
    },
    countStaged(scope, file, ingest) {
      const store = stores.find(scope);
      if (store === null) return 0;
      for (const state of [PUBLISHED, STAGED] as const) {
        const version = stores.findVersion(store.id, file, state);
        if (version?.ingest === ingest) return stores.countStaged(version);
      }
      return 0;
    },
    publish(scope, entry, ingest, reply) {
      scheduler.enqueue(
        publishing.toJob({ scope, entry, ingest, answer: reply.answer, refuse: reply.refuse }),
      );
    },
    setAttributes(scope, file, attributes, reply) {
      scheduler.enqueue({
        weight: CHANGE_BYTES,
        apply() {
          removal.setAttributes(scope, file, attributes);
          return false;
        },
        finish: () => reply.answer(null),
        refuse: reply.refuse,
      });
    },
    removeFile(scope, file, reply) {
      enqueueRemoval(() => removal.hideFile(scope, file).map((id) => ({ kind: 'version', id })), reply);
    },
    removeStore(scope, reply) {
      enqueueRemoval(() => {
        const store = removal.hideStore(scope);
        return store === null ? [] : [{ kind: 'store', id: store }];
      }, reply);
    },
    getStatistics: () => ({ ...scheduler.getStatistics(), merges }),
    close(reply) {
      shrinker.stop();
      scheduler.end(() => {
        closeDatabase(database);
        reply.answer(null);
      });
    },
  };
}

function toWeight({ chunks, vectors }: StagedChunks): number {
  return chunks.reduce((sum, { text, terms }) => sum + text.length + terms.length, vectors.byteLength);
}

function freeSome(removal: Removal, { kind, id }: RemovalWork): boolean {
  if (kind === 'version') return removal.freeVersion(id);
  if (kind === 'trim') return removal.trimVersion(id);
  return kind === 'segment' ? removal.freeSegment(id) : removal.freeStore(id);
}

/** Hides in one step, frees in those that follow, then answers. */
function createRemovalQueue(scheduler: Scheduler, removal: Removal, stores: Stores, onFreed: () => void) {
  return (hide: () => readonly RemovalWork[], reply: Reply): void => {
    /** What an attempt at the first step has hidden, whether or not it was committed. */
    let hidden: readonly RemovalWork[] | null = null;
    let isHidden = false;
    const isGone = ({ kind, id }: RemovalWork): boolean =>
      kind === 'version' ? stores.findVersionById(id) === null : stores.findById(id) === null;
    const isOut = (work: RemovalWork): boolean =>
      isGone(work) ||
      (work.kind === 'version' ? stores.findVersionById(work.id)?.state === DEAD : stores.isHidden(work.id));
    scheduler.enqueue({
      weight: FREEING_BYTES,
      prepare() {
        isHidden = hidden?.every(isOut) ?? false;
      },
      apply() {
        if (!isHidden) {
          hidden = hide();
          return hidden.length > 0;
        }
        const next = hidden?.find((work) => !isGone(work));
        if (next === undefined) return false;
        freeSome(removal, next);
        return true;
      },
      finish() {
        onFreed();
        reply.answer(null);
      },
      refuse: reply.refuse,
    });
  };
}

/** Frees what crashes, replacements and other processes have left. */
function createFreeingJobs(
  stores: Stores,
  removal: Removal,
  onFreed: (store: number) => void,
): () => Job | null {
  return () => {
    const work = removal.findWork();
    if (work === null) return null;
    const store = work.kind === 'version' ? stores.findVersionById(work.id)?.store : undefined;
    return {
      weight: FREEING_BYTES,
      apply() {
        freeSome(removal, work);
        return false;
      },
      finish() {
        if (store !== undefined) onFreed(store);
      },
      refuse() {},
    };
  };
}
