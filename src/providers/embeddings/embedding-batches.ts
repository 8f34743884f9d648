/** Texts to vectors in batches: each vector belongs to its text, whatever order the answers come back in. */

import type { TokenCounts } from '../call-meter.ts';
import { parseJson, toList, toRecord } from '../json-values.ts';
import { ProviderError } from '../provider.ts';
import { findUsage } from '../usage-scan.ts';
import { estimateEmbeddingTokens, splitWindows } from './embedding-windows.ts';

/** One call of the model. */
export type EmbeddingCall = (inputs: readonly string[]) => Promise<Pick<Response, 'text'>>;

export interface BatchLimits {
  readonly textsMax: number;
  readonly tokensMax: number;
  readonly textTokensMax: number;
  /** What every vector must have; null: what the first one has. */
  readonly dimensions: number | null;
  /** Told what each call cost, where the provider counts. */
  readonly onUsage?: (counts: TokenCounts) => void;
}

/** Batches of one `embed` that are under way at once. */
const CALLS_MAX = 4;
/** How often the windows of a model are halved because it says that a text is too long. */
const HALVINGS_MAX = 5;

/** A window of a text, with the place of its text. */
interface Window {
  readonly text: string;
  readonly of: number;
}

export async function embedTexts(
  texts: readonly string[],
  call: EmbeddingCall,
  limits: BatchLimits,
): Promise<readonly Float32Array[]> {
  const windows = texts.flatMap((text, of) =>
    splitWindows(text, limits.textTokensMax).map((window): Window => ({ text: window, of })),
  );
  const batches = toBatches(windows, limits);
  const vectors: Float32Array[][] = [];
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < batches.length) {
      const at = next;
      next += 1;
      vectors[at] = await embedBatch(batches[at] ?? [], call, limits, HALVINGS_MAX);
    }
  };
  await Promise.all(Array.from({ length: Math.min(CALLS_MAX, batches.length) }, work));
  return averageWindows(texts, windows, vectors.flat(), limits.dimensions);
}

function toBatches(windows: readonly Window[], limits: BatchLimits): readonly (readonly Window[])[] {
  const batches: Window[][] = [];
  let tokens = 0;
  for (const window of windows) {
    const size = estimateEmbeddingTokens(window.text);
    const last = batches.at(-1);
    if (last === undefined || last.length >= limits.textsMax || tokens + size > limits.tokensMax) {
      batches.push([window]);
      tokens = size;
    } else {
      last.push(window);
      tokens += size;
    }
  }
  return batches;
}

/** The vectors of a batch, one for each of its windows; a text that the model finds too long is embedded in halves. */
async function embedBatch(
  batch: readonly Window[],
  call: EmbeddingCall,
  limits: BatchLimits,
  halvingsLeft: number,
): Promise<Float32Array[]> {
  try {
    const response = await call(batch.map(({ text }) => text));
    const text = await response.text();
    const counts = limits.onUsage === undefined ? null : findUsage(text);
    if (counts !== null) limits.onUsage?.(counts);
    return readVectors(text, batch.length);
  } catch (error) {
    if (halvingsLeft === 0 || !isTooLong(error)) throw error;
    return await embedHalves(batch, call, limits, halvingsLeft - 1);
  }
}

async function embedHalves(
  batch: readonly Window[],
  call: EmbeddingCall,
  limits: BatchLimits,
  halvingsLeft: number,
): Promise<Float32Array[]> {
  const longest = Math.max(...batch.map(({ text }) => estimateEmbeddingTokens(text)));
  const texts = batch.map(({ text }) => text);
  const parts = texts.flatMap((text, of) =>
    splitWindows(text, Math.ceil(longest / 2)).map((window): Window => ({ text: window, of })),
  );
  const vectors: Float32Array[] = [];
  for (const part of toBatches(parts, limits)) {
    vectors.push(...(await embedBatch(part, call, limits, halvingsLeft)));
  }
  return averageWindows(texts, parts, vectors, null);
}

function isTooLong(error: unknown): boolean {
  if (!(error instanceof ProviderError) || error.isRetryable) return false;
  return /context length|too long|maximum.*(tokens|length)|exceeds? .*(context|length|limit|size)|input length/i.test(
    error.message,
  );
}

/** One vector for each text, of unit length: the windows' vectors by the length of the windows. */
function averageWindows(
  texts: readonly string[],
  windows: readonly Window[],
  vectors: readonly Float32Array[],
  dimensions: number | null,
): Float32Array[] {
  const length = dimensions ?? vectors[0]?.length ?? 0;
  const sums = texts.map(() => new Float32Array(length));
  for (const [at, window] of windows.entries()) {
    const vector = vectors[at];
    const sum = sums[window.of];
    if (vector === undefined || sum === undefined) throw toProtocolFault('lacks a vector');
    if (vector.length !== length) {
      throw toProtocolFault(`holds a vector of ${vector.length} dimensions where ${length} were expected`);
    }
    for (let i = 0; i < length; i += 1) sum[i] = (sum[i] ?? 0) + (vector[i] ?? 0) * window.text.length;
  }
  for (const sum of sums) normalise(sum);
  return sums;
}

/** The answer's vectors in the order of the inputs: `index` says whose each is. */
function readVectors(text: string, count: number): Float32Array[] {
  const data = toList(toRecord(parseJson(text))?.data);
  if (data.length !== count) {
    throw toProtocolFault(`holds ${data.length} vectors for ${count} texts`);
  }
  const vectors: (Float32Array | undefined)[] = Array.from({ length: count });
  for (const [at, item] of data.entries()) {
    const record = toRecord(item);
    const index = typeof record?.index === 'number' ? record.index : at;
    if (!Number.isInteger(index) || index < 0 || index >= count || vectors[index] !== undefined) {
      throw toProtocolFault('numbers its vectors wrongly');
    }
    vectors[index] = normalise(readVector(record?.embedding));
  }
  return vectors.flatMap((vector) => vector ?? []);
}

function readVector(value: unknown): Float32Array {
  if (typeof value === 'string') {
    const bytes = Buffer.from(value, 'base64');
    if (bytes.length === 0 || bytes.length % 4 !== 0)
      throw toProtocolFault('holds a vector that cannot be read');
    // A copy of its own: the decoder's buffer may begin anywhere.
    return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
  }
  const list = toList(value);
  if (list.length === 0) throw toProtocolFault('lacks a vector');
  return Float32Array.from(list, (number) => (typeof number === 'number' ? number : Number.NaN));
}

/** To unit length, in place. Throws for a vector without a direction. */
function normalise(vector: Float32Array): Float32Array {
  let sum = 0;
  for (const value of vector) sum += value * value;
  const length = Math.sqrt(sum);
  if (!Number.isFinite(length) || length === 0) {
    throw toProtocolFault(
      length === 0 ? 'holds a vector of zeros' : 'holds a vector with numbers that are none',
    );
  }
  for (let i = 0; i < vector.length; i += 1) vector[i] = (vector[i] ?? 0) / length;
  return vector;
}

function toProtocolFault(what: string): ProviderError {
  return new ProviderError('protocol', `The answer of the embedding model ${what}.`);
}
