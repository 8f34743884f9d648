/**
 * Uploads: a file that comes in parts. Every change of an upload is a compare-and-set on its record, so of several
 * that would end it exactly one does, and no part is added to one that has ended.
 */

import { toSeconds } from '../clock.ts';
import { ApiError } from '../errors.ts';
import { toLogFields } from '../log.ts';
import type { Ports } from '../ports.ts';
import type { EmbeddingModel } from '../providers/embedder.ts';
import type { OpenAIFile } from '../schemas/generated/files.ts';
import type {
  CompleteUploadRequest,
  CreateUploadRequest,
  Upload,
  UploadPart,
} from '../schemas/generated/uploads.ts';
import type { BlobStore } from '../store/blob-store.ts';
import { type Scope, StoreError, type Write } from '../store/store.ts';
import { type BlobDraft, rethrowGivenUp } from './blob-drafts.ts';
import { toExpirationDelete, toExpirationInsert } from './expirations.ts';
import { type FilePurpose, toFile } from './file-records.ts';
import { checkFilename, toFileWrites } from './files.ts';
import { removeCounted, type StoredBytesDeps } from './stored-bytes.ts';
import { checkMd5, findParts, freeParts } from './upload-parts.ts';
import {
  getPending,
  toPartScope,
  toUpload,
  toUploadPart,
  UPLOAD_BYTES_MAX,
  UPLOAD_EXPIRES_SECONDS,
  UPLOAD_PARTS_MAX,
  type UploadPartRecord,
  type UploadRecord,
} from './upload-records.ts';

type Deps = Pick<Ports, 'store' | 'clock' | 'ids' | 'log'>;
type DepsWithBlobs = Deps & StoredBytesDeps & { readonly blobs: BlobStore };

