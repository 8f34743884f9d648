/** What the generated table of operations (`generated/operations.ts`) is made of. */

import type { TSchema } from '@sinclair/typebox';

export type HttpMethod = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** Schemas by media type: `application/json`, `multipart/form-data`, `text/event-stream`. */
export type MediaTypes = Readonly<Record<string, TSchema>>;

export interface OperationParameter {
  /** As on the wire: `limit`, `include[]`. */
  readonly name: string;
  readonly in: 'path' | 'query';
  readonly required: boolean;
  readonly schema: TSchema;
}

export interface OperationRequest {
  readonly required: boolean;
  readonly content: MediaTypes;
}

export interface Operation {
  readonly method: HttpMethod;
  /** Below the version prefix, with the names of parameters in braces: `/threads/{thread_id}`. */
  readonly path: string;
  /** The file beside the table that holds the schemas of this operation: `threads`. */
  readonly resource: string;
  readonly parameters: readonly OperationParameter[];
  /** Null where the operation takes no body. */
  readonly request: OperationRequest | null;
  /** By HTTP status. */
  readonly responses: Readonly<Record<number, MediaTypes>>;
}

/** Freezes a table of operations, keyed by `operationId`. The schemas stay as they are: others share them. */
export function freezeOperations<Id extends string>(
  table: Record<Id, Operation>,
): Readonly<Record<Id, Operation>> {
  for (const operation of Object.values<Operation>(table)) {
    for (const parameter of operation.parameters) Object.freeze(parameter);
    for (const content of Object.values(operation.responses)) Object.freeze(content);
    if (operation.request !== null) Object.freeze(Object.freeze(operation.request).content);
    Object.freeze(operation.parameters);
    Object.freeze(operation.responses);
    Object.freeze(operation);
  }
  return Object.freeze(table);
}
