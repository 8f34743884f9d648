/**
 * Questions to a folder of documents, answered with citations that print the quoted words.
 *
 *   npm start                                          (in another terminal)
 *   node_modules/.bin/bun examples/file-search.ts      asks about the documents beside this file
 *   node_modules/.bin/bun examples/file-search.ts FOLDER 'A question?' 'Another one?'
 *
 * UNDERSTUDY_URL is the server (default http://127.0.0.1:8700). Without any model configured the built-in rehearsal model answers
 * with what it finds; with OPENAI_MODEL the model of that name. Files are searched by words, and by meaning too where the server
 * has an embedding model (`--embedding-model`).
 */

import { createReadStream, readdirSync } from 'node:fs';
import { join } from 'node:path';
import OpenAI from 'openai';

const client = new OpenAI({
  baseURL: `${process.env.UNDERSTUDY_URL ?? 'http://127.0.0.1:8700'}/v1`,
  apiKey: 'understudy',
});

const [folder = join(import.meta.dirname, 'documents'), ...given] = process.argv.slice(2);
const questions =
  given.length > 0
    ? given
    : [
        'What does fault code HX-218 mean?',
        'How many passengers may she carry from November to March?',
        'Who orders the life jackets before the end of March?',
        'What does a return ticket cost for a group of up to 12?',
        'Wie viele Hübe Fett bekommt ein Ruderlager?',
        'How many per cent of the cost does the county pay?',
      ];

async function readFolder(): Promise<string> {
  const store = await client.vectorStores.create({ name: folder });
  const files = readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ name }) => createReadStream(join(folder, name)));
  console.log(`Reading ${files.length} files of ${folder} …`);
  const batch = await client.vectorStores.fileBatches.uploadAndPoll(
    store.id,
    { files },
    { pollIntervalMs: 200 },
  );
  console.log(`${batch.file_counts.completed} read, ${batch.file_counts.failed} not.`);
  for await (const file of client.vectorStores.files.list(store.id, { filter: 'failed' })) {
    const { filename } = await client.files.retrieve(file.id);
    console.log(`  ${filename}: ${file.last_error?.message}`);
  }
  return store.id;
}

/** Prints the answer with numbers in the place of its citations, and below it the words that they point to. */
async function printAnswer(threadId: string, runId: string): Promise<void> {
  const { data } = await client.beta.threads.messages.list(threadId, { run_id: runId });
  const passages = await readPassages(threadId, runId);
  for (const part of data.flatMap((message) => message.content)) {
    if (part.type !== 'text') continue;
    let { value } = part.text;
    const notes: string[] = [];
    for (const { type, text: marker, ...annotation } of part.text.annotations) {
      if (type !== 'file_citation' || !('file_citation' in annotation)) continue;
      const { filename } = await client.files.retrieve(annotation.file_citation.file_id);
      notes.push(`${filename}: “${toQuote(passages.get(marker) ?? '', value)}”`);
      value = value.replace(marker, ` [${notes.length}]`);
    }
    console.log(value);
    for (const [index, note] of notes.entries()) console.log(`  [${index + 1}] ${note}`);
  }
}

/** What the searches of a run have found, by the markers that stand in the answer: `【4:0†report.pdf】` is the first result of the first search. */
async function readPassages(threadId: string, runId: string): Promise<ReadonlyMap<string, string>> {
  const steps = await client.beta.threads.runs.steps.list(runId, {
    thread_id: threadId,
    order: 'asc',
    include: ['step_details.tool_calls[*].file_search.results[*].content'],
  });
  const passages = new Map<string, string>();
  let search = 4;
  for (const { step_details: details } of steps.data) {
    if (details.type !== 'tool_calls') continue;
    for (const call of details.tool_calls) {
      if (call.type !== 'file_search') continue;
      for (const [index, { file_name: name, content }] of (call.file_search.results ?? []).entries()) {
        passages.set(`【${search}:${index}†${name}】`, content?.[0]?.text ?? '');
      }
      search += 1;
    }
  }
  return passages;
}

/** Of the passage, the sentence or row that has most words of the answer. */
function toQuote(passage: string, answer: string): string {
  const words = new Set(answer.toLowerCase().match(/[\p{L}\p{N}-]+/gu));
  const sentences = passage.split(/(?<=[.!?])\s+|\n/).filter((sentence) => sentence.trim() !== '');
  const count = (sentence: string): number =>
    new Set(sentence.toLowerCase().match(/[\p{L}\p{N}-]+/gu)).intersection(words).size;
  return sentences.toSorted((a, b) => count(b) - count(a))[0] ?? '';
}

const storeId = await readFolder();
const assistant = await client.beta.assistants.create({
  model: process.env.OPENAI_MODEL ?? 'understudy/rehearsal',
  instructions: 'Answer from the files only, in one or two sentences, and cite them.',
  tools: [{ type: 'file_search' }],
  tool_resources: { file_search: { vector_store_ids: [storeId] } },
});
for (const question of questions) {
  console.log(`\n> ${question}`);
  const run = await client.beta.threads.createAndRunPoll(
    { assistant_id: assistant.id, thread: { messages: [{ role: 'user', content: question }] } },
    { pollIntervalMs: 100 },
  );
  if (run.status !== 'completed') throw new Error(`The run is ${run.status}: ${run.last_error?.message}`);
  await printAnswer(run.thread_id, run.id);
}
