/** The folder of documents: read into a vector store once, and found again at the next start. */

import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import OpenAI from 'openai';

export interface Document {
  readonly name: string;
  readonly bytes: Uint8Array;
}

export interface Preparing {
  readonly folder: string;
  readonly files: readonly Document[];
  readonly model: string;
}

/** A batch of a vector store takes as many. */
const FILES_MAX = 500;
const POLL_MS = 100;
const STORE_DAYS = 30;
/** How many stores, and assistants, are looked at for the one of an earlier start, the newest first. */
const LOOKED_AT_MAX = 500;
const INSTRUCTIONS =
  'Answer questions from the documents only. Search them first, answer in a few sentences, and cite the passage after each ' +
  'statement that rests on it. Say so where the documents do not tell.';

/** Errors: there is no such folder, or nothing in it. */
export async function readFolder(folder: string): Promise<readonly Document[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const names = entries
    .filter((entry) => entry.isFile() && !entry.name.startsWith('.'))
    .map(({ name }) => name);
  if (names.length === 0) throw new Error(`There are no files in ${folder}.`);
  if (names.length > FILES_MAX) throw new Error(`${folder} has more than ${FILES_MAX} files.`);
  return Promise.all(names.sort().map(async (name) => ({ name, bytes: await readFile(join(folder, name)) })));
}

/** Answers the id of the assistant that searches the documents. A folder as it was at an earlier start is not read again. */
export async function prepareDocuments(client: OpenAI, preparing: Preparing): Promise<string> {
  const fingerprint = toFingerprint(preparing.files);
  const read = await findFirst(client.vectorStores.list({ limit: 100 }), ({ metadata, status }) => {
    return metadata?.documents === fingerprint && status !== 'expired';
  });
  if (read !== null) console.log(`${preparing.folder} has been read before.`);
  const storeId = read?.id ?? (await readIntoStore(client, preparing, fingerprint));
  const assistant = {
    name: 'Document questions',
    model: preparing.model,
    instructions: INSTRUCTIONS,
    tools: [{ type: 'file_search' as const }],
    tool_resources: { file_search: { vector_store_ids: [storeId] } },
    metadata: { store: storeId },
  };
  const earlier = await findFirst(client.beta.assistants.list({ limit: 100 }), ({ metadata }) => {
    return metadata?.store === storeId;
  });
  const { id } =
    earlier === null
      ? await client.beta.assistants.create(assistant)
      : await client.beta.assistants.update(earlier.id, assistant);
  return id;
}

/** It is marked as whole at the end only: what an interrupted start has left is not taken for the folder. */
async function readIntoStore(client: OpenAI, preparing: Preparing, fingerprint: string): Promise<string> {
  const { folder, files } = preparing;
  console.log(`Reading ${files.length} files of ${folder} …`);
  const store = await client.vectorStores.create({
    name: folder,
    expires_after: { anchor: 'last_active_at', days: STORE_DAYS },
  });
  const uploads = await Promise.all(files.map(({ name, bytes }) => OpenAI.toFile(bytes, name)));
  const batch = await client.vectorStores.fileBatches.uploadAndPoll(
    store.id,
    { files: uploads },
    { pollIntervalMs: POLL_MS },
  );
  console.log(`${batch.file_counts.completed} read, ${batch.file_counts.failed} not.`);
  for await (const file of client.vectorStores.files.list(store.id, { filter: 'failed' })) {
    const { filename } = await client.files.retrieve(file.id);
    console.log(`  ${filename}: ${file.last_error?.message}`);
  }
  await client.vectorStores.update(store.id, { metadata: { documents: fingerprint } });
  return store.id;
}

function toFingerprint(files: readonly Document[]): string {
  const hash = createHash('sha256');
  for (const { name, bytes } of files) hash.update(`${name}\n${bytes.length}\n`).update(bytes);
  return hash.digest('hex').slice(0, 32);
}

async function findFirst<T>(list: AsyncIterable<T>, isWanted: (item: T) => boolean): Promise<T | null> {
  let seen = 0;
  for await (const item of list) {
    if (isWanted(item)) return item;
    seen += 1;
    if (seen === LOOKED_AT_MAX) return null;
  }
  return null;
}