/** Parts that come at the same time change one record: each round, one of them does. */
const ATTEMPTS_MAX = 200;
const MIME_TYPE = /^[\w!#$&^.+-]{1,127}\/[\w!#$&^.+-]{1,127}(\s*;[\x20-\x7e]{0,200})?$/;
/** What files of lines are called, in the wild. */
const LINES_TYPE = /^(text|application)\/(x-)?(jsonl|ndjson|jsonlines|json-lines|json|plain|octet-stream)\b/i;
const IMAGE_TYPE = /^image\/(png|jpe?g|gif|webp)\b/i;
const TYPES: Readonly<Partial<Record<FilePurpose, RegExp>>> = Object.freeze({
  batch: LINES_TYPE,
  'fine-tune': LINES_TYPE,
  vision: IMAGE_TYPE,
});

/** `embedding` is the model that the request names; its file has it. Errors: 400. */
export async function createUpload(
  deps: Deps,
  scope: Scope,
  body: CreateUploadRequest,
  embedding: EmbeddingModel | null = null,
): Promise<Upload> {
  checkNewUpload(body);
  const createdAt = toSeconds(deps.clock.nowMs());
  const record: UploadRecord = {
    id: deps.ids.create('upload'),
    object: 'upload',
    bytes: body.bytes,
    created_at: createdAt,
    filename: body.filename,
    purpose: body.purpose,
    status: 'pending',
    expires_at: createdAt + UPLOAD_EXPIRES_SECONDS,
    internal: {
      mime_type: body.mime_type,
      expires_after: body.expires_after ?? null,
      parts: 0,
      bytes: 0,
      used: [],
      ...(embedding === null ? {} : { embedding }),
    },
  };
  await deps.store.write([
    toExpirationInsert(scope.tenant, 'upload', record.id, record.expires_at * 1000),
    { kind: 'insert', collection: 'uploads', scope, record, isFresh: true },
  ]);
  return toUpload(record, null);
}

function checkNewUpload({ filename, purpose, bytes, mime_type: mimeType }: CreateUploadRequest): void {
  checkFilename(filename, purpose, 'filename');
  if (bytes < 1 || bytes > UPLOAD_BYTES_MAX) {
    const [kind, sign, bound] =
      bytes < 1 ? ['below minimum', '>=', 1] : ['above maximum', '<=', UPLOAD_BYTES_MAX];
    throw ApiError.invalidValue(
      'bytes',
      `Invalid 'bytes': integer ${kind} value. Expected a value ${sign} ${bound}, but got ${bytes} instead.`,
    );
  }
  if (!MIME_TYPE.test(mimeType)) {
    throw ApiError.invalidValue('mime_type', "Invalid 'mime_type': expected a type such as 'text/plain'.");
  }
  if (TYPES[purpose]?.test(mimeType) === false) {
    throw ApiError.invalidValue(
      'mime_type',
      `Invalid 'mime_type': '${mimeType}' is not supported for purpose '${purpose}'.`,
    );
  }
}

/** Refuses parts early, before their bytes are read. Errors: 404; 400 where the upload is at an end or full. */
export async function checkTakesParts(deps: Deps, scope: Scope, uploadId: string): Promise<void> {
  checkRoom(uploadId, (await getPending(deps, scope, uploadId)).record, 0);
}

/** Makes a part of the bytes that have come; its id is the draft's name. Errors: as `checkTakesParts`; 400 for an empty part. */
export async function addPart(
  deps: Deps,
  scope: Scope,
  uploadId: string,
  draft: BlobDraft,
): Promise<UploadPart> {
  const { bytes } = draft.writer;
  if (bytes === 0) throw ApiError.invalidValue('data', "Invalid 'data': the part is empty.");
  await draft.writer.finish();
  const record: UploadPartRecord = {
    id: draft.blob,
    created_at: toSeconds(deps.clock.nowMs()),
    bytes,
  };
  await changePending(deps, scope, uploadId, (upload) => {
    checkRoom(uploadId, upload, bytes);
    const { internal } = upload;
    return {
      change: { internal: { ...internal, parts: internal.parts + 1, bytes: internal.bytes + bytes } },
      before: draft.toKeepWrites(),
      after: [
        {
          kind: 'insert',
          collection: 'upload_parts',
          scope: toPartScope(scope, uploadId),
          record,
          isFresh: true,
        },
      ],
    };
  }).catch(rethrowGivenUp);
  draft.keep();
  return toUploadPart(uploadId, record);
}

function checkRoom(id: string, { internal }: UploadRecord, bytes: number): void {
  if (internal.parts >= UPLOAD_PARTS_MAX) {
    throw ApiError.invalidRequest(`Upload ${id} has ${UPLOAD_PARTS_MAX} parts already.`, 'upload_id');
  }
  if (internal.bytes + bytes > UPLOAD_BYTES_MAX) {
    throw ApiError.invalidRequest(
      `The parts of upload ${id} have more than ${UPLOAD_BYTES_MAX} bytes in all.`,
      'data',
    );
  }
}

/**
 * Makes the file of the parts that are named, in this order, without copying them, and frees the others. `asked` is what the request
 * says of embedding models: the one that it names, and whether it shows that there is none. Errors: 404; 400 where the upload
 * is at an end, a part is unknown or named twice, or the bytes are not those that were declared.
 */
export async function completeUpload(
  deps: DepsWithBlobs,
  scope: Scope,
  id: string,
  body: CompleteUploadRequest,
  asked: { readonly embedding: EmbeddingModel | null; readonly showsAll: boolean } = NOTHING_ASKED,
): Promise<Upload> {
  const { record: pending } = await getPending(deps, scope, id);
  const parts = await findParts(deps, scope, id, body.part_ids);
  const bytes = parts.reduce((sum, part) => sum + part.bytes, 0);
  if (bytes !== pending.bytes) {
    throw ApiError.invalidRequest(
      `The parts of upload ${id} have ${bytes} bytes in all, but ${pending.bytes} were declared.`,
      'part_ids',
    );
  }
  if (body.md5 !== undefined) await checkMd5(deps, scope, id, parts, body.md5);
  const { internal } = pending;
  const file = toFileWrites(deps, scope, {
    id: deps.ids.create('file'),
    filename: pending.filename,
    purpose: pending.purpose,
    contentType: internal.mime_type,
    parts,
    expiresAfter: internal.expires_after ?? undefined,
    embedding: asked.embedding ?? internal.embedding ?? null,
  });
  const ended = await endUpload(deps, scope, id, 'completed', {
    used: parts.map(({ blob }) => blob),
    writes: file.writes,
    file: toFile(file.record, asked.showsAll),
  });
  return ended;
}

const NOTHING_ASKED = Object.freeze({ embedding: null, showsAll: false });

/** Errors: 404; 400 where the upload is at an end. */
export function cancelUpload(deps: DepsWithBlobs, scope: Scope, id: string): Promise<Upload> {
  return endUpload(deps, scope, id, 'cancelled', { used: [], writes: [], file: null });
}

/** Ends an upload whose time has come, and frees what one that has ended has left. Answers when to look again. */
export async function expireUpload(deps: DepsWithBlobs, tenant: string, id: string): Promise<number | null> {
  const scope: Scope = { tenant };
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    const found = await deps.store.get<UploadRecord>('uploads', scope, id);
    if (found === null) return null;
    const dueMs = found.record.expires_at * 1000;
    if (dueMs > deps.clock.nowMs()) return dueMs;
    if (found.record.status !== 'pending') {
      await freeParts(deps, scope, id, found.record.internal.used);
      return null;
    }
    await removeCounted(deps, tenant, async () => {
      const isExpired = await deps.store
        .update<UploadRecord>('uploads', scope, id, { status: 'expired' }, { ifVersion: found.version })
        .then(() => true, ignoreLostRace);
      return isExpired ? found.record.internal.bytes : 0;
    });
  }
  throw new Error(`Upload ${id} changes all the time.`);
}

