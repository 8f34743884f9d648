/** The examples are the first code that a newcomer runs: they work as their comments say. */

import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { startScriptedUpstream } from '../support/scripted-upstream.ts';
import { startServer } from '../support/server.ts';
import { fail } from '../support/upstream-steps.ts';
import { findPython } from './python.ts';

const EXAMPLES = resolve(import.meta.dir, '../../examples');

/** Servers and examples are processes of their own, and start one after the other. */
const TEST_MS = 60_000;
const EXAMPLE_MS = 25_000;

const python = await findPython();
if (python.path === null) console.warn(`The Python example is not run: ${python.reason}.`);

let dataDirectory: string;

beforeAll(async () => {
  dataDirectory = await mkdtemp(join(tmpdir(), 'understudy-examples-'));
});

afterAll(async () => {
  await rm(dataDirectory, { recursive: true, force: true });
});

interface Ending {
  readonly code: number;
  readonly output: string;
  readonly errors: string;
}

async function runToEnd(
  command: readonly string[],
  url: string,
  env: Readonly<Record<string, string>> = {},
): Promise<Ending> {
  const child = Bun.spawn([...command], {
    env: { PATH: process.env.PATH ?? '', UNDERSTUDY_URL: url, ...env },
    stdout: 'pipe',
    stderr: 'pipe',
    timeout: EXAMPLE_MS,
  });
  const [output, errors, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { code, output, errors };
}

async function run(...args: Parameters<typeof runToEnd>): Promise<string> {
  const { code, output, errors } = await runToEnd(...args);
  if (code !== 0) throw new Error(`${args[0].join(' ')} ended with ${code}:\n${output}\n${errors}`);
  // A newcomer is not shown warnings.
  expect(errors).toBe('');
  return output;
}

async function runAndResume(command: readonly string[]): Promise<void> {
  const first = await startServer({ dataDirectory });
  const output = await run(command, first.url);
  await first.stop();
  expect(output).toContain('The model is understudy/rehearsal.');
  expect(output).toContain('not a language model');
  expect(output).toContain('(the assistant calls get_weather {"city":"Paris"})');
  expect(output).toContain('the run is completed');
  const [threadId = ''] = /thread_\w+/.exec(output) ?? [];
  const second = await startServer({ dataDirectory });
  const resumed = await run([...command, threadId], second.url);
  await second.stop();
  const kept = output.slice(output.indexOf('The conversation'), output.indexOf('\nIt is kept'));
  expect(resumed.trim()).toBe(kept.trim());
  const roles = resumed.match(/^ {2}(?:user|assistant): /gm) ?? [];
  expect(roles.map((role) => role.trim())).toEqual(['user:', 'assistant:', 'user:', 'assistant:']);
  expect(resumed).toContain('user: What is the weather in Paris?');
  // What was streamed is what is kept.
  const streamed = output.slice(0, output.indexOf('The conversation')).match(/^assistant: .+$/gm) ?? [];
  expect(streamed).toHaveLength(2);
  for (const line of streamed) expect(resumed).toContain(`  ${line}`);
}

async function runWithUpstream(command: readonly string[]): Promise<void> {
  const upstream = await startScriptedUpstream({ models: ['first-model', 'second-model'] });
  const env = { OPENAI_BASE_URL: upstream.url };
  const server = await startServer({ env });
  try {
    const first = await run(command, server.url, env);
    expect(first).toContain('The model is first-model.');
    expect(first).toContain('assistant: Hello from the scripted upstream.');
    const failing = upstream.script('refused', [fail(400, { message: 'The model is not in the mood.' })]);
    const { code, errors } = await runToEnd(command, server.url, { ...env, OPENAI_MODEL: failing });
    expect(code).toBe(1);
    expect(errors).toContain('not in the mood');
    expect(upstream.requestsFor(failing)).toHaveLength(1);
  } finally {
    await server.stop();
    await upstream.close();
  }
}

for (const { name, command, isThere } of [
  { name: 'quickstart.ts', command: [process.execPath, join(EXAMPLES, 'quickstart.ts')], isThere: true },
  {
    name: 'quickstart.py',
    command: [python.path ?? '', join(EXAMPLES, 'quickstart.py')],
    isThere: python.path !== null,
  },
]) {
  test.skipIf(!isThere)(
    `${name} streams, calls a function, and finds its conversation after a restart`,
    () => runAndResume(command),
    TEST_MS,
  );

  test.skipIf(!isThere)(
    `${name} asks the models of OPENAI_BASE_URL, or the one of OPENAI_MODEL, and says why a run failed`,
    () => runWithUpstream(command),
    TEST_MS,
  );
}

test(
  'file-search.ts answers from a folder of mixed documents, and prints the words that each citation rests on',
  async () => {
    const server = await startServer();
    try {
      const output = await run([process.execPath, join(EXAMPLES, 'file-search.ts')], server.url);
      expect(output).toContain('9 read, 0 not.');
      for (const [name, words] of [
        ['ferry-handbook.pdf', 'HX-218 means that the cooling water is above 96 degrees'],
        ['ferry-handbook.pdf', 'she may carry 96.'],
        ['crew-meeting.docx', 'Tom Brandt orders them before the end of March.'],
        ['fares.xlsx', 'Group of up to 12 | Single: 29 | Return: 52'],
        ['wartung.md', 'sechs Hübe je Lager'],
        ['new-ferry.pptx', 'of which the county pays 40 per cent'],
      ]) {
        const note = output
          .split('\n')
          .find((line) => line.includes(`] ${name}: “`) && line.includes(words ?? ''));
        expect(note).toBeDefined();
      }
    } finally {
      await server.stop();
    }
  },
  TEST_MS,
);
