/** The Python client in clients/python, against the real server: its own tests, run by pytest, and its types. */

import { expect, test } from 'bun:test';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { PYTHON_CATALOGUE, toPythonCatalogue } from '../../scripts/clients/python-catalogue.ts';
import { OPENAI_VERSION } from '../acceptance/python.ts';
import { findPythonWith } from '../support/python-packages.ts';
import { startScriptedUpstream } from '../support/scripted-upstream.ts';
import { startServer } from '../support/server.ts';
import { callTool, say } from '../support/upstream-steps.ts';

const ROOT = resolve(import.meta.dir, '../..');
const CLIENT = join(ROOT, 'clients/python');
/** OpenAI is the sixth. */
const OTHERS = ['groq', 'deepseek', 'xai', 'openrouter', 'together_ai'];
const PROGRAM_MS = 80_000;
const TEST_MS = 100_000;

const python = await findPythonWith('openai', OPENAI_VERSION, ['pytest==9.2.0', 'mypy==2.4.1']);
if (python.path === null) console.warn(`The Python client is not tried: ${python.reason}.`);

/** Fails with all that was printed. */
async function run(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<string> {
  const child = Bun.spawn([python.path ?? '', ...args], {
    cwd: CLIENT,
    env: { PATH: process.env.PATH ?? '', PYTHONDONTWRITEBYTECODE: '1', ...env },
    stdout: 'pipe',
    stderr: 'pipe',
    timeout: PROGRAM_MS,
  });
  const [output, errors, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (code !== 0) throw new Error(`${args.join(' ')} ended with ${code}:\n${output}\n${errors}`);
  return output;
}

test('what the Python client knows of providers is what the catalogue says', async () => {
  expect(await Bun.file(join(ROOT, PYTHON_CATALOGUE)).text()).toBe(toPythonCatalogue());
});

test.skipIf(python.path === null)(
  'the types of the Python client and of programs that use it are strictly right',
  async () => {
    expect(await run(['-m', 'mypy', '--cache-dir=/dev/null', 'src', 'tests/typed_program.py'])).toContain(
      'no issues',
    );
  },
  TEST_MS,
);

test.skipIf(python.path === null)(
  'the tests of the Python client pass against this server',
  async () => {
    const upstream = await startScriptedUpstream();
    const folder = await mkdtemp(join(tmpdir(), 'understudy-python-'));
    upstream.script('python-tools', [callTool('get_weather', { city: 'Paris' })], [say('It is sunny.')]);
    const origin = new URL(upstream.url).origin;
    const providers = Object.fromEntries(OTHERS.map((id) => [id, { 'base-url': `${origin}/${id}/v1` }]));
    const config = join(folder, 'understudy.json');
    await writeFile(config, JSON.stringify({ providers }));
    // What reached the upstream, for Python to look at.
    const records = Bun.serve({
      hostname: '127.0.0.1',
      port: 0,
      fetch: () =>
        Response.json(upstream.requests.map(({ path, headers, model }) => ({ path, headers, model }))),
    });
    const server = await startServer({
      flags: ['--config', config],
      env: { OPENAI_BASE_URL: `${origin}/openai/v1` },
    });
    try {
      const output = await run(['-m', 'pytest', '-q', '-p', 'no:cacheprovider', '--strict-config'], {
        TEST_SERVER_URL: server.url,
        TEST_RECORDS_URL: String(records.url),
      });
      expect(output).toMatch(/\d+ passed/);
      expect(output).not.toMatch(/skipped|xfailed/);
    } finally {
      await server.stop();
      await records.stop(true);
      await upstream.close();
      await rm(folder, { recursive: true, force: true });
    }
  },
  TEST_MS,
);
