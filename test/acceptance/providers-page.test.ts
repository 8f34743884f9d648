/** `examples/providers.md`: each provider's three statements are run as they stand, against a scripted upstream of its protocol. */

import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { type ProtocolServer, startProtocolServer } from '../support/protocols/protocol-server.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { say } from '../support/upstream-steps.ts';

const ROOT = resolve(import.meta.dir, '../..');
const TEST_MS = 60_000;
const GREETING = 'Hello from the scripted upstream.';
/** The one address on the page that is not the server's own matter. */
const OWN_SERVER = 'http://127.0.0.1:8000/v1';

interface Section {
  readonly name: string;
  readonly code: string;
  /** As the page asks for it. */
  readonly model: string;
  /** Variables that hold secrets, a value for each. */
  readonly secrets: Readonly<Record<string, string>>;
}

const page = await readFile(join(ROOT, 'examples/providers.md'), 'utf8');
const [head = '', ...rest] = page.split(/^## /m);
const [opening = '', closing = ''] = toBlocks(head);
const sections = rest.map(toSection);

function toBlocks(text: string): string[] {
  return [...text.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, code]) => code ?? '');
}

function toSection(text: string): Section {
  const [name = ''] = text.split('\n');
  const [code = ''] = toBlocks(text);
  const model = /model: '([^']+)'/.exec(code)?.[1] ?? '';
  const names = [...code.matchAll(/process\.env\.(\w+(?:KEY_ID|KEY)\b)/g)].map(
    ([, variable]) => variable ?? '',
  );
  const secrets = Object.fromEntries(names.map((variable) => [variable, `secret-of-${variable}`]));
  return { name, code, model, secrets };
}

let folder: string;
let own: ProtocolServer;
let openAi: ScriptedUpstream;
let server: TestServer;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'understudy-providers-'));
  own = await startProtocolServer();
  openAi = await startScriptedUpstream();
  const toProvider = (url: string) => ({ 'base-url': url });
  const providers = {
    ...Object.fromEntries(
      ['anthropic', 'gemini', 'vertex_ai', 'bedrock', 'cohere', 'mistral'].map((id) => [
        id,
        toProvider(own.origin),
      ]),
    ),
    ...Object.fromEntries(
      ['openai', 'groq', 'openrouter', 'ollama'].map((id) => [id, toProvider(openAi.url)]),
    ),
  };
  const file = join(folder, 'understudy.json');
  await writeFile(file, JSON.stringify({ providers }));
  // No key is the server's: all come with the requests.
  server = await startServer({ flags: ['--config', file] });
  await mkdir(join(folder, 'node_modules'));
  await symlink(join(ROOT, 'node_modules/openai'), join(folder, 'node_modules/openai'));
  const names = new Set(sections.map(({ model }) => model.slice(model.indexOf('/') + 1)));
  for (const name of names) own.script(name, [say(GREETING)]);
});

afterAll(async () => {
  await server?.stop();
  await own?.close();
  await openAi?.close();
  await rm(folder, { recursive: true, force: true });
});

test('the page has at least ten providers, three statements each', () => {
  expect(sections.length).toBeGreaterThanOrEqual(10);
  for (const { name, code } of sections) expect([name, code.match(/^const /gm)?.length]).toEqual([name, 3]);
});

test.each(sections)(
  '$name answers to its three statements, and gets its key',
  async ({ name, code, model, secrets }) => {
    const file = join(folder, `${name.replaceAll(/\W+/g, '-')}.ts`);
    await writeFile(file, opening + code.replace(OWN_SERVER, openAi.url) + closing);
    const seenBefore = [own.requests.length, openAi.requests.length];
    const child = Bun.spawn([process.execPath, file], {
      env: {
        PATH: process.env.PATH ?? '',
        UNDERSTUDY_URL: server.url,
        AZURE_API_BASE: new URL(openAi.url).origin,
        ...secrets,
      },
      stdout: 'pipe',
      stderr: 'pipe',
      timeout: TEST_MS / 2,
    });
    const [output, errors] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    expect(errors).toBe('');
    expect(output).toStartWith('completed');
    expect(output).toContain(GREETING);
    // To its own server alone, under the name that the provider knows, with its key.
    const sent = [...own.requests.slice(seenBefore[0]), ...openAi.requests.slice(seenBefore[1])];
    expect(sent.map((request) => model.endsWith(request.model ?? '?'))).toEqual([true]);
    const headers = JSON.stringify(sent[0]?.headers);
    for (const [variable, secret] of Object.entries(secrets)) {
      // What signs a request does not travel.
      expect([variable, headers.includes(secret)]).toEqual([variable, !variable.includes('SECRET')]);
    }
  },
  TEST_MS,
);

test('none of the keys was printed by the server', () => {
  expect(server.output()).not.toContain('secret-of-');
});
