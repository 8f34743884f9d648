/** Holds the answers of a check against the API document: status, form and schema. */

import type { TSchema } from '@sinclair/typebox';
import { OWN_OPERATIONS } from '../schemas/extensions.ts';
import { OPERATIONS } from '../schemas/generated/operations.ts';
import type { Operation } from '../schemas/operation.ts';
import type { Check } from './check.ts';
import { readField } from './event-rules.ts';
import type { Exchange } from './exchanges.ts';
import { CheckFailure } from './outcome.ts';
import { findSchemaFault } from './schema-faults.ts';

const JSON_TYPE = 'application/json';
const STATUS_OK = 200;

/** Every operation of the API document, and our own. */
export function toAllOperations(): ReadonlyMap<string, Operation> {
  return new Map([...Object.entries<Operation>(OPERATIONS), ...Object.entries<Operation>(OWN_OPERATIONS)]);
}

/** Errors: where the name is none of an operation. */
export function findOperation(name: string): Operation {
  const operation = toAllOperations().get(name);
  if (operation === undefined) throw new Error(`There is no operation ${name}.`);
  return operation;
}

/** The exchanges of a check that are its own operation's: a check may ask for others on its way. */
export function findOwn(check: Check, exchanges: readonly Exchange[]): readonly Exchange[] {
  if (check.operation === null) return [];
  const operation = findOperation(check.operation);
  const pattern = toPattern(operation);
  return exchanges.filter(
    ({ method, path, text, contentType }) =>
      method === operation.method && pattern.test(path) && !isOfOther(check, contentType, text),
  );
}

/** A check of a stream looks at streams only, and at errors that came instead. */
function isOfOther(check: Check, contentType: string, text: string): boolean {
  return (
    check.events !== undefined &&
    text !== '' &&
    contentType.startsWith(JSON_TYPE) &&
    !text.includes('"error"')
  );
}

/** `/threads/{thread_id}` fits `/threads/thread_x`, and `/models/{model}` names with slashes. */
function toPattern({ path }: Operation): RegExp {
  const fixed = path.replace(/[.*+?^$()|[\]\\]/g, '\\$&');
  return new RegExp(`^${fixed.replace(/\{model\}/g, '.+').replace(/\{[a-z_]+\}/g, '[^/]+')}$`);
}

/** Errors: `CheckFailure` that names the first thing that is wrong. */
export function checkAnswers(check: Check, exchanges: readonly Exchange[]): void {
  if (check.operation === null) return;
  const operation = findOperation(check.operation);
  const own = findOwn(check, exchanges);
  if (own.length === 0) throw new CheckFailure('no answer came');
  const wanted = check.status ?? STATUS_OK;
  for (const exchange of own) {
    if (exchange.status !== wanted) throw new CheckFailure(`status ${exchange.status}, not ${wanted}`);
    if (wanted === STATUS_OK) checkForm(check, operation, exchange);
    else checkError(exchange);
  }
}

function checkForm(check: Check, operation: Operation, exchange: Exchange): void {
  if (check.events !== undefined || check.isStreamed === true) {
    if (exchange.events === null) throw new CheckFailure(`no stream of events, but ${exchange.contentType}`);
    return;
  }
  const schema: TSchema | undefined = operation.responses[STATUS_OK]?.[JSON_TYPE];
  if (schema === undefined) return;
  if (!exchange.contentType.startsWith(JSON_TYPE)) {
    throw new CheckFailure(`no JSON, but ${exchange.contentType || 'an answer without a type'}`);
  }
  if (exchange.json === undefined) throw new CheckFailure('its body is no JSON');
  const fault = findSchemaFault(schema, exchange.json);
  if (fault !== null) throw new CheckFailure(fault);
}

/** `{"error": {"message": …, "type": …, "param": …, "code": …}}` */
function checkError({ json }: Exchange): void {
  const error = readField(json, 'error');
  for (const name of ['message', 'type']) {
    if (typeof readField(error, name) !== 'string') throw new CheckFailure(`the error has no ${name}`);
  }
}

/**
 * Whether an answer says that the operation is missing. A 404 may as well mean the object: then it names its id, beside
 * the path that servers like to repeat.
 */
export function isOperationMissing(check: Check, { status, path, text }: Exchange): boolean {
  if (status === 405 || status === 501) return true;
  if (check.isExtension === true && (status === 401 || status === 403)) return true;
  if (status !== 404 || check.operation === null) return false;
  if (!/\{[a-z_]+\}/.test(findOperation(check.operation).path)) return true;
  const words = text.replaceAll(path, '');
  return /invalid url|unknown_url|cannot (get|post|delete)/i.test(text) || !namesId(words, path);
}

function namesId(text: string, path: string): boolean {
  return path.split('/').some((part) => part.includes('_') && /\d|[A-Z]/.test(part) && text.includes(part));
}
