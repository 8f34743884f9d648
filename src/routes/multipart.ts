/**
 * Forms with a file (`multipart/form-data`), whose bytes go on to the blob store as they come. The next bytes are
 * read from the connection only when the store has taken those before, so a form of any size needs a few pieces of
 * memory.
 */

import { Busboy, type BusboyInstance } from '@fastify/busboy';
import { ApiError } from '../errors.ts';
import type { BlobDraft, BlobDrafts } from '../services/blob-drafts.ts';
import type { StoredBytes } from '../services/stored-bytes.ts';
import type { BlobWriter } from '../store/blobs.ts';
import { toFilename } from './filenames.ts';

/** A connection on which nothing comes for so long is given up. */
const STALL_MS = 120_000;
/** What may stand in a form beside the file. */
const FIELDS_MAX = 32;
const FIELD_BYTES_MAX = 64 * 1024;
const PARTS_MAX = 64;
const HEADER_BYTES_MAX = 16 * 1024;
/** Boundaries, headers and fields. */
const FORM_BYTES_MAX = 4 * 1024 * 1024;

/** Switches the idle timer of a request's connection off; what it answers switches it on again. */
export type HoldOpen = (request: Request) => () => void;

export interface FormDeps {
  readonly drafts: BlobDrafts;
  readonly holdOpen: HoldOpen;
  /** Absent: nobody counts. */
  readonly storedBytes?: StoredBytes;
}

export interface FormOptions {
  readonly tenant: string;
  /** The name of the blob that the file becomes. */
  readonly blob: string;
  readonly fileField: string;
  readonly fileBytesMax: number;
}

export interface SentFile {
  /** Without folders; empty where the form names none. */
  readonly filename: string;
  /** Without parameters; null where it says no more than "bytes". */
  readonly contentType: string | null;
}

export interface ReceivedForm {
  readonly file: SentFile;
  /** The other fields, `a[b]` as a property of `a`, with a mark in the place of the file: fit for checking. */
  readonly body: Readonly<Record<string, unknown>>;
}

/**
 * Reads the form and hands it to `use` with the draft of the file, which `use` keeps; where anything fails, the bytes
 * are removed. Errors: 400, 413, 415; those of `use` and of the store.
 */
export async function receiveForm<T>(
  deps: FormDeps,
  request: Request,
  options: FormOptions,
  use: (form: ReceivedForm, draft: BlobDraft) => Promise<T>,
): Promise<T> {
  const contentType = checkHeaders(request, options);
  const room = await deps.storedBytes?.begin(options.tenant, toBytesMin(request));
  let added = 0;
  try {
    return await receiveBytes(deps, request, options, contentType, {
      ensure: (bytes) => room?.ensure(bytes),
      async use(form, draft) {
        const made = await use(form, draft);
        added = draft.writer.bytes;
        return made;
      },
    });
  } finally {
    await room?.end(added);
  }
}

/** What stands around the file in a form that holds no other field of any length. */
const FRAME_BYTES = 2_048;

/** What the file has at least, as far as the request says: a chunked one does not. */
function toBytesMin(request: Request): number {
  const length = Number(request.headers.get('content-length') ?? 0);
  return Number.isSafeInteger(length) ? Math.max(0, length - FRAME_BYTES) : 0;
}

interface Receiver<T> {
  /** Whether there is room for so many bytes of the file. */
  readonly ensure: (bytes: number) => Promise<void> | undefined;
  readonly use: (form: ReceivedForm, draft: BlobDraft) => Promise<T>;
}

async function receiveBytes<T>(
  deps: FormDeps,
  request: Request,
  options: FormOptions,
  contentType: string,
  { ensure, use }: Receiver<T>,
): Promise<T> {
  const draft = await deps.drafts.begin(options.tenant, options.blob);
  // The server's own timer runs on while bytes come slowly; here it is seen whether any come.
  const release = deps.holdOpen(request);
  try {
    const parser = createFormParser(contentType, options, draft.writer);
    await readBody(request, options, async (chunk) => {
      await parser.write(chunk);
      await ensure(draft.writer.bytes);
      await draft.writer.drain();
    });
    return await use(await parser.end(), draft);
  } catch (error) {
    await draft.discard();
    throw error;
  } finally {
    release();
  }
}

function checkHeaders(request: Request, options: FormOptions): string {
  const contentType = request.headers.get('content-type') ?? '';
  if (!/^multipart\/form-data\b/i.test(contentType)) {
    throw new ApiError(
      'unsupported_media_type',
      `Unsupported content type: '${contentType.slice(0, 100)}'. This endpoint takes 'multipart/form-data'.`,
    );
  }
  if (Number(request.headers.get('content-length') ?? 0) > options.fileBytesMax + FORM_BYTES_MAX) {
    throw toTooLarge(options);
  }
  return contentType;
}

async function readBody(
  request: Request,
  options: FormOptions,
  take: (chunk: Uint8Array) => Promise<void>,
): Promise<void> {
  if (request.body === null) return;
  const reader = request.body.getReader();
  let bytes = 0;
  for (;;) {
    const chunk = await readInTime(reader);
    if (chunk === null) return;
    bytes += chunk.byteLength;
    if (bytes > options.fileBytesMax + FORM_BYTES_MAX) throw toTooLarge(options);
    await take(chunk);
  }
}

interface Reader {
  read(): Promise<{ done: boolean; value?: Uint8Array | undefined }>;
}

