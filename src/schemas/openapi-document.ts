/** The API document of this server, made from the table of operations and the schemas that requests are checked with. */

import type { TSchema } from '@sinclair/typebox';
import { OWN_OPERATIONS, SERVED_RESOURCES } from './extensions.ts';
import * as assistants from './generated/assistants.ts';
import * as chatCompletions from './generated/chat-completions.ts';
import * as embeddings from './generated/embeddings.ts';
import * as errors from './generated/errors.ts';
import * as files from './generated/files.ts';
import * as messages from './generated/messages.ts';
import * as metadata from './generated/metadata.ts';
import * as modelSettings from './generated/model-settings.ts';
import * as models from './generated/models.ts';
import { OPERATIONS } from './generated/operations.ts';
import * as responseFormats from './generated/response-formats.ts';
import * as runs from './generated/runs.ts';
import * as steps from './generated/steps.ts';
import * as threads from './generated/threads.ts';
import * as tools from './generated/tools.ts';
import * as uploads from './generated/uploads.ts';
import * as vectorStores from './generated/vector-stores.ts';
import type { MediaTypes, Operation } from './operation.ts';

const MODULES = [
  assistants,
  chatCompletions,
  embeddings,
  errors,
  files,
  messages,
  metadata,
  modelSettings,
  models,
  responseFormats,
  runs,
  steps,
  threads,
  tools,
  uploads,
  vectorStores,
];

/** Everything that this server serves, by operation id. */
export function toServedOperations(): ReadonlyMap<string, Operation> {
  const served = Object.entries<Operation>(OPERATIONS).filter(([, { resource }]) =>
    SERVED_RESOURCES.has(resource),
  );
  return new Map([...served, ...Object.entries<Operation>(OWN_OPERATIONS)]);
}

/** OpenAPI 3.1, as a JSON document. */
export function toOpenApiDocument(version: string): Record<string, unknown> {
  const names = toComponentNames();
  const paths: Record<string, Record<string, unknown>> = {};
  for (const [operationId, operation] of toServedOperations()) {
    const path = `/v1${operation.path}`;
    paths[path] ??= {};
    paths[path][operation.method.toLowerCase()] = toPathItem(operationId, operation, names);
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'understudy',
      version,
      description: "OpenAI's Assistants API, with any language model behind it.",
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    security: [{ key: [] }],
    paths,
    components: {
      schemas: Object.fromEntries(
        [...names].map(([json, name]) => [name, toReferenced(JSON.parse(json), names, false)]),
      ),
      securitySchemes: { key: { type: 'http', scheme: 'bearer' } },
    },
  };
}

/** Schemas by what they say: TypeBox copies what it makes optional, so that identity tells nothing. */
function toComponentNames(): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  for (const module of MODULES) {
    for (const [name, schema] of Object.entries<TSchema>(module)) {
      const json = JSON.stringify(schema);
      if (!names.has(json)) names.set(json, name);
    }
  }
  return names;
}

function toPathItem(
  operationId: string,
  operation: Operation,
  names: ReadonlyMap<string, string>,
): Record<string, unknown> {
  const toContent = (content: MediaTypes) =>
    Object.fromEntries(
      Object.entries(content).map(([type, schema]) => [type, { schema: toReferenced(schema, names, true) }]),
    );
  return {
    operationId,
    tags: [operation.resource],
    parameters: operation.parameters.map((parameter) => ({ ...parameter })),
    ...(operation.request === null
      ? {}
      : {
          requestBody: {
            required: operation.request.required,
            content: toContent(operation.request.content),
          },
        }),
    responses: {
      ...Object.fromEntries(
        Object.entries(operation.responses).map(([status, content]) => [
          status,
          { description: 'OK', content: toContent(content) },
        ]),
      ),
      default: {
        description: 'An error',
        content: toContent({ 'application/json': errors.ErrorResponse }),
      },
    },
  };
}

/** The schema with every known part of it replaced by a reference; itself, too, where `isPart`. */
function toReferenced(node: unknown, names: ReadonlyMap<string, string>, isPart: boolean): unknown {
  if (node === null || typeof node !== 'object') return node;
  if (isPart) {
    const name = names.get(JSON.stringify(node));
    if (name !== undefined) return { $ref: `#/components/schemas/${name}` };
  }
  if (Array.isArray(node)) return node.map((item) => toReferenced(item, names, true));
  return Object.fromEntries(
    Object.entries(node).flatMap(([key, item]) => {
      // A schema that holds itself names itself: here its name is its place.
      if (key === '$id') return [];
      if (key === '$ref' && typeof item === 'string') return [[key, `#/components/schemas/${item}`]];
      return [[key, toReferenced(item, names, true)]];
    }),
  );
}
