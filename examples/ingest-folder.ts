/**
 * Puts a folder of documents into a vector store, with a progress bar. Stop it whenever you like and run it again: it goes on where it
 * was, and later it takes what is new or changed.
 *
 *   npm start                                                               (in another terminal)
 *   node_modules/.bin/bun examples/ingest-folder.ts examples/documents
 *   node_modules/.bin/bun examples/ingest-folder.ts FOLDER vs_…             into that store; else into the one made for the folder
 *
 * Files are known by their path and SHA-256, which stand in the store as attributes (searches can filter by them). Exit code: 0 when all
 * files can be searched, 1 when some cannot, 2 when it was called wrongly. UNDERSTUDY_URL is the server (default http://127.0.0.1:8700).
 */

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, realpath, stat } from 'node:fs/promises';
import { basename, join, relative } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import OpenAI from 'openai';

const UPLOADS_AT_ONCE = 8;
/** Files of one batch: added to the store in one request. */
const BATCH_FILES = 50;
const POLL_MS = 300;
const BAR_CHARACTERS = 30;

interface LocalFile {
  readonly path: string;
  readonly name: string;
  readonly bytes: number;
  readonly sha256: string;
}

const client = new OpenAI({
  baseURL: `${process.env.UNDERSTUDY_URL ?? 'http://127.0.0.1:8700'}/v1`,
  apiKey: 'understudy',
});
const { vectorStores } = client;

async function toHash(pieces: AsyncIterable<Uint8Array>): Promise<string> {
  const hash = createHash('sha256');
  for await (const piece of pieces) hash.update(piece);
  return hash.digest('hex');
}

/** All files below the folder, but for hidden ones. */
async function readFolder(folder: string): Promise<LocalFile[]> {
  const files: LocalFile[] = [];
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const full = join(entry.parentPath, entry.name);
    const path = relative(folder, full).replaceAll('\\', '/');
    if (!entry.isFile() || path.split('/').some((part) => part.startsWith('.'))) continue;
    const sha256 = await toHash(createReadStream(full));
    files.push({ path, name: basename(path), bytes: (await stat(full)).size, sha256 });
  }
  return files.sort((a, b) => (a.path < b.path ? -1 : 1));
}

async function findStore(folder: string): Promise<string> {
  for await (const store of vectorStores.list({ limit: 100 })) {
    if (store.metadata?.folder === folder) return store.id;
  }
  return (await vectorStores.create({ name: basename(folder), metadata: { folder } })).id;
}

async function listEntries(storeId: string) {
  const entries: OpenAI.VectorStores.VectorStoreFile[] = [];
  for await (const entry of vectorStores.files.list(storeId, { limit: 100 })) entries.push(entry);
  return entries;
}

const toKey = ({ name, sha256 }: Pick<LocalFile, 'name' | 'sha256'>): string => `${name}\n${sha256}`;

/** What was uploaded, but not yet added when the program was stopped: it is not uploaded twice. Ids by name and content. */
async function findLoose(missing: readonly LocalFile[], inStore: ReadonlySet<string>) {
  const wanted = new Set(missing.map(({ name, bytes }) => `${name}\n${bytes}`));
  const loose = new Map<string, string[]>();
  for await (const { id, filename, bytes } of client.files.list({ purpose: 'assistants', limit: 1000 })) {
    if (inStore.has(id) || !wanted.has(`${filename}\n${bytes}`)) continue;
    const { body } = await client.files.content(id);
    const key = toKey({ name: filename, sha256: body === null ? '' : await toHash(body) });
    loose.set(key, [...(loose.get(key) ?? []), id]);
  }
  return loose;
}

interface Progress {
  /** Files that are in the store, or were refused. */
  added: number;
  isAdded: boolean;
  /** Why the server did not take a file, by path. */
  readonly refused: Map<string, string>;
}

