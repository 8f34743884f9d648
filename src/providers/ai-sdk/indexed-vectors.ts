/** Lists of embeddings of OpenAI's shape: `{data: [{index, embedding}], usage}`. */

import { toList, toRecord } from '../json-values.ts';
import type { EmbedReply } from './protocol.ts';
import { toVector } from './vectors.ts';

/** In the order of `index`, where there is one. Throws `ProviderError` (`protocol`). */
export function readIndexedVectors(reply: unknown): EmbedReply {
  const record = toRecord(reply);
  const entries = toList(record?.data).map((entry, at) => {
    const { index, embedding } = toRecord(entry) ?? {};
    return { index: typeof index === 'number' ? index : at, vector: toVector(embedding) };
  });
  const usage = toRecord(record?.usage);
  const tokens = usage?.prompt_tokens ?? usage?.total_tokens;
  return {
    vectors: entries.toSorted((a, b) => a.index - b.index).map(({ vector }) => vector),
    tokens: typeof tokens === 'number' ? tokens : 0,
  };
}
