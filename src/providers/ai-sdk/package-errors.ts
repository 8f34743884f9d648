/** What the packages throw, as a `ProviderError`; what the way out has thrown comes through them unchanged. */

import { parseJson, toRecord, toText } from '../json-values.ts';
import { ProviderError } from '../provider.ts';
import { type AnswerErrorContext, toEventError } from './answer-errors.ts';

/** Errors inside errors that are looked into. */
const CAUSES_MAX = 8;

/** A thrown value, or the value of an `error` part. */
export function toPackageError(error: unknown, context: AnswerErrorContext): ProviderError {
  const known = findProviderError(error);
  if (known !== null) return known;
  const record = toRecord(error);
  const name = toText(record?.name) ?? '';
  if (REFUSALS.test(name)) return toRefusal(error, context);
  const said = readSaid(error);
  if (said !== null) return toEventError(said, context);
  return new ProviderError(
    'protocol',
    "The model's server answered with something that is not of its protocol.",
    {
      isRetryable: false,
      cause: error,
    },
  );
}

/** The packages' own names for requests that the provider cannot be asked. */
const REFUSALS =
  /^AI_(UnsupportedFunctionality|InvalidPrompt|InvalidArgument|InvalidResponseData|TypeValidation)?Error$/;

function findProviderError(error: unknown): ProviderError | null {
  let current: unknown = error;
  for (let depth = 0; depth < CAUSES_MAX && current instanceof Error; depth += 1) {
    if (current instanceof ProviderError) return current;
    current = current.cause;
  }
  return null;
}

function toRefusal(error: unknown, context: AnswerErrorContext): ProviderError {
  const said = readSaid(error);
  if (said !== null) return toEventError(said, context);
  const message = toText(toRecord(error)?.message) ?? 'The provider cannot be asked so.';
  return new ProviderError('invalid_request', message, { status: 400 });
}

/** What the server said, where it is an error: in a part, in a chunk of unknown shape, in a text that is no JSON. */
function readSaid(error: unknown): unknown {
  const record = toRecord(error);
  if (record === null) return null;
  const { data, value, text, responseBody } = record;
  const candidates = [data, value, parseJson(toText(text) ?? ''), parseJson(toText(responseBody) ?? '')];
  // A stream's error of a package has the type and message itself.
  if (!(error instanceof Error)) candidates.push(record);
  return candidates.find(isFault) ?? null;
}

function isFault(value: unknown): boolean {
  const fault = toRecord(value);
  if (fault === null) return false;
  const { error, message } = fault;
  return (error !== undefined && error !== null) || toText(message) !== null || toRecord(message) !== null;
}
