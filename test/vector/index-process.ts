/** Children of the tests, which never outlive them. */

import { join } from 'node:path';

export interface IndexChild {
  /** Lines of stdout, as they come. */
  readonly lines: AsyncIterableIterator<string>;
  /** The next line. Errors: the child has ended. */
  readLine(): Promise<string>;
  endInput(): void;
  kill(): void;
  /** Resolves with the exit code and what stderr held. */
  wait(): Promise<{ exitCode: number | null; errors: string }>;
}

const CHILD_LIFE_MAX_MS = 60_000;

/** Starts a task of `index-child.ts`. */
export function startIndexChild(...task: readonly string[]): IndexChild {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, 'index-child.ts'), ...task], {
    stdin: 'pipe',
    stdout: 'pipe',
    stderr: 'pipe',
    timeout: CHILD_LIFE_MAX_MS,
    killSignal: 'SIGKILL',
  });
  const errors = new Response(child.stderr).text();
  const lines = readLines(child.stdout);
  return {
    lines,
    async readLine() {
      const { value, done } = await lines.next();
      if (done === true) throw new Error(`The child has ended: ${await errors}`);
      return value;
    },
    endInput: () => void child.stdin.end(),
    kill: () => child.kill('SIGKILL'),
    async wait() {
      await child.exited;
      return { exitCode: child.exitCode, errors: await errors };
    },
  };
}

async function* readLines(stream: ReadableStream<Uint8Array>): AsyncIterableIterator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of stream) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = parts.pop() ?? '';
    yield* parts;
  }
}
