/** What this server says, or takes, beyond the document: fields that programs of astra-assistants-api rely on. */

import type { Correction } from './corrections.ts';

const PIONEER =
  'Programs of astra-assistants-api rely on it (docs/migrating.md); others never see or send it.';

const CHUNK = {
  type: 'object',
  properties: {
    chunk_id: { type: 'string' },
    content: { type: 'string' },
    score: { type: 'number', minimum: 0, maximum: 1 },
    file_id: { type: 'string' },
    file_name: { type: 'string' },
    bytes: { type: 'integer' },
    search_string: { type: 'string' },
  },
  required: ['chunk_id', 'content', 'score', 'file_id', 'file_name', 'search_string'],
};

/** Made as corrections are: one whose place the document has filled by now is an error. */
export const ADDITIONS: readonly Correction[] = [
  {
    at: '/components/schemas/OpenAIFile/properties/embedding_model',
    was: undefined,
    value: { type: ['string', 'null'] },
    why: `The model that the upload named in a header. ${PIONEER}`,
  },
  {
    at: '/components/schemas/ModifyMessageRequest/properties/content',
    was: undefined,
    value: {
      oneOf: [
        { type: 'string' },
        {
          type: 'array',
          items: {
            oneOf: [
              { $ref: '#/components/schemas/MessageContentImageFileObject' },
              { $ref: '#/components/schemas/MessageContentImageUrlObject' },
              { $ref: '#/components/schemas/MessageRequestContentTextObject' },
            ],
          },
          minItems: 1,
        },
      ],
    },
    why: `A message's content can be changed, as it is given where one is made. ${PIONEER}`,
  },
  {
    at: '/components/schemas/RunStepDetailsToolCallsFileSearchObject/properties/file_search/properties/chunks',
    was: undefined,
    value: { type: 'array', items: CHUNK },
    why: `What the search found, to requests with an \`astra-api-token\`. ${PIONEER}`,
  },
  {
    at: '/components/schemas/RunStepDetailsMessageCreationObject/properties/tool_calls',
    was: undefined,
    value: { type: 'array', items: {}, maxItems: 0 },
    why: `Empty, to requests with an \`astra-api-token\`: handlers look for calls in every step. ${PIONEER}`,
  },
];
