/** Staged chunks become findable: piece by piece their codes and postings are written, then one small change shows them. */

import type { Database } from 'bun:sqlite';
import type { StoreError } from '../../store/store.ts';
import type { FileEntry, IndexScope } from '../vector-index.ts';
import { PIECE_CHUNKS, type Piece, type Pieces } from './pieces.ts';
import type { PublishedFile } from './protocol.ts';
import type { Job } from './scheduler.ts';
import { PUBLISHED, STAGED, toChunkId } from './schema.ts';
import type { Stores, VersionRow } from './stores.ts';
import type { VectorSums } from './vector-sums.ts';

/** Codes and postings of a piece, roughly. */
const PIECE_BYTES = 512 * 1024;

export interface PublishingDeps {
  readonly database: Database;
  readonly stores: Stores;
  readonly pieces: Pieces;
  readonly sums: VectorSums;
  /** A file can be found now, or an earlier version of it is to be freed. */
  readonly onPublished: (store: number) => void;
}

export interface PublishCall {
  readonly scope: IndexScope;
  readonly entry: FileEntry;
  readonly ingest: string;
  readonly answer: (file: PublishedFile) => void;
  readonly refuse: (error: StoreError) => void;
}

/** What the next transaction is to do. */
type Plan =
  | { readonly kind: 'answer'; readonly file: PublishedFile }
  | {
      readonly kind: 'write';
      readonly version: VersionRow;
      readonly piece: Piece | null;
      /** Chunks of the file once this is the last step; null where more pieces follow. */
      readonly total: number | null;
    };

const NOT_THERE: PublishedFile = Object.freeze({ chunks: 0, bytes: 0 });

export interface Publishing {
  toJob(call: PublishCall): Job;
  /** Prepares the next piece of a staged version; null where too few chunks are there for one. */
  toPieceJob(version: number): Job | null;
}

export function createPublishing(deps: PublishingDeps): Publishing {
  const { database, stores, pieces, sums, onPublished } = deps;
  const retire = database.prepare<{ id: number }, [number, string]>(
    `SELECT id FROM versions WHERE store = ? AND file = ? AND state = ${PUBLISHED}`,
  );
  const publish = database.prepare<{ bytes: number }, [number, number, string, string]>(
    `UPDATE versions SET state = ${PUBLISHED}, revision = ?2, attributes = ?3, languages = ?4
     WHERE id = ?1 RETURNING bytes`,
  );
  const countTerms = database.prepare<{ count: number }, [number, number]>(
    'SELECT count(*) AS count FROM staged_terms WHERE id >= ? AND id < ?',
  );

  const plan = ({ scope, entry, ingest }: PublishCall): Plan => {
    const store = stores.find(scope);
    if (store === null) return { kind: 'answer', file: NOT_THERE };
    const published = stores.findVersion(store.id, entry.file, PUBLISHED);
    if (published?.ingest === ingest) {
      return { kind: 'answer', file: { chunks: published.prepared, bytes: published.bytes } };
    }
    const version = stores.findVersion(store.id, entry.file, STAGED);
    if (version === null || version.ingest !== ingest) return { kind: 'answer', file: NOT_THERE };
    const total = stores.countPositions(version);
    const gapless = stores.countStaged(version);
    if (gapless < total) return { kind: 'answer', file: { chunks: gapless, bytes: 0 } };
    const count = Math.min(PIECE_CHUNKS, total - version.prepared);
    const piece = count > 0 ? pieces.compute(version, count) : null;
    return { kind: 'write', version, piece, total: version.prepared + count === total ? total : null };
  };

  /** Inside of a transaction, in which nothing has changed since the plan. Answers what the file takes. */
  const show = ({ entry }: PublishCall, { id, store }: VersionRow): number => {
    const earlier = retire.get(store, entry.file);
    if (earlier !== null) {
      stores.kill(earlier.id);
      sums.hide(store, earlier.id);
    }
    sums.show(store, id);
    const revision = stores.revise(store, earlier !== null);
    const attributes = JSON.stringify(entry.attributes);
    return publish.get(id, revision, attributes, JSON.stringify(entry.languages))?.bytes ?? 0;
  };

  /** Whether nobody has changed the version since it was read, this step's piece apart. */
  const isUnchanged = (before: VersionRow, piece: Piece | null, total: number): boolean => {
    const now = stores.findVersionById(before.id);
    return (
      now !== null &&
      now.state === STAGED &&
      now.replacements === before.replacements &&
      now.prepared === before.prepared + (piece?.count ?? 0) &&
      stores.countPositions(now) === total
    );
  };

  return {
    toJob(call) {
      let next: Plan = { kind: 'answer', file: NOT_THERE };
      let outcome = NOT_THERE;
      let shown: number | null = null;
      return {
        weight: PIECE_BYTES,
        isPlanned: true,
        prepare() {
          next = plan(call);
        },
        apply() {
          if (next.kind === 'answer') {
            outcome = next.file;
            return false;
          }
          const { version, piece, total } = next;
          if (piece !== null && !pieces.write(piece)) return true;
          if (total === null || !isUnchanged(version, piece, total)) return true;
          outcome = { chunks: total, bytes: show(call, version) };
          shown = version.store;
          return false;
        },
        finish() {
          call.answer(outcome);
          if (shown !== null) onPublished(shown);
        },
        refuse: call.refuse,
      };
    },

    toPieceJob(id) {
      const version = stores.findVersionById(id);
      if (version === null || version.state !== STAGED) return null;
      const first = toChunkId(id, version.prepared);
      const isThere = countTerms.get(first, first + PIECE_CHUNKS)?.count === PIECE_CHUNKS;
      if (!isThere) return null;
      const piece = pieces.compute(version, PIECE_CHUNKS);
      return { weight: PIECE_BYTES, apply: () => !pieces.write(piece), finish() {}, refuse() {} };
    },
  };
}
