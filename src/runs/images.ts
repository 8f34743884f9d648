/** Pictures that messages name by file: read here, and shown to the model as data URLs. */

import type { MessageObject as MessageRecord } from '../schemas/generated/messages.ts';

/**
 * Reads a file as a data URL of its picture; null where there is no such file, where it is no picture, or where it has
 * more bytes than `bytesMax`. Errors: `StoreError`.
 */
export type ReadImage = (tenant: string, fileId: string, bytesMax: number) => Promise<string | null>;

/** As OpenAI takes them. */
export const IMAGE_BYTES_MAX = 20 * 1024 * 1024;
/** Pictures that one prompt shows, the newest ones. */
export const IMAGES_MAX = 16;
/** Characters of all data URLs of a prompt together. */
const CHARACTERS_MAX = 64 * 1024 * 1024;

/** Adds the pictures of these messages to those that are known; the newest are read first. */
export async function readImages(
  readImage: ReadImage,
  tenant: string,
  messages: readonly MessageRecord[],
  known: Map<string, string | null>,
): Promise<void> {
  let characters = [...known.values()].reduce((sum, url) => sum + (url?.length ?? 0), 0);
  for (const id of toFileIds(messages)) {
    if (known.has(id)) continue;
    const hasRoom = known.size < IMAGES_MAX && characters < CHARACTERS_MAX;
    const url = hasRoom ? await readImage(tenant, id, IMAGE_BYTES_MAX) : null;
    known.set(id, url);
    characters += url?.length ?? 0;
  }
}

/** Newest first, each once. */
function toFileIds(messages: readonly MessageRecord[]): ReadonlySet<string> {
  const ids = messages
    .filter(({ role }) => role === 'user')
    .flatMap(({ content }) =>
      content.flatMap((part) => (part.type === 'image_file' ? [part.image_file.file_id] : [])),
    );
  return new Set(ids.reverse());
}