interface Ending {
  readonly used: readonly string[];
  readonly writes: readonly Write[];
  readonly file: OpenAIFile | null;
}

async function endUpload(
  deps: DepsWithBlobs,
  scope: Scope,
  id: string,
  status: 'completed' | 'cancelled',
  { used, writes, file }: Ending,
): Promise<Upload> {
  const record = await changeCounted(deps, scope, id, file?.bytes ?? 0, ({ internal }) => ({
    change: { status, internal: { ...internal, used } },
    before: [],
    after: writes,
  }));
  try {
    await freeParts(deps, scope, id, used);
    await deps.store.write([toExpirationDelete(id)]);
  } catch (error) {
    // The upload has ended, whatever becomes of the rest: its expiration is the note of what is still to be freed.
    deps.log.warn('parts not freed yet', { uploadId: id, ...toLogFields(error) });
  }
  return toUpload(record, file);
}

/** Ends an upload of whose bytes so many stay. */
async function changeCounted(
  deps: DepsWithBlobs,
  scope: Scope,
  id: string,
  keptBytes: number,
  toChange: (upload: UploadRecord) => Change,
): Promise<UploadRecord> {
  let changed: UploadRecord | null = null;
  await removeCounted(deps, scope.tenant, async () => {
    changed = await changePending(deps, scope, id, toChange);
    return changed.internal.bytes - keptBytes;
  });
  if (changed === null) throw new Error(`upload ${id} was not changed`);
  return changed;
}

interface Change {
  readonly change: Partial<UploadRecord>;
  readonly before: readonly Write[];
  readonly after: readonly Write[];
}

/** Changes an upload that is pending, in one write with what belongs to it. Errors: 404, 400 as `getPending`; those of `toChange`. */
async function changePending(
  deps: Deps,
  scope: Scope,
  id: string,
  toChange: (upload: UploadRecord) => Change,
): Promise<UploadRecord> {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    const { record, version } = await getPending(deps, scope, id);
    const { change, before, after } = toChange(record);
    const isChanged = await deps.store
      .write([
        ...before,
        { kind: 'update', collection: 'uploads', scope, id, change, ifVersion: version },
        ...after,
      ])
      .then(
        () => true,
        (error: unknown) => {
          if (error instanceof StoreError && error.index === before.length) return ignoreLostRace(error);
          throw error;
        },
      );
    if (isChanged) return { ...record, ...change };
  }
  throw new ApiError('conflict', `Upload ${id} is being changed by too many requests at once. Try again.`);
}

/** False: another one was faster. */
function ignoreLostRace(error: unknown): false {
  if (error instanceof StoreError && (error.code === 'conflict' || error.code === 'not_found')) return false;
  throw error;
}
