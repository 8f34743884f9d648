/** The example's own program, examples/document-questions/server.ts, in a process of its own. */

import { resolve } from 'node:path';
import type { Step } from '../support/upstream-steps.ts';

const PROGRAM = resolve(import.meta.dir, '../../examples/document-questions/server.ts');
/** It reads nine documents before it listens. */
const START_MS = 30_000;

export interface QuestionPage {
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  /** What the program has printed. */
  output(): string;
  stop(): Promise<void>;
}

/** `env` says where the server and the model are. Errors: it does not listen, with what it printed. */
export async function startQuestionPage(env: Readonly<Record<string, string>>): Promise<QuestionPage> {
  const child = Bun.spawn([process.execPath, PROGRAM], {
    env: { PATH: process.env.PATH ?? '', PORT: '0', ...env },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), START_MS);
  let output = '';
  const listening = Promise.withResolvers<string>();
  const read = async (stream: ReadableStream<Uint8Array>): Promise<void> => {
    const decoder = new TextDecoder();
    for await (const bytes of stream) {
      output += decoder.decode(bytes, { stream: true });
      const [url] = /http:\/\/127\.0\.0\.1:\d+$/m.exec(output.slice(output.indexOf('Ask your'))) ?? [];
      if (url !== undefined && output.includes('Ask your questions at ')) listening.resolve(url);
    }
  };
  void Promise.all([read(child.stdout), read(child.stderr), child.exited]).then(() => {
    listening.reject(new Error(`The page's program has ended:\n${output}`));
  });
  const url = await listening.promise;
  clearTimeout(timer);
  return {
    url,
    output: () => output,
    async stop() {
      child.kill();
      await child.exited;
    },
  };
}

/**
 * A model's answers by what it is asked: `questions` has, for the words of a question, the turns of the answer. `cite` gives the
 * marker under which the model was shown the passage with these words, as a model reads it there.
 */
export type Answers = Readonly<
  Record<string, (cite: (words: string) => string) => readonly (readonly Step[])[]>
>;

export function toScript(answers: Answers): (body: string) => readonly (readonly Step[])[] {
  return (body) => {
    const { messages } = JSON.parse(body) as { messages: readonly ModelMessage[] };
    const question = toText(messages.findLast(({ role }) => role === 'user'));
    const found = messages.filter(({ role }) => role === 'tool').map(toText);
    const make = answers[question];
    if (make === undefined) throw new Error(`Nothing is scripted for '${question}'.`);
    return make((words) => toMarker(found.join('\n'), words));
  };
}

interface ModelMessage {
  readonly role: string;
  readonly content: string | readonly { readonly text?: string }[] | null;
}

function toText(message: ModelMessage | undefined): string {
  const content = message?.content ?? '';
  return typeof content === 'string' ? content : content.map(({ text = '' }) => text).join('');
}

/** Each result of a search stands below its marker. Before the search there is none, and nothing to cite. */
function toMarker(found: string, words: string): string {
  const at = found.indexOf(words);
  return (
    found
      .slice(0, Math.max(at, 0))
      .match(/【\d+:\d+†[^】]*】/g)
      ?.at(-1) ?? ''
  );
}
