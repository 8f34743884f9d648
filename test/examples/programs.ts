/** The examples as a user runs them: processes of their own, with lines to read and signals to send. */

import { expect } from 'bun:test';
import { join, resolve } from 'node:path';
import { findPython } from '../acceptance/python.ts';
import { waitUntil } from '../support/server.ts';

export const EXAMPLES = resolve(import.meta.dir, '../../examples');
/** Servers and examples are processes of their own, and machines that run tests are busy. */
export const TEST_MS = 60_000;
const EXAMPLE_MS = 30_000;
const WAIT_MS = 15_000;

const python = await findPython();
if (python.path === null) console.warn(`SKIPPED: the Python examples: ${python.reason}.`);

export interface Language {
  readonly name: 'ts' | 'py';
  /** Whether this machine has it: TypeScript always, Python where its official client can be installed. */
  readonly isThere: boolean;
  /** What starts an example of this language: `toCommand('chat')`. */
  toCommand(example: string): string[];
}

export const TYPESCRIPT: Language = Object.freeze({
  name: 'ts',
  isThere: true,
  toCommand: (example: string) => [process.execPath, join(EXAMPLES, `${example}.ts`)],
});

export const LANGUAGES: readonly Language[] = Object.freeze([
  TYPESCRIPT,
  {
    name: 'py',
    isThere: python.path !== null,
    toCommand: (example) => [python.path ?? '', join(EXAMPLES, `${example}.py`)],
  },
]);

export interface ProgramOptions {
  readonly url: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Gives it a terminal of its own; output and errors are one then. */
  readonly hasTerminal?: boolean;
}

export interface Program extends AsyncDisposable {
  readonly pid: number;
  output(): string;
  errors(): string;
  /** Types a line, or a key such as `\x03`. */
  type(text: string): void;
  /** Ends the lines that it reads. */
  closeInput(): void;
  signal(name: 'SIGINT' | 'SIGTERM' | 'SIGKILL'): void;
  /** Waits until the output has this text, behind what an earlier call has found. */
  waitFor(text: string): Promise<void>;
  /** Waits for the end. Answers the exit code. */
  end(): Promise<number>;
}

export function startProgram(command: readonly string[], options: ProgramOptions): Program {
  const { url, cwd, hasTerminal = false } = options;
  const env = { PATH: process.env.PATH ?? '', TERM: 'xterm', UNDERSTUDY_URL: url, ...options.env };
  const place = { env, timeout: EXAMPLE_MS, ...(cwd === undefined ? {} : { cwd }) };
  let output = '';
  let errors = '';
  let found = 0;
  const decoder = new TextDecoder();
  const child = hasTerminal
    ? Bun.spawn([...command], {
        ...place,
        terminal: {
          data(_, bytes) {
            output += decoder.decode(bytes, { stream: true });
          },
        },
      })
    : Bun.spawn([...command], { ...place, stdin: 'pipe', stdout: 'pipe', stderr: 'pipe' });
  const reading = Promise.all([
    readText(child.stdout ?? null, (text) => {
      output += text;
    }),
    readText(child.stderr ?? null, (text) => {
      errors += text;
    }),
  ]);
  return {
    pid: child.pid,
    output: () => output,
    errors: () => errors,
    type(text) {
      if (child.terminal !== undefined) child.terminal.write(text);
      else if (typeof child.stdin === 'object' && child.stdin !== null) {
        child.stdin.write(text);
        child.stdin.flush();
      }
    },
    closeInput() {
      if (typeof child.stdin === 'object' && child.stdin !== null) child.stdin.end();
    },
    signal: (name) => child.kill(name),
    async waitFor(text) {
      try {
        await waitUntil(`the example says '${text}'`, () => output.indexOf(text, found) >= 0, WAIT_MS);
      } catch (error) {
        throw new Error(`${error instanceof Error ? error.message : error}. It said:\n${output}\n${errors}`);
      }
      found = output.indexOf(text, found) + text.length;
    },
    async end() {
      const code = await child.exited;
      await reading;
      return code;
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await child.exited;
    },
  };
}

async function readText(
  stream: ReadableStream<Uint8Array> | null,
  take: (text: string) => void,
): Promise<void> {
  const decoder = new TextDecoder();
  for await (const bytes of stream ?? []) take(decoder.decode(bytes, { stream: true }));
}

export interface Ending {
  readonly code: number;
  readonly output: string;
  readonly errors: string;
}

/** Runs it with these lines as its input. */
export async function runToEnd(
  command: readonly string[],
  options: ProgramOptions & { readonly input?: string },
): Promise<Ending> {
  await using program = startProgram(command, options);
  program.type(options.input ?? '');
  program.closeInput();
  const code = await program.end();
  return { code, output: program.output(), errors: program.errors() };
}

/** The output of a run that goes well; a newcomer is not shown warnings. */
export async function run(...args: Parameters<typeof runToEnd>): Promise<string> {
  const { code, output, errors } = await runToEnd(...args);
  expect({ code, errors }, output).toEqual({ code: 0, errors: '' });
  return output;
}
