/**
 * A chat in the terminal that remembers: the conversation is on the server, its id in a small file.
 *
 *   npm start                                       (in another terminal)
 *   node_modules/.bin/bun examples/chat.ts          goes on where it was left, also after a restart of program or server
 *   node_modules/.bin/bun examples/chat.ts FILE     keeps the ids in FILE; ~/.understudy-chat.json unless given
 *
 * Ctrl-C stops the answer that is being written; twice, or between answers, the program. Lines may come from a pipe as well.
 * UNDERSTUDY_URL is the server (default http://127.0.0.1:8700), OPENAI_MODEL the model that answers (default: the rehearsal model).
 */

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import OpenAI from 'openai';

const HELP = '/new begins another conversation, /history prints this one, /quit ends the program.';
const ACTIVE = ['queued', 'in_progress', 'cancelling'];

const model = process.env.OPENAI_MODEL ?? 'understudy/rehearsal';
const stateFile = process.argv[2] ?? join(homedir(), '.understudy-chat.json');
const client = new OpenAI({
  baseURL: `${process.env.UNDERSTUDY_URL ?? 'http://127.0.0.1:8700'}/v1`,
  apiKey: 'understudy',
});
const { threads } = client.beta;

/** The thing that the file names; a new one where the server does not have it (any more). */
async function keepOrMake<T>(
  id: string | undefined,
  keep: (id: string) => Promise<T>,
  make: () => Promise<T>,
) {
  try {
    return id === undefined ? await make() : await keep(id);
  } catch (error) {
    if (error instanceof OpenAI.NotFoundError) return await make();
    throw error;
  }
}

/** Puts what is said into the thread and prints the answer while it is made. `onStop` is told how to stop it. */
async function answer(
  threadId: string,
  assistantId: string,
  content: string,
  onStop: (stop: () => void) => void,
) {
  // An answer that this program did not wait for, because it was killed, may still be under way: a thread has one run at a time.
  const [last] = (await threads.runs.list(threadId, { limit: 1 })).data;
  if (last && ACTIVE.includes(last.status)) await threads.runs.poll(last.id, { thread_id: threadId });

  await threads.messages.create(threadId, { role: 'user', content });
  const stream = threads.runs.stream(threadId, { assistant_id: assistantId, model });
  let isStopped = false;
  const cancel = (): void => {
    const run = stream.currentRun();
    // The run ends as `cancelled`, and with it the stream; what has been said stays in the conversation.
    if (run) threads.runs.cancel(run.id, { thread_id: threadId }).catch(() => undefined);
  };
  onStop(() => {
    // Where even the stopping takes too long.
    if (isStopped) process.exit(130);
    isStopped = true;
    cancel();
  });
  stream.on('event', ({ event }) => {
    if (event === 'thread.run.created' && isStopped) cancel();
  });
  stream.on('textDelta', ({ value }) => process.stdout.write(value ?? ''));
  const run = await stream.finalRun();
  if (run.status === 'failed') throw new Error(run.last_error?.message);
  process.stdout.write(run.status === 'completed' ? '\n' : ` (${run.status})\n`);
}

async function printHistory(threadId: string): Promise<void> {
  for await (const { role, content } of threads.messages.list(threadId, { order: 'asc', limit: 100 })) {
    const text = content.map((part) => (part.type === 'text' ? part.text.value : `[${part.type}]`)).join('');
    console.log(`${role}: ${text}`);
  }
}

async function chat(): Promise<void> {
  const state = existsSync(stateFile) ? JSON.parse(readFileSync(stateFile, 'utf8')) : {};
  const assistant = await keepOrMake(
    state.assistant_id,
    (id) => client.beta.assistants.retrieve(id),
    () => client.beta.assistants.create({ model, name: 'Chat', instructions: 'Be friendly and brief.' }),
  );
  let thread = await keepOrMake(
    state.thread_id,
    (id) => threads.retrieve(id),
    () => threads.create(),
  );
  const save = (): void =>
    writeFileSync(stateFile, JSON.stringify({ assistant_id: assistant.id, thread_id: thread.id }));
  save();
  console.log(
    `${thread.id === state.thread_id ? 'We go on with' : 'A new conversation:'} ${thread.id}. ${HELP}`,
  );

  const isTerminal = process.stdin.isTTY === true;
  const lines = createInterface({
    input: process.stdin,
    output: process.stdout,
    terminal: isTerminal,
    prompt: '> ',
  });
  let stop: (() => void) | null = null;
  const onInterrupt = (): void => (stop === null ? process.exit(0) : stop());
  // On a terminal the line editor sees Ctrl-C, else it is a signal.
  lines.on('SIGINT', onInterrupt);
  process.on('SIGINT', onInterrupt);

  if (isTerminal) lines.prompt();
  for await (const line of lines) {
    const said = line.trim();
    try {
      if (said === '/quit') break;
      else if (said === '/history') await printHistory(thread.id);
      else if (said === '/new') {
        thread = await threads.create();
        save();
        console.log(`A new conversation: ${thread.id}.`);
      } else if (said.startsWith('/')) console.log(HELP);
      else if (said !== '') {
        await answer(thread.id, assistant.id, said, (how) => {
          stop = how;
        });
      }
    } catch (error) {
      // The server is away, or the model has failed: the conversation goes on with the next line.
      console.log(`(no answer: ${error instanceof Error ? error.message : error})`);
    }
    stop = null;
    if (isTerminal) lines.prompt();
  }
  lines.close();
}

await chat();
