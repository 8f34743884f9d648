/**
 * Questions to documents that must not leave the machine: chat and embeddings both come from Ollama. README.md beside this file says how the
 * server is started, and how to see that nothing leaves.
 *
 *   node_modules/.bin/bun examples/ollama/ask.ts 'What does fault code HX-218 mean?'
 *
 * UNDERSTUDY_URL is the server (default http://127.0.0.1:8700), OPENAI_MODEL the model (default: the server's own default).
 */

import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import OpenAI from 'openai';

const DOCUMENT = join(import.meta.dirname, '../documents/ferry-handbook.pdf');
const question = process.argv[2] ?? 'What does fault code HX-218 mean?';
const client = new OpenAI({
  baseURL: `${process.env.UNDERSTUDY_URL ?? 'http://127.0.0.1:8700'}/v1`,
  apiKey: 'understudy',
});

// The store takes the server's embedding model with its first file.
const store = await client.vectorStores.create({ name: 'Handbook' });
const file = await client.vectorStores.files.uploadAndPoll(store.id, createReadStream(DOCUMENT), {
  pollIntervalMs: 200,
});
if (file.status !== 'completed') throw new Error(`The document was not read: ${file.last_error?.message}`);

// Says whether the embedding model took part: `hybrid` is by words and by meaning. The warning says why where it did not.
const found = await client.vectorStores
  .search(store.id, { query: question, max_num_results: 1 })
  .asResponse();
const mode = found.headers.get('x-understudy-search-mode');
console.log(
  `Search is ${mode}${mode === 'hybrid' ? '' : `: ${found.headers.get('x-understudy-search-warning')}`}.`,
);

const assistant = await client.beta.assistants.create({
  model: process.env.OPENAI_MODEL ?? 'default',
  instructions: 'Answer from the files only, in one or two sentences, and cite them.',
  tools: [{ type: 'file_search' }],
  tool_resources: { file_search: { vector_store_ids: [store.id] } },
});
const stream = client.beta.threads.createAndRunStream({
  assistant_id: assistant.id,
  thread: { messages: [{ role: 'user', content: question }] },
});
stream.on('textDelta', ({ value }) => process.stdout.write(value ?? ''));
const run = await stream.finalRun();
if (run.status !== 'completed') throw new Error(`The run is ${run.status}: ${run.last_error?.message}`);
const citations = (await stream.finalMessages()).flatMap(({ content }) =>
  content.flatMap((part) => (part.type === 'text' ? part.text.annotations : [])),
);
console.log(`\n(${run.model}, ${citations.length} citations)`);
