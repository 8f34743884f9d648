/** Pictures and files of a conversation: as data, or fetched for providers that do not fetch themselves. */

import { toRecord, toText } from '../json-values.ts';
import type { Upstream } from '../outbound/upstream.ts';
import type { UpstreamAnswer } from '../outbound/upstream-answer.ts';
import { type CallOptions, type ChatMessage, ProviderError } from '../provider.ts';

export interface FileData {
  readonly mediaType: string;
  /** Base64. */
  readonly data: string;
}

/** What one picture may weigh: the smallest of the providers' own limits is 3.75 MB, the largest 20. */
export const PICTURE_BYTES_MAX = 20 * 1024 * 1024;
/** Pictures fetched for one request. */
export const PICTURES_MAX = 20;

/** `data:image/png;base64,…`; null where it is no such URL. */
export function parseDataUrl(url: string): FileData | null {
  const match = /^data:([\w.+-]+\/[\w.+-]+)(?:;[\w=.-]+)*;base64,/i.exec(url.slice(0, 200));
  const [head, mediaType] = match ?? [];
  if (head === undefined || mediaType === undefined) return null;
  return { mediaType: mediaType.toLowerCase(), data: url.slice(head.length) };
}

/**
 * Fetches the pictures that the messages name by their addresses. Throws `ProviderError` (`invalid_request`) for what is no
 * picture, is too large, or cannot be had; the signal's reason when it aborts.
 */
export async function readPictures(
  messages: readonly ChatMessage[],
  upstream: Upstream,
  call: CallOptions,
): Promise<ReadonlyMap<string, FileData>> {
  const urls = new Set(messages.flatMap(toPictureUrls));
  if (urls.size > PICTURES_MAX) {
    throw refuse(`The request names more than ${PICTURES_MAX} pictures by their addresses.`);
  }
  const read = async (url: string): Promise<[string, FileData]> => [
    url,
    await readPicture(url, upstream, call),
  ];
  return new Map(await Promise.all([...urls].map(read)));
}

function toPictureUrls({ content }: ChatMessage): string[] {
  if (!Array.isArray(content)) return [];
  return content.flatMap((part) => {
    const url = toText(toRecord(toRecord(part)?.image_url)?.url);
    return url !== null && /^https?:/i.test(url) ? [url] : [];
  });
}

async function readPicture(url: string, upstream: Upstream, call: CallOptions): Promise<FileData> {
  let answer: UpstreamAnswer;
  try {
    answer = await upstream({
      method: 'GET',
      url,
      apiKey: null,
      accept: 'image/*',
      requestId: call.requestId,
      // Whoever asks may name any host: it must be one on the internet.
      hostFromRequest: true,
      signal: call.signal,
    });
  } catch (error) {
    throw error instanceof ProviderError ? refuse(`A picture cannot be fetched: ${toReason(error)}`) : error;
  }
  try {
    return await readAnswer(answer);
  } finally {
    answer.close();
  }
}

function toReason(error: ProviderError): string {
  return error.param === 'base-url' ? 'its address is none that this server calls.' : error.message;
}

async function readAnswer(answer: UpstreamAnswer): Promise<FileData> {
  const mediaType = answer.contentType.split(';', 1)[0]?.trim().toLowerCase() ?? '';
  if (answer.status !== 200)
    throw refuse(`A picture cannot be fetched: its server answered HTTP ${answer.status}.`);
  if (!mediaType.startsWith('image/')) throw refuse('What was to be a picture is none.');
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for (let piece = await answer.read(); piece !== null; piece = await answer.read()) {
    bytes += piece.byteLength;
    if (bytes > PICTURE_BYTES_MAX) throw refuse(`A picture has more than ${PICTURE_BYTES_MAX} bytes.`);
    pieces.push(piece);
  }
  return { mediaType, data: Buffer.concat(pieces).toString('base64') };
}

function refuse(message: string): ProviderError {
  return new ProviderError('invalid_request', message, {
    status: 400,
    param: 'messages',
    code: 'invalid_image_url',
  });
}
