/** Bodies that are handed on as they are: the model's name found in them, and only that changed. */

import { ApiError } from '../errors.ts';
import type { PassedRequest } from '../providers/provider.ts';
import { createFormScanner } from './form-scanner.ts';
import { findMember } from './json-member.ts';

export interface NamedBody {
  /** As the request names it; null where it names none. */
  readonly model: string | null;
  /** The body with the model under this name; null: as it is. To be called once. */
  toBody(model: string | null): Pick<PassedRequest, 'body' | 'contentLength'>;
}

/** A body of which nothing is to be read; `model` may come from elsewhere. */
export function toOpaqueBody(
  body: ReadableStream<Uint8Array> | null,
  contentLength: number | null,
  model: string | null,
): NamedBody {
  return { model, toBody: () => ({ body, contentLength }) };
}

/** Errors: 400 for what is no JSON object, or has a model that is no text. */
export function toJsonBody(bytes: Uint8Array, given: string | null): NamedBody {
  const text = decodeText(bytes);
  const model = given ?? readModel(text);
  return {
    model,
    toBody(renamed) {
      const member = renamed === null || renamed === model ? null : findMember(text, 'model');
      const body =
        member === null
          ? bytes
          : new TextEncoder().encode(
              text.slice(0, member.start) + JSON.stringify(renamed) + text.slice(member.end),
            );
      return { body, contentLength: body.byteLength };
    },
  };
}

function decodeText(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new ApiError('invalid_request', 'The request body is not well encoded: JSON is UTF-8.', { cause });
  }
}

function readModel(text: string): string | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new ApiError('invalid_request', 'We could not parse the JSON body of your request.', { cause });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw ApiError.invalidRequest('The request body must be a JSON object.');
  }
  const model = 'model' in value ? value.model : null;
  if (model === null || typeof model === 'string') return model === '' ? null : model;
  throw new ApiError('invalid_type', "Invalid type for 'model': expected a string.", { param: 'model' });
}

/** What of a form is held until the model's name is found: bytes, of one request and of all together. */
export interface HeldBytes {
  readonly requestMax: number;
  /** Takes so many; false where that would be too many at once. */
  take(bytes: number): boolean;
  giveBack(bytes: number): void;
}

export function createHeldBytes(requestMax: number, allMax: number): HeldBytes {
  let held = 0;
  return {
    requestMax,
    take(bytes) {
      if (held + bytes > allMax) return false;
      held += bytes;
      return true;
    },
    giveBack(bytes) {
      held -= bytes;
    },
  };
}

/**
 * A form, read up to its field `model`, the rest of it not before it is sent on.
 * Errors: 413 where the field does not come soon enough, 503 where too many forms are held at once, 400 for a malformed one.
 */
export async function toFormBody(
  stream: ReadableStream<Uint8Array>,
  boundary: string,
  contentLength: number | null,
  budget: HeldBytes,
): Promise<NamedBody> {
  const reader = stream.getReader();
  const scanner = createFormScanner(boundary, 'model');
  const held: Uint8Array[] = [];
  let heldBytes = 0;
  const release = (): void => {
    budget.giveBack(heldBytes);
    heldBytes = 0;
  };
  try {
    while (!scanner.isDone) {
      const { done, value } = await reader.read();
      if (done) break;
      if (heldBytes + value.byteLength > budget.requestMax) throw createTooLate(budget.requestMax);
      if (!budget.take(value.byteLength)) throw createTooMany();
      heldBytes += value.byteLength;
      held.push(value);
      scanner.push(value);
    }
  } catch (error) {
    release();
    // What is left of it is not waited for.
    reader.cancel().catch(() => undefined);
    throw error;
  }
  const { field } = scanner;
  return {
    model: field === null || field.value === '' ? null : field.value,
    toBody(renamed) {
      const isRenamed = renamed !== null && field !== null && renamed !== field.value;
      const name = isRenamed ? new TextEncoder().encode(renamed) : null;
      const pieces = name === null || field === null ? held : splice(held, field.start, field.end, name);
      const grown = name === null || field === null ? 0 : name.byteLength - (field.end - field.start);
      return {
        body: createRest(pieces, reader, release),
        contentLength: contentLength === null ? null : contentLength + grown,
      };
    },
  };
}

/** What of a reader is used; the types of Bun and of the platform differ in the rest. */
interface FormReader {
  read(): Promise<{ readonly done: boolean; readonly value?: Uint8Array | undefined }>;
  cancel(reason?: unknown): Promise<void>;
}

/** The pieces first, then what the reader still has; nothing before it is asked for. */
function createRest(
  pieces: readonly Uint8Array[],
  reader: FormReader,
  release: () => void,
): ReadableStream<Uint8Array> {
  const rest = [...pieces];
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const first = rest.shift();
        if (first !== undefined) {
          controller.enqueue(first);
          return;
        }
        release();
        const { done, value } = await reader.read();
        if (done || value === undefined) controller.close();
        else controller.enqueue(value);
      },
      async cancel(reason) {
        release();
        await reader.cancel(reason);
      },
    },
    { highWaterMark: 0 },
  );
}

function splice(
  pieces: readonly Uint8Array[],
  start: number,
  end: number,
  replacement: Uint8Array,
): readonly Uint8Array[] {
  const whole = Buffer.concat([...pieces]);
  return [whole.subarray(0, start), replacement, whole.subarray(end)];
}

function createTooLate(bytesMax: number): ApiError {
  return new ApiError(
    'request_too_large',
    `The form's field 'model' does not come within its first ${bytesMax} bytes. Send it before the file, or as '?model=…' of the URL.`,
    { param: 'model' },
  );
}

const RETRY_AFTER_MS = 1_000;

function createTooMany(): ApiError {
  return new ApiError(
    'service_unavailable',
    "Too many forms are read at once. Try again, and send the field 'model' before the file.",
    { retryAfterMs: RETRY_AFTER_MS },
  );
}
