/** What an answer says of its tokens, found without reading the rest of it. */

import type { TokenCounts } from './call-meter.ts';
import { type JsonRecord, parseJson, toRecord } from './json-values.ts';

/** As it stands in JSON: within a text the quotation marks would be escaped. */
const KEY = '"usage"';
/** Occurrences that are looked at, from the end: servers that count in every chunk write null until the last one. */
const LOOKS_MAX = 16;
const OBJECT_CHARACTERS_MAX = 4_096;
/** `usage` is among the last fields of a document. */
const TAIL_CHARACTERS = 16_384;
/** Shorter ones are looked through from end to beginning. */
const WHOLE_CHARACTERS_MAX = 256 * 1024;

/** The last counts in a document, or in the frames of a stream; null where there are none. */
export function findUsage(text: string): TokenCounts | null {
  const part = text.length > WHOLE_CHARACTERS_MAX ? text.slice(-TAIL_CHARACTERS) : text;
  let at = part.lastIndexOf(KEY);
  for (let looks = 0; at !== -1 && looks < LOOKS_MAX; looks += 1) {
    const counts = toTokenCounts(readObject(part, at + KEY.length));
    if (counts !== null) return counts;
    if (at === 0) return null;
    at = part.lastIndexOf(KEY, at - 1);
  }
  return null;
}

/** As `findUsage`, of the pieces of a stream, each of whole events. Most hold none, which is seen without reading them as text. */
export function findUsageInPieces(pieces: readonly Uint8Array[]): TokenCounts | null {
  for (const piece of pieces.toReversed()) {
    const bytes = Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength);
    if (!bytes.includes(KEY)) continue;
    const counts = findUsage(bytes.toString());
    if (counts !== null) return counts;
  }
  return null;
}

/** The object behind a key and its colon. */
function readObject(text: string, from: number): JsonRecord | null {
  const begin = /^\s*:\s*\{/.exec(text.slice(from, from + 32));
  if (begin === null) return null;
  const start = from + begin[0].length - 1;
  const end = Math.min(text.length, start + OBJECT_CHARACTERS_MAX);
  let depth = 0;
  let isText = false;
  for (let at = start; at < end; at += 1) {
    const character = text[at];
    if (character === '\\') at += 1;
    else if (character === '"') isText = !isText;
    else if (!isText && character === '{') depth += 1;
    else if (!isText && character === '}') depth -= 1;
    if (depth === 0) return toRecord(parseJson(text.slice(start, at + 1)));
  }
  return null;
}

/** Of `prompt_tokens` and `completion_tokens`, or of `input_tokens` and `output_tokens`; null where there is neither. */
export function toTokenCounts(usage: JsonRecord | null): TokenCounts | null {
  const prompt = toCount(usage?.prompt_tokens) ?? toCount(usage?.input_tokens);
  const completion = toCount(usage?.completion_tokens) ?? toCount(usage?.output_tokens);
  if (prompt === null && completion === null) return null;
  const details = toRecord(usage?.prompt_tokens_details) ?? toRecord(usage?.input_tokens_details);
  return {
    promptTokens: prompt ?? 0,
    cachedTokens: toCount(details?.cached_tokens) ?? 0,
    completionTokens: completion ?? 0,
  };
}

/** A server may say anything: what is no number of tokens is none. */
function toCount(value: unknown): number | null {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : null;
}
