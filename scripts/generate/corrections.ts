/** Where the document is wrong about the service, or names a thing as it cannot be named here. */

import type { ApiDocument } from './document.ts';

export interface Correction {
  /** JSON pointer into the document, its prose gone. */
  readonly at: string;
  /** What the document says there, `undefined` for nothing: a correction that has become needless is an error. */
  readonly was: unknown;
  readonly value: unknown;
  readonly why: string;
}

/** Components that get another name. */
export const RENAMED: Readonly<Record<string, string>> = {
  // `Error` would hide JavaScript's own; the official SDK calls it `ErrorObject` too.
  Error: 'ErrorObject',
};

const EMPTY_LISTS = 'An empty list is answered with null for both ids.';

function correctListIds(component: string): Correction[] {
  return ['first_id', 'last_id'].map((name) => ({
    at: `/components/schemas/${component}/properties/${name}`,
    was: { type: 'string' },
    value: { type: ['string', 'null'] },
    why: EMPTY_LISTS,
  }));
}

/** The bounds of `limit` stand in the prose of its description only. */
function correctLimit(path: string, index: number, limitDefault = 20, limitMax = 100): Correction {
  return {
    at: `/paths/${path.replaceAll('/', '~1')}/get/parameters/${index}/schema`,
    was: { type: 'integer', default: limitDefault },
    value: { type: 'integer', default: limitDefault, minimum: 1, maximum: limitMax },
    why: `Its description says: between 1 and ${limitMax}.`,
  };
}

function correctStream(path: string): Correction {
  return {
    at: `/paths/${path.replaceAll('/', '~1')}/post/responses/200/content/text~1event-stream`,
    was: undefined,
    value: { schema: { $ref: '#/components/schemas/AssistantStreamEvent' } },
    why: 'With `stream: true` the answer is a stream of events; the document says so in prose only.',
  };
}

const SDK = 'The official SDK (openai 7.57.0 on npm) knows it, and its programs send or read it.';

const HYBRID = {
  type: 'object',
  properties: {
    embedding_weight: { type: 'number', minimum: 0 },
    text_weight: { type: 'number', minimum: 0 },
  },
  required: ['embedding_weight', 'text_weight'],
};

export const CORRECTIONS: readonly Correction[] = [
  ...[
    '/components/schemas/VectorStoreSearchRequest/properties/ranking_options/properties/hybrid_search',
    '/components/schemas/FileSearchRankingOptions/properties/hybrid_search',
  ].map((at) => ({
    at,
    was: undefined,
    value: HYBRID,
    why: 'The service takes the weights of the two sides in all ranking options; the document says so for Responses only.',
  })),
  ...[
    'ListAssistantsResponse',
    'ListMessagesResponse',
    'ListRunsResponse',
    'ListRunStepsResponse',
    'ListFilesResponse',
    'ListVectorStoresResponse',
    'ListVectorStoreFilesResponse',
  ].flatMap(correctListIds),
  correctLimit('/assistants', 0),
  correctLimit('/threads/{thread_id}/messages', 1),
  correctLimit('/threads/{thread_id}/runs', 1),
  correctLimit('/threads/{thread_id}/runs/{run_id}/steps', 2),
  correctLimit('/files', 1, 10_000, 10_000),
  correctLimit('/vector_stores', 0),
  correctLimit('/vector_stores/{vector_store_id}/files', 1),
  correctLimit('/vector_stores/{vector_store_id}/file_batches/{batch_id}/files', 2),
  correctStream('/threads/runs'),
  correctStream('/threads/{thread_id}/runs'),
  correctStream('/threads/{thread_id}/runs/{run_id}/submit_tool_outputs'),
  {
    at: '/paths/~1files~1{file_id}~1content/get/responses/200/content',
    was: { 'application/json': { schema: { type: 'string' } } },
    value: { 'application/octet-stream': { schema: { type: 'string', format: 'binary' } } },
    why: 'The content of a file is its bytes, not JSON.',
  },
  {
    at: '/components/schemas/Upload/required',
    was: ['bytes', 'created_at', 'expires_at', 'filename', 'id', 'purpose', 'status'],
    value: ['bytes', 'created_at', 'expires_at', 'filename', 'id', 'object', 'purpose', 'status'],
    why: 'Every object of the API names its kind, and the SDK relies on it.',
  },
  {
    at: '/components/schemas/CreateUploadRequest/properties/purpose/enum',
    was: ['assistants', 'batch', 'fine-tune', 'vision'],
    value: ['assistants', 'batch', 'fine-tune', 'vision', 'user_data', 'evals'],
    why: `An upload becomes a file, whose purposes are these. ${SDK}`,
  },
  {
    at: '/components/schemas/ChatCompletionRequestMessageContentPartImage/properties/image_url/properties/detail/enum',
    was: ['auto', 'low', 'high'],
    value: ['auto', 'low', 'high', 'original'],
    why: SDK,
  },
  {
    at: '/components/schemas/PromptCacheBreakpointParam/properties/ttl',
    was: undefined,
    value: { type: 'string', enum: ['30m', '12h'] },
    why: SDK,
  },
  {
    at: '/components/schemas/ChatCompletionMessageToolCallChunk/properties/type/enum',
    was: ['function'],
    value: ['function', 'custom'],
    why: `Calls of custom tools are streamed too. ${SDK}`,
  },
  {
    at: '/components/schemas/ChatCompletionMessageToolCallChunk/properties/custom',
    was: undefined,
    value: { type: 'object', properties: { name: { type: 'string' }, input: { type: 'string' } } },
    why: `Calls of custom tools are streamed too. ${SDK}`,
  },
  {
    at: '/components/schemas/ChatCompletionStreamResponseDelta/properties/audio',
    was: undefined,
    value: {
      type: 'object',
      properties: {
        id: { type: 'string' },
        data: { type: 'string' },
        expires_at: { type: 'integer' },
        transcript: { type: 'string' },
      },
    },
    why: SDK,
  },
];

/** The document with the corrections made. The given one stays as it is. Errors: a correction that does not fit. */
export function correctDocument(
  document: ApiDocument,
  corrections: readonly Correction[],
  renamed: Readonly<Record<string, string>>,
): ApiDocument {
  const corrected = renameComponents(document, renamed);
  for (const correction of corrections) applyCorrection(corrected, correction);
  return corrected;
}

function renameComponents(document: ApiDocument, renamed: Readonly<Record<string, string>>): ApiDocument {
  const text = Object.entries(renamed).reduce(
    (json, [name, other]) =>
      json.replaceAll(`"#/components/schemas/${name}"`, `"#/components/schemas/${other}"`),
    JSON.stringify(document),
  );
  const copy = JSON.parse(text) as ApiDocument;
  copy.components.schemas = Object.fromEntries(
    Object.entries(copy.components.schemas).map(([name, node]) => [renamed[name] ?? name, node]),
  );
  return copy;
}

function applyCorrection(document: ApiDocument, correction: Correction): void {
  const keys = correction.at
    .split('/')
    .slice(1)
    .map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'));
  const last = keys.pop();
  let parent: unknown = document;
  for (const key of keys) parent = isRecord(parent) ? parent[key] : undefined;
  if (last === undefined || !isRecord(parent))
    throw new Error(`correction at ${correction.at}: no such place`);
  if (!Bun.deepEquals(parent[last], correction.was)) {
    throw new Error(
      `correction at ${correction.at}: the document says ${JSON.stringify(parent[last])} by now`,
    );
  }
  parent[last] = correction.value;
}

/** Arrays count: their indexes are keys. */
function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
