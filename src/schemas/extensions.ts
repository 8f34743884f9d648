/** What this server adds to the API document, and which of the document's resources it serves. */

import { Type } from '@sinclair/typebox';
import { ThreadObject } from './generated/threads.ts';
import { ListObject } from './lists.ts';
import { createMap } from './open-map.ts';
import { freezeOperations } from './operation.ts';

/** Resources (files of `generated/`) whose operations have routes. */
export const SERVED_RESOURCES: ReadonlySet<string> = new Set([
  'assistants',
  'threads',
  'messages',
  'runs',
  'steps',
  'files',
  'uploads',
  'chat-completions',
  'embeddings',
  'models',
  'vector-stores',
]);

const ListThreadsResponse = ListObject(ThreadObject);

export const OWN_OPERATIONS = freezeOperations({
  listThreads: {
    method: 'GET',
    path: '/threads',
    resource: 'threads',
    parameters: [
      {
        name: 'limit',
        in: 'query',
        required: false,
        schema: Type.Integer({ minimum: 1, maximum: 100, default: 20 }),
      },
      {
        name: 'order',
        in: 'query',
        required: false,
        schema: Type.Union([Type.Literal('asc'), Type.Literal('desc')], { default: 'desc' }),
      },
      { name: 'after', in: 'query', required: false, schema: Type.String() },
      { name: 'before', in: 'query', required: false, schema: Type.String() },
      {
        name: 'metadata',
        in: 'query',
        required: false,
        schema: createMap(Type.String()),
      },
    ],
    request: null,
    responses: { 200: { 'application/json': ListThreadsResponse } },
  },
});
