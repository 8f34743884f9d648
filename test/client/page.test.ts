/** The page about the client library: its programs, as somebody would have them who installed the package. */

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { buildClient } from '../../scripts/build-client.mjs';
import { KEYS, type SixProviders, startSixProviders, toProvider } from './six-providers.ts';

const ROOT = resolve(import.meta.dir, '../..');
/** What the compiler is told in an ordinary project for Node.js. */
const PLAIN = {
  target: 'ES2022',
  module: 'nodenext',
  strict: true,
  noEmit: true,
  skipLibCheck: true,
  types: ['bun'],
};
const INSTALLED = ['openai', '@types', 'bun-types', 'undici-types'];

let six: SixProviders;
let folder: string;
let programs: readonly string[];

beforeAll(async () => {
  six = await startSixProviders();
  folder = await mkdtemp(join(tmpdir(), 'understudy-page-'));
  await mkdir(join(folder, 'node_modules'));
  for (const name of INSTALLED) {
    await symlink(join(ROOT, 'node_modules', name), join(folder, 'node_modules', name));
  }
  await buildClient(process.execPath, join(folder, 'node_modules', 'understudy'));
  const page = await readFile(join(ROOT, 'docs/client.md'), 'utf8');
  programs = [...page.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code]) => code ?? '');
  for (const [at, code] of programs.entries()) await writeFile(join(folder, `program-${at}.ts`), code);
  await writeFile(
    join(folder, 'tsconfig.json'),
    JSON.stringify({ compilerOptions: PLAIN, include: ['*.ts'] }),
  );
  await writeFile(join(folder, 'package.json'), JSON.stringify({ type: 'module' }));
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
  await six.close();
});

async function run(
  args: readonly string[],
  env: Record<string, string> = {},
  program = process.execPath,
): Promise<string> {
  const child = Bun.spawn([program, ...args], {
    cwd: folder,
    env: { PATH: process.env.PATH ?? '', HOME: folder, ...env },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const [code, output, errors] = await Promise.all([
    child.exited,
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  if (code !== 0) throw new Error(`${args.join(' ')} ended with ${code}:\n${output}${errors}`);
  return output;
}

describe('docs/client.md', () => {
  test('its programs compile, each alone, against the package that `npm run build:client` makes', async () => {
    expect(programs).toHaveLength(4);
    await run([join(ROOT, 'node_modules/typescript/bin/tsc'), '--noEmit', '-p', folder]);
  });

  test('its programs run with the variables that it names', async () => {
    const env = {
      UNDERSTUDY_BASE_URL: `${six.server.url}/v1`,
      GROQ_API_KEY: KEYS.groq,
      OPENAI_API_KEY: KEYS.openai,
    };
    expect(await run(['program-0.ts'], env)).toBe('Hello from the scripted upstream.');
    const [asked] = six.upstream.requestsFor('llama-3.3-70b-versatile');
    expect(toProvider(asked?.path ?? '')).toBe('groq');
    expect(asked?.headers.authorization).toBe(`Bearer ${KEYS.groq}`);
    const listed = await run(['program-2.ts'], env);
    expect(listed).toContain('2 false');
    expect(listed).toMatch(/user: ["']ada["']/);
    expect(await run(['program-3.ts'], env)).toBe('kittens\ncohere/embed-v4.0\n');
  });

  test('the package runs without Bun', async () => {
    const code =
      "import { patch, listThreads } from 'understudy/client'; console.log(typeof patch, typeof listThreads);";
    await writeFile(join(folder, 'plain.mjs'), code);
    const node = Bun.which('node');
    if (node === null) throw new Error('The tests need Node.js, which runs npm.');
    expect(await run(['plain.mjs'], {}, node)).toBe('function function\n');
  });

  test('its program with options goes to the address that stands in it', async () => {
    const place = `${six.server.url}/v1`;
    const code = programs[1]?.replace('http://127.0.0.1:8700/v1', place) ?? '';
    expect(code).toContain(place);
    await writeFile(join(folder, 'placed.ts'), code);
    expect(await run(['placed.ts'])).toBe('200\n');
  });
});
