/** Embeddings handed through: in several requests where a server takes few texts at once, packed where it cannot pack. */

import { type JsonRecord, parseJson, toList, toRecord } from '../json-values.ts';
import { ProviderError, type Quirks } from '../provider.ts';

/** One request: its body, and the text of the answer. */
export type AskEmbeddings = (body: JsonRecord) => Promise<string>;

/** The inputs of one request in several, each as long as may be; null where one request is enough. */
export function splitInputs(body: JsonRecord, { embeddingTextsMax }: Quirks): readonly unknown[][] | null {
  const { input } = body;
  // A list of numbers is one text, in tokens.
  const isList = Array.isArray(input) && typeof input[0] !== 'number';
  if (!isList || embeddingTextsMax === undefined || input.length <= embeddingTextsMax) return null;
  const parts: unknown[][] = [];
  for (let at = 0; at < input.length; at += embeddingTextsMax) {
    parts.push(input.slice(at, at + embeddingTextsMax));
  }
  return parts;
}

/** Whether the client wants vectors in base64 from a server that knows numbers only. */
export function needsPacking(body: JsonRecord, { noEmbeddingFormat }: Quirks): boolean {
  return noEmbeddingFormat === true && body.encoding_format === 'base64';
}

/** The answer to the whole, as if it had been one request. Throws `ProviderError` (`protocol`). */
export async function askInParts(
  body: JsonRecord,
  parts: readonly (readonly unknown[])[],
  ask: AskEmbeddings,
): Promise<JsonRecord> {
  const data: unknown[] = [];
  const usage = { prompt_tokens: 0, total_tokens: 0 };
  let head: JsonRecord = {};
  // One after the other: whoever takes few texts at once takes few requests at once.
  for (const input of parts) {
    const answer = parseAnswer(await ask({ ...body, input }), input.length);
    const offset = data.length;
    for (const [at, item] of toList(answer.data).entries()) {
      const entry = toRecord(item) ?? {};
      data.push({ ...entry, index: offset + (typeof entry.index === 'number' ? entry.index : at) });
    }
    const counts = toRecord(answer.usage) ?? {};
    for (const name of ['prompt_tokens', 'total_tokens'] as const) {
      const count = counts[name];
      if (typeof count === 'number') usage[name] += count;
    }
    head = answer;
  }
  return { ...head, data, usage };
}

function parseAnswer(text: string, count: number): JsonRecord {
  const answer = toRecord(parseJson(text));
  if (answer === null || toList(answer.data).length !== count) {
    throw new ProviderError('protocol', "The model's server answered with fewer or more vectors than texts.");
  }
  return answer;
}

/** The same answer with its vectors in base64, each number in four bytes, the lowest first. */
export function packVectors(answer: JsonRecord): JsonRecord {
  return {
    ...answer,
    data: toList(answer.data).map((item) => {
      const entry = toRecord(item) ?? {};
      if (!Array.isArray(entry.embedding)) return entry;
      const vector = Float32Array.from(entry.embedding, Number);
      return { ...entry, embedding: Buffer.from(vector.buffer).toString('base64') };
    }),
  };
}
