/** Files: what may be one, how long it stays, and how it goes with everything of it. */

import { toSeconds } from '../clock.ts';
import { ApiError } from '../errors.ts';
import { type Log, toLogFields } from '../log.ts';
import type { Ports } from '../ports.ts';
import type { EmbeddingModel } from '../providers/embedder.ts';
import type {
  CreateFileRequest,
  DeleteFileResponse,
  FileExpirationAfter,
} from '../schemas/generated/files.ts';
import type { BlobStore } from '../store/blob-store.ts';
import type { BlobPart } from '../store/blobs.ts';
import {
  PAGE_LIMIT_MAX,
  type Page,
  type PageRequest,
  type Scope,
  StoreError,
  type Versioned,
  type Write,
} from '../store/store.ts';
import {
  type BlobDraft,
  type DetachFile,
  removeLooseBlobs,
  rethrowGivenUp,
  toFileNote,
  toNoteInsert,
} from './blob-drafts.ts';
import { toExpirationDelete, toExpirationInsert } from './expirations.ts';
import {
  type FilePurpose,
  type FileRecord,
  getFile,
  isExpired,
  toFileScope,
  toNoSuchFile,
} from './file-records.ts';
import { readPage } from './lists.ts';
import { removeCounted, type StoredBytesDeps } from './stored-bytes.ts';

export const FILENAME_CHARACTERS_MAX = 1024;
/** As at OpenAI: what a batch reads is kept for 30 days unless the request says otherwise. */
const BATCH_EXPIRES_SECONDS = 30 * 24 * 60 * 60;
const LINES_PURPOSES: Readonly<Partial<Record<FilePurpose, string>>> = Object.freeze({
  'fine-tune': 'Fine-Tuning',
  batch: 'Batch',
});

type Deps = Pick<Ports, 'store' | 'clock'>;

/** What a new file is, besides its bytes. */
export interface NewFile {
  readonly id: string;
  readonly filename: string;
  readonly purpose: FilePurpose;
  readonly contentType: string | null;
  readonly parts: readonly BlobPart[];
  readonly expiresAfter: FileExpirationAfter | undefined;
  /** The model that the request named. */
  readonly embedding: EmbeddingModel | null;
}

/** Errors: 400 for a name that the purpose does not allow. */
export function checkFilename(filename: string, purpose: FilePurpose, param: string): void {
  if (filename === '') throw ApiError.invalidValue(param, `Invalid '${param}': the file has no name.`);
  if (filename.length > FILENAME_CHARACTERS_MAX) {
    throw ApiError.invalidValue(
      param,
      `Invalid '${param}': a file's name has at most ${FILENAME_CHARACTERS_MAX} characters, not ${filename.length}.`,
    );
  }
  const api = LINES_PURPOSES[purpose];
  if (api !== undefined && !filename.toLowerCase().endsWith('.jsonl')) {
    throw ApiError.invalidValue(param, `Invalid file format for ${api} API. Must be .jsonl`);
  }
}

/** The record and the writes that make it visible. */
export function toFileWrites(
  deps: Pick<Deps, 'clock'>,
  scope: Scope,
  given: NewFile,
): { readonly record: FileRecord; readonly writes: Write[] } {
  const createdAt = toSeconds(deps.clock.nowMs());
  const seconds = given.expiresAfter?.seconds ?? (given.purpose === 'batch' ? BATCH_EXPIRES_SECONDS : null);
  const record: FileRecord = {
    id: given.id,
    object: 'file',
    bytes: given.parts.reduce((sum, { bytes }) => sum + bytes, 0),
    created_at: createdAt,
    ...(seconds === null ? {} : { expires_at: createdAt + seconds }),
    filename: given.filename,
    purpose: given.purpose,
    status: 'processed',
    internal: {
      parts: given.parts,
      content_type: given.contentType,
      ...(given.embedding === null ? {} : { embedding: given.embedding }),
    },
  };
  const insert: Write = {
    kind: 'insert',
    collection: 'files',
    scope: toFileScope(scope),
    record,
    isFresh: true,
  };
  if (record.expires_at === undefined) return { record, writes: [insert] };
  const expiration = toExpirationInsert(scope.tenant, 'file', record.id, record.expires_at * 1000);
  return { record, writes: [expiration, insert] };
}

