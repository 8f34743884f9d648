/** The bytes of a file as an answer: whole, a range of them, or only what there is to say of them. */

import { ApiError, toErrorBody } from '../errors.ts';
import type { Log } from '../log.ts';
import { type FileRecord, openFile } from '../services/file-records.ts';
import { type BlobStore, PIECE_BYTES_MAX } from '../store/blob-store.ts';
import type { ByteRange } from '../store/blobs.ts';
import type { Scope } from '../store/store.ts';
import { toAttachment, toContentType } from './filenames.ts';
import type { HoldOpen } from './multipart.ts';

/** A client that takes nothing for so long is given up. */
const STALL_MS = 10 * 60_000;

/** 200 or 206; 416 where none of the bytes asked for are there. */
export async function toContentResponse(
  deps: { readonly blobs: BlobStore; readonly log: Log; readonly holdOpen: HoldOpen },
  scope: Scope,
  record: FileRecord,
  request: Request,
): Promise<Response> {
  const { bytes, filename } = record;
  const etag = `"${record.id}"`;
  const range = toRange(request, etag, bytes);
  if (range === 'none') return toUnsatisfiable(bytes);
  const asked = range ?? { start: 0, end: bytes };
  const length = asked.end - asked.start;
  const headers: Record<string, string> = {
    'content-type': toContentType(filename, record.internal.content_type),
    'content-disposition': toAttachment(filename),
    'content-length': String(length),
    'accept-ranges': 'bytes',
    etag,
    'cache-control': 'private, no-transform',
    // A browser saves it, whatever is in it: it never runs in this server's name.
    'x-content-type-options': 'nosniff',
    'content-security-policy': "default-src 'none'; sandbox",
    ...(range === null ? {} : { 'content-range': `bytes ${range.start}-${range.end - 1}/${bytes}` }),
  };
  const status = range === null ? 200 : 206;
  if (request.method === 'HEAD') return new Response(null, { status, headers });
  const stream = openFile(deps, scope, record, asked);
  // Bun frames every stream in chunks, without its length; what fits into memory easily is sent with it.
  if (length <= PIECE_BYTES_MAX) return new Response(await new Response(stream).bytes(), { status, headers });
  return new Response(toWatched(deps.log, record.id, stream, deps.holdOpen(request)), { status, headers });
}

function toUnsatisfiable(bytes: number): Response {
  const error = new ApiError('range_not_satisfiable', `The file has ${bytes} bytes, and none in this range.`);
  return Response.json(toErrorBody(error), {
    status: error.status,
    headers: { 'content-range': `bytes */${bytes}` },
  });
}

/** One range, as clients that go on with a download ask for it; null: everything. */
function toRange(request: Request, etag: string, bytes: number): ByteRange | 'none' | null {
  const header = request.headers.get('range');
  const condition = request.headers.get('if-range');
  if (header === null || (condition !== null && condition !== etag)) return null;
  // Several ranges at once, and other units, may be answered with everything.
  const [, first = '', last = ''] = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header.replaceAll(' ', '')) ?? [];
  if (first === '' && last === '') return null;
  const start = first === '' ? Math.max(bytes - Number(last), 0) : Number(first);
  const end = first === '' || last === '' ? bytes : Math.min(Number(last) + 1, bytes);
  if (first !== '' && last !== '' && Number(last) < Number(first)) return null;
  return start < end ? { start, end } : 'none';
}

/**
 * The body of the answer. The connection's own timer is off, since it would cut off whoever reads slowly: who takes
 * nothing at all is given up here. What fails breaks the connection, so that the client does not take a part for the whole.
 */
function toWatched(
  log: Log,
  fileId: string,
  stream: ReadableStream<Uint8Array>,
  release: () => void,
): ReadableStream<Uint8Array> {
  const reader = stream.getReader();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const breakOff = (controller: ReadableStreamDefaultController, cause: unknown): void => {
    log.warn('download broken off', {
      fileId,
      error: cause instanceof Error ? cause.message : String(cause),
    });
    // Without a reason: Bun would print it, and the log has it.
    controller.error();
  };
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        clearTimeout(timer);
        try {
          const { done, value } = await reader.read();
          if (done) {
            release();
            controller.close();
            return;
          }
          timer = setTimeout(() => {
            breakOff(controller, 'the client takes nothing any more');
            void reader.cancel();
          }, STALL_MS);
          controller.enqueue(value);
        } catch (error) {
          breakOff(controller, error);
        }
      },
      async cancel() {
        clearTimeout(timer);
        await reader.cancel();
      },
    },
    { highWaterMark: 0 },
  );
}
