/** The official Python client, unchanged, against the same server. */

import { afterAll, beforeAll, expect, test } from 'bun:test';
import { join } from 'node:path';
import { startServer, type TestServer } from '../support/server.ts';
import { findPython } from './python.ts';

const python = await findPython();
if (python.path === null) console.warn(`The Python client is not tried: ${python.reason}.`);

/** Seconds on a free machine; whatever hangs ends here. */
const PROGRAM_MS = 50_000;
const BEFORE_MS = 90_000;

let server: TestServer;
let output = '';

beforeAll(async () => {
  if (python.path === null) return;
  server = await startServer();
  const child = Bun.spawn([python.path, join(import.meta.dir, 'sdk.py')], {
    // The client warns at each call that OpenAI has deprecated this API.
    env: { PATH: process.env.PATH ?? '', UNDERSTUDY_URL: server.url, PYTHONWARNINGS: 'ignore' },
    stdout: 'pipe',
    stderr: 'pipe',
    timeout: PROGRAM_MS,
  });
  const [printed, errors] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  output = printed + errors;
}, BEFORE_MS);

afterAll(() => server?.stop());

const GUARANTEES = {
  polls: 'create_and_poll and submit_tool_outputs_and_poll come to their end',
  streams: 'stream and submit_tool_outputs_stream call their handlers',
  calls_handlers_in_order: 'handlers are called in the order of events, and final snapshots are what is kept',
  streams_asynchronously: 'the asynchronous client streams, polls and pages',
  leaves_early: 'a stream that is left early leaves its run going on',
  fails: 'a failing model ends the stream with a failed run',
  creates_and_runs: 'create_and_run_poll makes a thread and answers',
  sees_pictures: 'pictures by URL are kept and do not disturb a run',
  pages: 'iterators page through everything',
  errs: 'errors are typed, and name the parameter',
  changes: 'what is made can be changed, and a run cancelled',
  deletes: 'what is made can be deleted',
  chats: 'chat completions and embeddings answer',
  files: 'files of any name and bytes are sent, listed, read and deleted',
  uploads: 'a file from the disk is uploaded in parts',
  cites: 'a file that was searched is cited, at its exact place in stream and store',
};

for (const [name, guarantee] of Object.entries(GUARANTEES)) {
  test.skipIf(python.path === null)(guarantee, () => {
    expect(output).toContain(`ok ${name}\n`);
  });
}
