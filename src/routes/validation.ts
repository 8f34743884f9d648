/**
 * Turns what a client sent into typed values, or into OpenAI's 400 that names the parameter.
 *
 * The schemas are the generated ones. They are checked here rather than by the web framework, because its
 * validator drops the fields that a schema does not name and cannot say which member of a union was meant.
 */

import type { Static, TSchema } from '@sinclair/typebox';
import { type TypeCheck, TypeCompiler } from '@sinclair/typebox/compiler';
import { ApiError } from '../errors.ts';
import { describeFault } from './validation-faults.ts';

export interface Validator {
  /** Answers the body as it came (unknown fields included). Errors: 400 naming the parameter. */
  parse<T extends TSchema>(schema: T, body: unknown): Static<T>;
}

/** Compiles each schema when it is first needed and keeps the result. */
export function createValidator(): Validator {
  const compiled = new WeakMap<TSchema, TypeCheck<TSchema>>();

  const checkOf = (schema: TSchema): TypeCheck<TSchema> => {
    let check = compiled.get(schema);
    if (check === undefined) {
      check = TypeCompiler.Compile(schema);
      compiled.set(schema, check);
    }
    return check;
  };

  return {
    parse<T extends TSchema>(schema: T, body: unknown): Static<T> {
      if (body === null || typeof body !== 'object' || Array.isArray(body)) {
        throw ApiError.invalidRequest('The request body must be a JSON object.');
      }
      if (checkOf(schema).Check(body)) return body as Static<T>;
      throw describeFault(schema, body);
    },
  };
}
