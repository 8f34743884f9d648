/** The labelled collection that comes with the project; `README.md` beside this file tells how it is made. */

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

export interface LabelledDocument {
  readonly id: string;
  readonly language: string;
  readonly title: string;
  readonly text: string;
}

export interface Question {
  /** A language, or `needle`: of texts that differ only in a code, a name or a number. */
  readonly group: string;
  readonly text: string;
  /** Documents that answer, and how well: 2 fully, 1 in part. */
  readonly relevant: Readonly<Record<string, number>>;
}

export interface Collection {
  readonly documents: readonly LabelledDocument[];
  readonly questions: readonly Question[];
}

/** One for each document and question, in their order, of unit length. */
export interface CollectionVectors {
  readonly documents: readonly Float32Array[];
  readonly questions: readonly Float32Array[];
}

export const VECTORS_DIMENSIONS = 384;

const VECTORS_FILE = 'vectors.bin';

export async function readCollection(): Promise<Collection> {
  return {
    documents: await readLines<LabelledDocument>('documents.jsonl'),
    questions: await readLines<Question>('questions.jsonl'),
  };
}

/** What is embedded of a document: as with every chunk, its title stands before the text. */
export function toEmbeddedText({ title, text }: LabelledDocument): string {
  return `${title}\n${text}`;
}

/** The vectors that come with the collection. */
export async function readVectors({ documents, questions }: Collection): Promise<CollectionVectors> {
  const bytes = await readFile(join(import.meta.dir, VECTORS_FILE));
  const codes = new Int8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const count = documents.length + questions.length;
  if (codes.length !== count * VECTORS_DIMENSIONS)
    throw new Error(`${VECTORS_FILE} does not belong to the texts: embed them again.`);
  const vectors = Array.from({ length: count }, (_, at) =>
    toUnit(codes.subarray(at * VECTORS_DIMENSIONS, (at + 1) * VECTORS_DIMENSIONS)),
  );
  return { documents: vectors.slice(0, documents.length), questions: vectors.slice(documents.length) };
}

/** Eight bits for a number; each vector is stretched to use them all, since its length says nothing. */
export async function writeVectors({ documents, questions }: CollectionVectors): Promise<void> {
  const vectors = [...documents, ...questions];
  const codes = new Int8Array(vectors.length * VECTORS_DIMENSIONS);
  for (const [at, vector] of vectors.entries()) {
    if (vector.length !== VECTORS_DIMENSIONS) throw new Error(`A vector has ${vector.length} dimensions.`);
    const largest = vector.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
    codes.set(
      vector.map((value) => Math.round((value / largest) * 127)),
      at * VECTORS_DIMENSIONS,
    );
  }
  await Bun.write(join(import.meta.dir, VECTORS_FILE), codes);
}

export function toUnit(values: ArrayLike<number>): Float32Array {
  const vector = Float32Array.from(values);
  const length = Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));
  return vector.map((value) => value / length);
}

async function readLines<Line>(name: string): Promise<readonly Line[]> {
  const text = await readFile(join(import.meta.dir, name), 'utf8');
  return text
    .trim()
    .split('\n')
    .map((line): Line => JSON.parse(line));
}
