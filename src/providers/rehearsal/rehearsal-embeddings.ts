/**
 * Embeddings without a model: words and their parts hashed into a vector of unit length.
 *
 * Texts that share words are near to each other, which is enough to try a search; meaning is not looked at.
 */

import { type JsonRecord, toText } from '../json-values.ts';
import { ProviderError } from '../provider.ts';
import { splitPieces } from './tokens.ts';

export const DIMENSIONS_DEFAULT = 256;
export const DIMENSIONS_MAX = 4096;
const INPUTS_MAX = 2048;
const GRAM_CHARACTERS = 3;
/** A word weighs more than one of the parts that it is made of. */
const WORD_WEIGHT = 2;

/** The answer of `POST /embeddings`. Throws `ProviderError` (`invalid_request`). */
export function toEmbeddingList(body: JsonRecord): unknown {
  const inputs = readInputs(body.input);
  const dimensions = readDimensions(body.dimensions);
  const isPacked = readFormat(body.encoding_format) === 'base64';
  const data = inputs.map((input, index) => {
    const vector = embedText(input, dimensions);
    const embedding = isPacked ? packVector(vector) : [...vector];
    return { object: 'embedding', index, embedding };
  });
  const tokens = inputs.reduce((sum, input) => sum + splitPieces(input).length, 0);
  const usage = { prompt_tokens: tokens, total_tokens: tokens };
  return { object: 'list', data, model: toText(body.model) ?? '', usage };
}

/** The same text gives the same vector, on every machine. */
export function embedText(text: string, dimensions: number): Float32Array {
  const sums = new Float64Array(dimensions);
  const add = (feature: string, weight: number): void => {
    const hash = hashText(feature);
    const at = hash % dimensions;
    sums[at] = (sums[at] ?? 0) + ((hash >>> 16) & 1 ? weight : -weight);
  };
  for (const [word] of text.toLowerCase().matchAll(/[\p{L}\p{N}]+/gu)) {
    add(word, WORD_WEIGHT);
    const padded = `<${word}>`;
    for (let at = 0; at + GRAM_CHARACTERS <= padded.length; at += 1)
      add(padded.slice(at, at + GRAM_CHARACTERS), 1);
  }
  const length = Math.hypot(...sums);
  // A text without words points somewhere, too: a vector of zeros has no direction to compare.
  if (length === 0) sums[hashText(text) % dimensions] = 1;
  return Float32Array.from(sums, (value) => value / (length === 0 ? 1 : length));
}

/** 32-bit FNV-1a over UTF-16 units, mixed so that its low bits are as good as its high ones. */
function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) {
    hash ^= text.charCodeAt(at);
    hash = Math.imul(hash, 0x01000193);
  }
  hash ^= hash >>> 15;
  hash = Math.imul(hash, 0x2c1b3c6d);
  return (hash ^ (hash >>> 13)) >>> 0;
}

/** Little-endian 32-bit floats, as OpenAI packs them. */
function packVector(vector: Float32Array): string {
  const bytes = Buffer.alloc(vector.length * 4);
  for (const [at, value] of vector.entries()) bytes.writeFloatLE(value, at * 4);
  return bytes.toString('base64');
}

/** A text, a list of texts, a list of tokens, or a list of lists of tokens. */
function readInputs(input: unknown): readonly string[] {
  const list: readonly unknown[] = Array.isArray(input) && !isTokenList(input) ? input : [input];
  if (list.length === 0 || list.length > INPUTS_MAX) {
    throw refuse('input', `'input' must hold between 1 and ${INPUTS_MAX} texts.`);
  }
  return list.map((item) => {
    if (typeof item === 'string' && item !== '') return item;
    if (isTokenList(item)) return item.map((token) => `t${token}`).join(' ');
    throw refuse(
      'input',
      "'input' must be a text that is not empty, a list of such texts, or lists of tokens.",
    );
  });
}

function isTokenList(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.length > 0 && value.every((item) => Number.isInteger(item));
}

function readDimensions(value: unknown): number {
  if (value === undefined || value === null) return DIMENSIONS_DEFAULT;
  if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= DIMENSIONS_MAX)
    return value;
  throw refuse('dimensions', `'dimensions' must be a whole number between 1 and ${DIMENSIONS_MAX}.`);
}

function readFormat(value: unknown): 'float' | 'base64' {
  if (value === undefined || value === null || value === 'float') return 'float';
  if (value === 'base64') return 'base64';
  throw refuse('encoding_format', "'encoding_format' must be 'float' or 'base64'.");
}

function refuse(param: string, message: string): ProviderError {
  return new ProviderError('invalid_request', message, { status: 400, param });
}
