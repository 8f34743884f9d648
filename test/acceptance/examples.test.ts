/** The examples are the first code that a newcomer runs: they work as their comments say. */

import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { startServer } from '../support/server.ts';
import { findPython } from './python.ts';

const EXAMPLES = resolve(import.meta.dir, '../../examples');

const python = await findPython();
if (python.path === null) console.warn(`The Python example is not run: ${python.reason}.`);

let dataDirectory: string;

beforeAll(async () => {
  dataDirectory = await mkdtemp(join(tmpdir(), 'understudy-examples-'));
});

afterAll(async () => {
  await rm(dataDirectory, { recursive: true, force: true });
});

async function run(command: readonly string[], url: string): Promise<string> {
  const child = Bun.spawn([...command], {
    env: { PATH: process.env.PATH ?? '', UNDERSTUDY_URL: url },
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const [output, errors, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (code !== 0) throw new Error(`${command.join(' ')} ended with ${code}:\n${output}\n${errors}`);
  return output;
}

async function runAndResume(command: readonly string[]): Promise<void> {
  const first = await startServer({ dataDirectory });
  const output = await run(command, first.url);
  await first.stop();
  expect(output).toContain('not a language model');
  expect(output).toContain('(the assistant calls get_weather {"city":"Paris"})');
  expect(output).toContain('the run is completed');
  const [threadId = ''] = /thread_\w+/.exec(output) ?? [];
  const second = await startServer({ dataDirectory });
  const resumed = await run([...command, threadId], second.url);
  await second.stop();
  const kept = output.slice(output.indexOf('The conversation'), output.indexOf('\nIt is kept'));
  expect(resumed.trim()).toBe(kept.trim());
  expect(resumed).toContain('user: What is the weather in Paris?');
}

test('quickstart.ts streams, calls a function, and finds its conversation after a restart', async () => {
  await runAndResume([process.execPath, join(EXAMPLES, 'quickstart.ts')]);
});

test.skipIf(python.path === null)('quickstart.py does the same with the Python client', async () => {
  await runAndResume([python.path ?? '', join(EXAMPLES, 'quickstart.py')]);
});
