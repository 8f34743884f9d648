/** A server with an embedding model, and what tests of retrieval do again and again. */

import type OpenAI from 'openai';
import { type ScriptedEmbedder, startScriptedEmbedder } from '../support/scripted-embedder.ts';
import { type ServerOptions, startServer, type TestServer, waitUntil } from '../support/server.ts';

export interface Retrieval {
  readonly server: TestServer;
  readonly embedder: ScriptedEmbedder;
  readonly client: OpenAI;
  close(): Promise<void>;
}

/** The embedder is the only upstream; every new vector store gets its model. */
export async function startRetrieval(
  options: ServerOptions = {},
  embedder: ScriptedEmbedder = startScriptedEmbedder(),
): Promise<Retrieval> {
  const server = await startServer({
    ...options,
    flags: ['--embedding-model', 'scripted-embedding', ...(options.flags ?? [])],
    env: { OPENAI_BASE_URL: embedder.url, OPENAI_API_KEY: 'sk-operator', ...options.env },
  });
  return {
    server,
    embedder,
    client: server.client(),
    async close() {
      await server.stop();
      await embedder.close();
    },
  };
}

export async function upload(client: OpenAI, name: string, text: string | Uint8Array): Promise<string> {
  const bytes = typeof text === 'string' ? text : new Uint8Array(text);
  const file = await client.files.create({ file: new File([bytes], name), purpose: 'assistants' });
  return file.id;
}

/** A vector store with these documents in it, read. */
export async function makeStore(
  client: OpenAI,
  documents: Readonly<Record<string, string>>,
): Promise<{ id: string; files: Readonly<Record<string, string>> }> {
  const store = await client.vectorStores.create({ name: 'test' });
  const files: Record<string, string> = {};
  for (const [name, text] of Object.entries(documents)) files[name] = await upload(client, name, text);
  if (Object.keys(files).length > 0) {
    await client.vectorStores.fileBatches.createAndPoll(
      store.id,
      { file_ids: Object.values(files) },
      { pollIntervalMs: 20 },
    );
  }
  return { id: store.id, files };
}

/** Waits until no file of the store is being read. */
export async function waitForStore(
  client: OpenAI,
  storeId: string,
  withinMs = 20_000,
): Promise<OpenAI.VectorStore> {
  let store = await client.vectorStores.retrieve(storeId);
  await waitUntil(
    `vector store ${storeId} is read`,
    async () => {
      store = await client.vectorStores.retrieve(storeId);
      return store.file_counts.in_progress === 0;
    },
    withinMs,
  );
  return store;
}

/** The text of the results, best first. */
export async function search(
  client: OpenAI,
  storeId: string,
  body: OpenAI.VectorStoreSearchParams,
): Promise<readonly OpenAI.VectorStoreSearchResponse[]> {
  const page = await client.vectorStores.search(storeId, body);
  return page.data;
}
