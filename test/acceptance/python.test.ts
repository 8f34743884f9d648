/** The official Python client, unchanged, against the same server. */

import { afterAll, beforeAll, expect, test } from 'bun:test';
import { join } from 'node:path';
import { startServer, type TestServer } from '../support/server.ts';
import { findPython } from './python.ts';

const python = await findPython();
if (python.path === null) console.warn(`The Python client is not tried: ${python.reason}.`);

let server: TestServer;
let output = '';

beforeAll(async () => {
  if (python.path === null) return;
  server = await startServer();
  const child = Bun.spawn([python.path, join(import.meta.dir, 'sdk.py')], {
    env: { PATH: process.env.PATH ?? '', UNDERSTUDY_URL: server.url },
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const [printed, errors] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  output = printed + errors;
}, 60_000);

afterAll(() => server?.stop());

const GUARANTEES = {
  polls: 'create_and_poll and submit_tool_outputs_and_poll come to their end',
  streams: 'stream and submit_tool_outputs_stream call their handlers',
  creates_and_runs: 'create_and_run_poll makes a thread and answers',
  sees_pictures: 'pictures by URL are kept and do not disturb a run',
  pages: 'iterators page through everything',
  errs: 'errors are typed',
  deletes: 'what is made can be deleted',
  chats: 'chat completions and embeddings answer',
};

for (const [name, guarantee] of Object.entries(GUARANTEES)) {
  test.skipIf(python.path === null)(guarantee, () => {
    expect(output).toContain(`ok ${name}\n`);
  });
}