/** Uploads what is missing, and adds it to the store batch by batch. */
async function addFiles(
  folder: string,
  storeId: string,
  missing: readonly LocalFile[],
  loose: ReadonlyMap<string, string[]>,
  progress: Progress,
): Promise<void> {
  let batch: { file_id: string; attributes: { path: string; sha256: string } }[] = [];
  const flush = async (): Promise<void> => {
    const files = batch;
    batch = [];
    if (files.length > 0) await vectorStores.fileBatches.create(storeId, { files });
    progress.added += files.length;
  };
  const upload = async (path: string): Promise<string> => {
    const file = createReadStream(join(folder, path));
    return (await client.files.create({ file, purpose: 'assistants' })).id;
  };
  // The workers share one iterator: each file is taken by one of them.
  const rest = missing.values();
  const work = async (): Promise<void> => {
    for (const file of rest) {
      const { path, sha256 } = file;
      try {
        const id = loose.get(toKey(file))?.pop() ?? (await upload(path));
        batch.push({ file_id: id, attributes: { path, sha256 } });
      } catch (error) {
        // A file that the server does not take (too large, say) is no reason to stop; a wrong key, or a server that is away, is.
        if (!(error instanceof OpenAI.APIError) || (error.status !== 400 && error.status !== 413))
          throw error;
        progress.refused.set(path, error.message);
        progress.added += 1;
      }
      if (batch.length >= BATCH_FILES) await flush();
    }
  };
  await Promise.all(Array.from({ length: UPLOADS_AT_ONCE }, work));
  await flush();
  progress.isAdded = true;
}

/** Shows how far it is until everything has been read: a bar on a terminal, a line for every tenth elsewhere. */
async function watch(storeId: string, total: number, progress: Progress): Promise<void> {
  let shown = '';
  for (;;) {
    const { isAdded, added } = progress;
    // The counts of the store are true at every moment, for all of its batches.
    const { in_progress: reading, failed } = (await vectorStores.retrieve(storeId)).file_counts;
    const done = Math.min(total, Math.max(0, added - reading));
    const part = total === 0 ? 1 : done / total;
    const filled = Math.floor(part * BAR_CHARACTERS);
    const bar = '█'.repeat(filled) + '░'.repeat(BAR_CHARACTERS - filled);
    const figures = `${done} of ${total} files, ${failed + progress.refused.size} failed`;
    if (process.stdout.isTTY) process.stdout.write(`\r${bar} ${figures} `);
    else if (shown !== `${Math.floor(part * 10)}`) console.log(figures);
    shown = `${Math.floor(part * 10)}`;
    if (isAdded && reading === 0) break;
    await setTimeout(POLL_MS);
  }
  if (process.stdout.isTTY) process.stdout.write('\n');
}

/** Answers whether every file can be searched. */
async function ingest(folder: string, storeId: string): Promise<boolean> {
  const files = await readFolder(folder);
  const before = await listEntries(storeId);
  // Only what the server itself failed at may go better the next time.
  const again = before.filter(({ last_error: error }) => error?.code === 'server_error');
  for (const { id } of again) await vectorStores.files.delete(id, { vector_store_id: storeId });
  const kept = before.filter((entry) => !again.includes(entry));
  const there = new Set(kept.map(({ attributes }) => `${attributes?.path}\n${attributes?.sha256}`));
  const missing = files.filter(({ path, sha256 }) => !there.has(`${path}\n${sha256}`));
  console.log(`${files.length} files, ${missing.length} of them new or changed.`);

  const loose = await findLoose(missing, new Set(kept.map(({ id }) => id)));
  const progress: Progress = { added: files.length - missing.length, isAdded: false, refused: new Map() };
  await Promise.all([
    addFiles(folder, storeId, missing, loose, progress),
    watch(storeId, files.length, progress),
  ]);

  const hashes = new Map(files.map(({ path, sha256 }) => [path, sha256]));
  const failures = progress.refused;
  for (const { id, attributes, last_error: error } of await listEntries(storeId)) {
    const path = String(attributes?.path);
    const isCurrent = hashes.get(path) === attributes?.sha256;
    if (isCurrent && error !== null) failures.set(path, error.message);
    // What a changed file said before is found no longer.
    if (!isCurrent && hashes.has(path)) await vectorStores.files.delete(id, { vector_store_id: storeId });
  }
  for (const [path, reason] of failures) console.log(`  ${path}: ${reason}`);
  return failures.size === 0;
}

const [given, givenStore, ...others] = process.argv.slice(2);
if (given === undefined || others.length > 0) {
  console.error('Usage: ingest-folder.ts FOLDER [VECTOR_STORE_ID]');
  process.exit(2);
}
const folder = await realpath(given);
const storeId = givenStore ?? (await findStore(folder));
console.log(`The vector store is ${storeId}.`);
const isComplete = await ingest(folder, storeId).catch((error: unknown) => {
  console.error(
    `\nStopped: ${error instanceof Error ? error.message : error}. Run it again, and it goes on from there.`,
  );
  return false;
});
process.exit(isComplete ? 0 : 1);
