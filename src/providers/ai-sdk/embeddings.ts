/** Requests for embeddings in OpenAI's shape, carried out in calls as large as the provider takes them. */

import { type JsonRecord, toList, toText } from '../json-values.ts';
import { type CallOptions, ProviderError } from '../provider.ts';
import { createUnsupported, openAccess, type ProviderParts, retry, toErrorContext } from './open-access.ts';
import { toPackageError } from './package-errors.ts';
import { refuse } from './prompt.ts';
import type { EmbedReply, EmbedRequest, InputKind } from './protocol.ts';

/** Texts of one request, as at OpenAI. */
const TEXTS_MAX = 2048;
/** Calls for one request that are under way at once. */
const CALLS_AT_ONCE_MAX = 4;

/** Throws `ProviderError`: of the first call that fails for good. */
export async function relayEmbeddings(
  parts: ProviderParts,
  body: JsonRecord,
  call: CallOptions,
): Promise<Response> {
  const { embeddings, name } = parts.protocol;
  if (embeddings === null) throw createUnsupported(`${name} has no models for embeddings.`);
  const { isPacked, ...request } = readEmbeddingsBody(body);
  const model = toText(body.model) ?? '';
  const embed = async (batch: EmbedRequest): Promise<EmbedReply> => {
    const open = await openAccess(parts, model, call);
    try {
      return await embeddings.embed(batch, open.access);
    } catch (error) {
      call.signal.throwIfAborted();
      throw toPackageError(error, toErrorContext(parts.deps, call));
    } finally {
      open.close();
    }
  };
  const reply = await embedInBatches(request, embeddings.textsMax(model), (batch) =>
    retry(parts, call, () => embed(batch)),
  );
  return Response.json(toEmbeddingList(reply, model, isPacked));
}

interface EmbeddingsBody extends EmbedRequest {
  readonly isPacked: boolean;
}

/** Throws `ProviderError` (`invalid_request`) that names the parameter at fault. */
function readEmbeddingsBody(body: JsonRecord): EmbeddingsBody {
  const texts = typeof body.input === 'string' ? [body.input] : toList(body.input);
  if (texts.length === 0 || texts.length > TEXTS_MAX) {
    throw refuse('input', `'input' must be a text, or a list of 1 to ${TEXTS_MAX} texts.`);
  }
  if (!texts.every((text) => typeof text === 'string' && text !== '')) {
    throw refuse('input', "'input' must hold texts that are not empty: this provider takes no tokens.");
  }
  const { dimensions = null, encoding_format: format = 'float' } = body;
  if (dimensions !== null && !(Number.isInteger(dimensions) && Number(dimensions) >= 1)) {
    throw refuse('dimensions', "'dimensions' must be a whole number of at least 1.");
  }
  if (format !== 'float' && format !== 'base64') {
    throw refuse('encoding_format', "'encoding_format' must be 'float' or 'base64'.");
  }
  return {
    texts: texts.map(String),
    dimensions: dimensions === null ? null : Number(dimensions),
    inputKind: toInputKind(body.input_type),
    isPacked: format === 'base64',
  };
}

/** The providers' own words for it are understood. */
function toInputKind(value: unknown): InputKind {
  if (value === undefined || value === null) return 'document';
  const text = (toText(value) ?? '').toLowerCase();
  if (/query/.test(text)) return 'query';
  if (/document|passage/.test(text)) return 'document';
  throw refuse('input_type', "'input_type' must be 'document' or 'query'.");
}

/** Throws what `embed` throws, after the first failure without waiting for the other calls. */
async function embedInBatches(
  request: EmbedRequest,
  textsMax: number,
  embed: (request: EmbedRequest) => Promise<EmbedReply>,
): Promise<EmbedReply> {
  const batches = Array.from({ length: Math.ceil(request.texts.length / textsMax) }, (_, at) =>
    request.texts.slice(at * textsMax, (at + 1) * textsMax),
  );
  const replies: EmbedReply[] = [];
  let next = 0;
  let hasFailed = false;
  const work = async (): Promise<void> => {
    while (next < batches.length && !hasFailed) {
      const at = next;
      next += 1;
      const texts = batches[at] ?? [];
      try {
        replies[at] = checkCount(await embed({ ...request, texts }), texts.length);
      } catch (error) {
        hasFailed = true;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(CALLS_AT_ONCE_MAX, batches.length) }, work));
  return {
    vectors: replies.flatMap(({ vectors }) => vectors),
    tokens: replies.reduce((sum, { tokens }) => sum + tokens, 0),
  };
}

function checkCount(reply: EmbedReply, count: number): EmbedReply {
  if (reply.vectors.length === count) return reply;
  throw new ProviderError(
    'protocol',
    `The model's server answered with ${reply.vectors.length} vectors for ${count} texts.`,
  );
}

/** OpenAI's list. */
function toEmbeddingList({ vectors, tokens }: EmbedReply, model: string, isPacked: boolean): unknown {
  return {
    object: 'list',
    data: vectors.map((vector, index) => ({
      object: 'embedding',
      index,
      embedding: isPacked ? toBase64(vector) : vector,
    })),
    model,
    usage: { prompt_tokens: tokens, total_tokens: tokens },
  };
}

/** 32-bit floats, the lowest byte first. */
function toBase64(vector: readonly number[]): string {
  const bytes = Buffer.alloc(vector.length * 4);
  for (const [at, value] of vector.entries()) bytes.writeFloatLE(value, at * 4);
  return bytes.toString('base64');
}