/** Null at the end. Errors: 400 where the client has gone or says nothing any more; nobody may read that answer. */
async function readInTime(reader: Reader): Promise<Uint8Array | null> {
  const { promise: stalled, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error('nothing came in time')), STALL_MS);
  try {
    const { done, value } = await Promise.race([reader.read(), stalled]);
    return done ? null : (value ?? new Uint8Array());
  } catch (cause) {
    throw new ApiError('invalid_request', 'The request body ended before it was complete.', { cause });
  } finally {
    clearTimeout(timer);
  }
}

interface FormParser {
  /** Resolves when the bytes are taken in. Errors: 400, 413. */
  write(chunk: Uint8Array): Promise<void>;
  /** Errors: 400 for a form that is not complete. */
  end(): Promise<ReceivedForm>;
}

function createFormParser(contentType: string, options: FormOptions, writer: BlobWriter): FormParser {
  const parser = createBusboy(contentType);
  const content = collectContent(parser, options, writer);
  return {
    async write(chunk) {
      const { promise, resolve } = Promise.withResolvers<void>();
      parser.write(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength), () => resolve());
      await promise;
      content.check();
    },
    async end() {
      const { promise, resolve } = Promise.withResolvers<void>();
      for (const event of ['finish', 'error', 'close'] as const) parser.on(event, () => resolve());
      parser.end();
      await promise;
      content.check();
      return toReceived(options.fileField, content.file, content.fields);
    },
  };
}

interface FormContent {
  readonly file: SentFile | null;
  readonly fields: ReadonlyMap<string, string>;
  /** Errors: what was wrong with the form so far. Nothing may be thrown where the parser calls. */
  check(): void;
}

/** Takes in what the parser finds: it has all been taken in when the parser has taken the bytes. */
function collectContent(parser: BusboyInstance, options: FormOptions, writer: BlobWriter): FormContent {
  const { fileField, fileBytesMax } = options;
  const fields = new Map<string, string>();
  let file: SentFile | null = null;
  let failure: ApiError | null = null;
  const fail = (error: ApiError): void => {
    failure ??= error;
  };

  parser.on('file', (name, stream, filename, _encoding, type) => {
    stream.on('error', (cause) => fail(toBadForm(cause)));
    if (name !== fileField || file !== null) {
      // What nobody asked for is passed over.
      stream.resume();
      if (name === fileField) fail(toSeveralFiles(fileField));
      return;
    }
    file = {
      filename: toFilename(filename ?? ''),
      contentType: type === 'application/octet-stream' ? null : type,
    };
    stream.on('data', (chunk: Uint8Array) => {
      if (writer.bytes + chunk.byteLength > fileBytesMax) fail(toTooLarge(options));
      else if (failure === null) writer.append(chunk);
    });
  });
  parser.on('field', (name, value, _isNameCut, isCut) => {
    if (isCut) fail(ApiError.invalidValue(name, `Invalid '${name}': more than ${FIELD_BYTES_MAX} bytes.`));
    else if (name !== undefined) fields.set(name, value);
  });
  for (const event of ['partsLimit', 'fieldsLimit'] as const) {
    parser.on(event, () => fail(ApiError.invalidRequest(`The form has more than ${FIELDS_MAX} fields.`)));
  }
  parser.on('error', (cause) => fail(toBadForm(cause)));
  return {
    get file() {
      return file;
    },
    fields,
    check() {
      if (failure !== null) throw failure;
    },
  };
}

function createBusboy(contentType: string): BusboyInstance {
  try {
    return new Busboy({
      headers: { 'content-type': contentType },
      limits: {
        fieldSize: FIELD_BYTES_MAX,
        fields: FIELDS_MAX,
        parts: PARTS_MAX,
        headerSize: HEADER_BYTES_MAX,
      },
    });
  } catch (cause) {
    throw new ApiError(
      'invalid_request',
      "Could not parse multipart form: the content type names no 'boundary'.",
      { cause },
    );
  }
}

function toReceived(
  fileField: string,
  file: SentFile | null,
  fields: ReadonlyMap<string, string>,
): ReceivedForm {
  if (file === null) {
    throw fields.has(fileField)
      ? new ApiError(
          'invalid_type',
          `Invalid type for '${fileField}': expected a file, but got a string instead.`,
          { param: fileField },
        )
      : new ApiError('missing_required_parameter', `Missing required parameter: '${fileField}'.`, {
          param: fileField,
        });
  }
  return { file, body: { ...toNested(fields), [fileField]: 'bytes' } };
}

/** `a[b]=c` is `{ a: { b: c } }`. Whole numbers are numbers where they stand inside of another field. */
function toNested(fields: ReadonlyMap<string, string>): Record<string, unknown> {
  const body = new Map<string, unknown>();
  const inner = new Map<string, Map<string, unknown>>();
  for (const [name, value] of fields) {
    const [, outer, key] = /^(\w+)\[(\w+)\]$/.exec(name) ?? [];
    if (outer === undefined || key === undefined) {
      body.set(name, value);
      continue;
    }
    const members = inner.get(outer) ?? new Map<string, unknown>();
    inner.set(outer, members.set(key, /^-?\d{1,15}$/.test(value) ? Number(value) : value));
  }
  for (const [name, members] of inner) body.set(name, Object.fromEntries(members));
  return Object.fromEntries(body);
}

function toBadForm(cause: unknown): ApiError {
  return new ApiError(
    'invalid_request',
    'Could not parse multipart form: it ends too early, or is not well formed.',
    { cause },
  );
}

function toSeveralFiles(fileField: string): ApiError {
  return ApiError.invalidValue(fileField, `Invalid '${fileField}': expected one file, but got several.`);
}

function toTooLarge({ fileField, fileBytesMax }: FormOptions): ApiError {
  return new ApiError('request_too_large', `The file is larger than ${fileBytesMax} bytes.`, {
    param: fileField,
  });
}