/** Makes a file of the bytes that have come; its id is the draft's name. Errors: 400. */
export async function createFile(
  deps: Deps,
  scope: Scope,
  draft: BlobDraft,
  sent: {
    readonly filename: string;
    readonly contentType: string | null;
    /** The model that the request named; absent: none. */
    readonly embedding?: EmbeddingModel | null;
  },
  body: CreateFileRequest,
): Promise<FileRecord> {
  checkFilename(sent.filename, body.purpose, 'file');
  if (draft.writer.bytes === 0) throw ApiError.invalidValue('file', "Invalid 'file': the file is empty.");
  await draft.writer.finish();
  const { record, writes } = toFileWrites(deps, scope, {
    id: draft.blob,
    filename: sent.filename,
    purpose: body.purpose,
    contentType: sent.contentType,
    parts: [{ blob: draft.blob, bytes: draft.writer.bytes }],
    expiresAfter: body.expires_after,
    embedding: sent.embedding ?? null,
  });
  await deps.store.write([...draft.toKeepWrites(), ...writes]).catch(rethrowGivenUp);
  draft.keep();
  return record;
}

/** `page.limit` may be larger than a page of the store. What has expired is not shown. Errors: 400 for an unknown cursor. */
export async function listFiles(
  deps: Deps,
  scope: Scope,
  page: PageRequest,
  purpose: string | null,
): Promise<Page<FileRecord>> {
  const where = purpose === null ? undefined : { fields: { purpose } };
  const items: Versioned<FileRecord>[] = [];
  let rest = page;
  // Each round takes a page further; one more than asked for tells whether there is more.
  for (;;) {
    const limit = Math.min(page.limit + 1 - items.length, PAGE_LIMIT_MAX);
    const found = await readPage(page, () =>
      deps.store.list<FileRecord>('files', toFileScope(scope), { ...rest, limit }, where),
    );
    items.push(...found.items.filter(({ record }) => !isExpired(deps, record)));
    const last = found.items.at(-1)?.record.id;
    if (!found.hasMore || last === undefined || items.length > page.limit) break;
    rest = { ...page, after: last };
  }
  return { items: items.slice(0, page.limit), hasMore: items.length > page.limit };
}

export interface DeleteDeps extends Deps, StoredBytesDeps {
  readonly log: Log;
  readonly blobs: BlobStore;
  readonly detachFile: DetachFile;
}

/** Removes the file at once, then takes it out of its vector stores and frees its bytes. Errors: 404. */
export async function deleteFile(deps: DeleteDeps, scope: Scope, id: string): Promise<DeleteFileResponse> {
  const record = await getFile(deps, scope, id);
  if (!(await removeFile(deps, scope, record))) throw toNoSuchFile(id);
  return { id, object: 'file', deleted: true };
}

/** Ends a file whose time has come. */
export async function expireFile(deps: DeleteDeps, tenant: string, id: string): Promise<null> {
  const scope: Scope = { tenant };
  const found = await deps.store.get<FileRecord>('files', scope, id);
  if (found !== null) await removeFile(deps, scope, found.record);
  return null;
}

/**
 * False where another one was faster. The note of what is left to do is written with the removal, so that a crash in
 * between leaves neither bytes nor vector stores that hold them.
 */
async function removeFile(deps: DeleteDeps, scope: Scope, record: FileRecord): Promise<boolean> {
  let isRemoved = false;
  await removeCounted(deps, scope.tenant, async () => {
    isRemoved = await removeRecord(deps, scope, record);
    return isRemoved ? record.bytes : 0;
  });
  return isRemoved;
}

async function removeRecord(deps: DeleteDeps, scope: Scope, record: FileRecord): Promise<boolean> {
  const { id } = record;
  const note = toFileNote(
    scope.tenant,
    id,
    record.internal.parts.map(({ blob }) => blob),
  );
  try {
    await deps.store.write([
      { kind: 'require', collection: 'files', scope: toFileScope(scope), id },
      toNoteInsert(note),
      toExpirationDelete(id),
      { kind: 'delete', collection: 'files', scope: toFileScope(scope), id },
    ]);
  } catch (error) {
    if (error instanceof StoreError && (error.code === 'not_found' || error.code === 'conflict'))
      return false;
    throw error;
  }
  try {
    await removeLooseBlobs(deps, note);
  } catch (error) {
    // The file is gone, whatever becomes of the rest: the note is there for the sweep.
    deps.log.warn('bytes not removed yet', { fileId: id, ...toLogFields(error) });
  }
  return true;
}
