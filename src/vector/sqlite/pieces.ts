/**
 * Codes and postings of staged chunks, made piece by piece while the file is still coming in. What takes time is
 * computed before the transaction, and counts only where nothing has changed meanwhile.
 */

import type { Database } from 'bun:sqlite';
import { decodeTerms } from '../terms.ts';
import { createCentres, type StoreCentre } from './centres.ts';
import type { CodedVectors, Coder } from './codes.ts';
import { BlockWriter, type PostingsBlock, PostingsWriter } from './postings.ts';
import { STAGED, toChunkId } from './schema.ts';
import type { Segments } from './segments.ts';
import type { Stores, VersionRow } from './stores.ts';
import type { VectorSums } from './vector-sums.ts';

/** Chunks of a piece. */
export const PIECE_CHUNKS = 256;

/** What was computed of a version's next chunks. */
export interface Piece {
  readonly version: VersionRow;
  readonly count: number;
  readonly words: number;
  readonly bytes: number;
  readonly lengths: Uint32Array;
  readonly blocks: readonly PostingsBlock[];
  /** Null where no chunk has a vector. */
  readonly coded: { readonly centre: StoreCentre; readonly vectors: CodedVectors } | null;
}

export interface Pieces {
  /** Computes the piece of `count` chunks that follows what is prepared. */
  compute(version: VersionRow, count: number): Piece;
  /** Inside of a transaction. False, and nothing is written, where the version or the centre has changed since. */
  write(piece: Piece): boolean;
}

export function createPieces(
  database: Database,
  stores: Stores,
  segments: Segments,
  sums: VectorSums,
): Pieces {
  const centres = createCentres(database);
  const readTerms = database.prepare<{ terms: string }, [number, number]>(
    'SELECT terms FROM staged_terms WHERE id >= ? AND id < ? ORDER BY id',
  );
  const readVectors = database.prepare<{ id: number; vector: Uint8Array }, [number, number]>(
    'SELECT id, vector FROM vectors WHERE id >= ? AND id < ? ORDER BY id',
  );
  const readSize = database.prepare<{ bytes: number }, [number, number]>(
    'SELECT total(octet_length(text) + octet_length(context)) AS bytes FROM chunks WHERE id >= ? AND id < ?',
  );
  const insertCodes = database.prepare<
    void,
    [number, number, number | null, Uint32Array, Float32Array, Uint8Array]
  >('INSERT INTO codes (id, count, centre, lengths, factors, planes) VALUES (?, ?, ?, ?, ?, ?)');
  const advance = database.prepare<void, [number, number, number, number, number, number]>(
    `UPDATE versions SET prepared = prepared + ?4, words = words + ?5, bytes = bytes + ?6
     WHERE id = ?1 AND state = ${STAGED} AND prepared = ?2 AND replacements = ?3`,
  );

  const readPieceVectors = (first: number, count: number): (Float32Array | null)[] => {
    const vectors: (Float32Array | null)[] = new Array(count).fill(null);
    for (const { id, vector } of readVectors.all(first, first + count))
      vectors[id - first] = toFloats(vector);
    return vectors;
  };

  return {
    compute(version, count) {
      const first = toChunkId(version.id, version.prepared);
      const terms = readTerms.all(first, first + count).map((row) => row.terms);
      const inverted = invert(terms);
      const vectors = readPieceVectors(first, count);
      const found = vectors.filter((vector) => vector !== null);
      const size = readSize.get(first, first + count)?.bytes ?? 0;
      const termsSize = terms.reduce((sum, one) => sum + Buffer.byteLength(one), 0);
      const vectorsSize = found.reduce((sum, vector) => sum + vector.byteLength, 0);
      return {
        version,
        count,
        words: inverted.lengths.reduce((sum, length) => sum + length, 0),
        bytes: size + termsSize + vectorsSize,
        lengths: inverted.lengths,
        blocks: inverted.blocks,
        coded: encode(centres.choose(stores.findById(version.store), found), vectors),
      };
    },
    write({ version, count, words, bytes, lengths, blocks, coded }) {
      const { id, prepared, replacements, store } = version;
      // Each of several that are written at once would bring a centre of its own.
      if (coded !== null && !centres.isLatest(store, coded.centre)) return false;
      if (advance.run(id, prepared, replacements, count, words, bytes).changes === 0) return false;
      const centre = coded === null ? null : centres.keep(store, coded.centre);
      if (coded !== null) sums.extend(id, coded.centre.addedSum, coded.centre.added);
      const { factors, planes } = coded?.vectors ?? NO_CODES;
      insertCodes.run(toChunkId(id, prepared), count, centre, lengths, factors, planes);
      segments.insert(store, count, blocks, { base: 0, version: id, position: prepared, count });
      return true;
    },
  };
}

const NO_CODES: CodedVectors = Object.freeze({ factors: new Float32Array(0), planes: new Uint8Array(0) });

function encode(
  chosen: { readonly centre: StoreCentre; readonly coder: Coder } | null,
  vectors: readonly (Float32Array | null)[],
): Piece['coded'] {
  if (chosen === null) return null;
  return { centre: chosen.centre, vectors: chosen.coder.encode(vectors, chosen.centre.centre) };
}

/** The postings of chunks that are numbered from 0. */
function invert(terms: readonly string[]): { lengths: Uint32Array; blocks: readonly PostingsBlock[] } {
  const lengths = new Uint32Array(terms.length);
  /** For each term chunk, count, chunk, count, … */
  const pairs = new Map<string, number[]>();
  terms.forEach((encoded, chunk) => {
    const { length, counts } = decodeTerms(encoded);
    lengths[chunk] = length;
    for (const [term, count] of counts) {
      const found = pairs.get(term);
      if (found === undefined) pairs.set(term, [chunk, count]);
      else found.push(chunk, count);
    }
  });
  const blocks = new BlockWriter();
  const postings = new PostingsWriter();
  for (const term of [...pairs.keys()].sort()) {
    const found = pairs.get(term) ?? [];
    for (let i = 0; i < found.length; i += 2) postings.add(found[i] ?? 0, found[i + 1] ?? 0);
    blocks.add(term, postings);
    postings.clear();
  }
  blocks.closeBlock();
  return { lengths, blocks: blocks.take() };
}

/** Floats of a row's bytes, which lie wherever SQLite's answer was put. */
export function toFloats(bytes: Uint8Array): Float32Array {
  if (bytes.byteOffset % 4 === 0) return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  return new Float32Array(bytes.slice().buffer);
}
