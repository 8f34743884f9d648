/** What a caller of an index may not do, whatever the engine. Everything here throws `misuse`. */

import { KEY_CHARACTERS_MAX } from '../store/checks.ts';
import { StoreError } from '../store/store.ts';
import { decodeTerms } from './terms.ts';
import {
  CHUNKS_MAX,
  type FileEntry,
  type IndexScope,
  type NewChunk,
  type SearchQuery,
  WANTED_MAX,
} from './vector-index.ts';

/** Chunks that a file may have. */
export const POSITIONS_MAX = 2 ** 22;
/** Terms that a question may ask for. */
export const TERMS_MAX = 1024;
/** Dimensions that a vector may have. */
export const DIMENSIONS_MAX = 16_384;

/** Names of a tenant, a store, a file or an attempt. */
export function checkKeys(...keys: readonly string[]): void {
  for (const key of keys) {
    if (typeof key !== 'string' || key === '' || key.length > KEY_CHARACTERS_MAX) {
      throw toMisuse(`A name has 1 to ${KEY_CHARACTERS_MAX} characters.`);
    }
  }
}

export function checkScope({ tenant, store }: IndexScope): void {
  checkKeys(tenant, store);
}

/** Answers the dimensions of the vectors, 0 where there are none. */
export function checkChunks(chunks: readonly NewChunk[]): number {
  if (chunks.length > CHUNKS_MAX) throw toMisuse(`At most ${CHUNKS_MAX} chunks at once.`);
  const positions = new Set<number>();
  let dimensions = 0;
  for (const chunk of chunks) {
    checkChunk(chunk);
    if (positions.has(chunk.position)) throw toMisuse(`The position ${chunk.position} is there twice.`);
    positions.add(chunk.position);
    const { vector } = chunk;
    if (vector === null) continue;
    if (dimensions === 0) dimensions = vector.length;
    checkVector(vector, dimensions);
  }
  return dimensions;
}

function checkChunk({ position, start, end, page, tokens, text, context, terms }: NewChunk): void {
  if (!Number.isInteger(position) || position < 0 || position >= POSITIONS_MAX) {
    throw toMisuse(`A position is an integer from 0 to ${POSITIONS_MAX - 1}, not ${position}.`);
  }
  const counts = [start, end, tokens, page ?? 1];
  if (!counts.every((count) => Number.isSafeInteger(count) && count >= 0) || end < start || page === 0) {
    throw toMisuse('Places and counts of a chunk are integers from 0 on, pages from 1 on.');
  }
  if (typeof text !== 'string' || typeof context !== 'string') throw toMisuse('A chunk has a text.');
  try {
    decodeTerms(terms);
  } catch (cause) {
    throw new StoreError('misuse', 'The terms of a chunk cannot be read.', { cause });
  }
}

/** `dimensions` are those that the vector should have; 0 where any will do. */
export function checkVector(vector: Float32Array, dimensions: number): void {
  if (vector.length === 0 || vector.length > DIMENSIONS_MAX) {
    throw toMisuse(`A vector has 1 to ${DIMENSIONS_MAX} dimensions, not ${vector.length}.`);
  }
  if (dimensions > 0 && vector.length !== dimensions) {
    throw toMisuse(`Vectors of ${dimensions} and of ${vector.length} dimensions do not go together.`);
  }
  let square = 0;
  for (let i = 0; i < vector.length; i += 1) square += (vector[i] ?? 0) ** 2;
  // One infinite or missing number makes the sum one, too.
  if (!Number.isFinite(square)) throw toMisuse('A vector has a number that is not finite.');
  if (square === 0) throw toMisuse('A vector is zero.');
}

export function checkEntry({ file, attributes, languages }: FileEntry): void {
  checkKeys(file, ...languages);
  checkAttributes(attributes);
}

export function checkAttributes(attributes: FileEntry['attributes']): void {
  for (const value of Object.values(attributes)) {
    const isPlain = typeof value === 'string' || typeof value === 'boolean' || Number.isFinite(value);
    if (!isPlain) throw toMisuse('An attribute is a string, a finite number or a boolean.');
  }
}

export function checkQuery({ vector, terms, wanted, weights }: SearchQuery): void {
  if (!Number.isInteger(wanted) || wanted < 1 || wanted > WANTED_MAX) {
    throw toMisuse(`1 to ${WANTED_MAX} hits may be wanted, not ${wanted}.`);
  }
  if (vector !== null) checkVector(vector, 0);
  if (terms.length > TERMS_MAX) throw toMisuse(`At most ${TERMS_MAX} terms.`);
  for (const { term, weight } of terms) {
    if (typeof term !== 'string' || !isWeight(weight)) throw toMisuse('A term has a weight from 0 on.');
  }
  const isPositive = weights.vector > 0 || weights.keyword > 0;
  if (!isWeight(weights.vector) || !isWeight(weights.keyword) || !isPositive) {
    throw toMisuse('The weights are numbers from 0 on, and one of them is positive.');
  }
}

export function checkPlace(from: number, limit: number): void {
  if (!Number.isInteger(from) || from < 0) throw toMisuse(`A position is an integer from 0 on, not ${from}.`);
  if (!Number.isInteger(limit) || limit < 1) throw toMisuse(`A limit is an integer from 1 on, not ${limit}.`);
}

function isWeight(weight: number): boolean {
  return Number.isFinite(weight) && weight >= 0;
}

function toMisuse(message: string): StoreError {
  return new StoreError('misuse', message);
}
