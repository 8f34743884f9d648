/**
 * `npm run build:client`: the client library as a package of its own in `dist/client`, for programs that run without Bun too: one
 * file of JavaScript, its declarations, and a `package.json` with the entry `understudy/client`.
 */

import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runToEnd } from './setup/child.mjs';
import { prepare, ROOT, say } from './setup/install.mjs';

const FOLDER = 'dist/client';
/** What the entry's declarations are made of. */
const DECLARATIONS = ['client', 'patch', 'environment', 'edit-message', 'embedding-model', 'list-threads'];
const STEP_TIMEOUT_MS = 60_000;

/**
 * Throws where a step fails.
 * @param {string} bun
 * @param {string} folder The package's; it is made anew.
 */
export async function buildClient(bun, folder) {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const work = mkdtempSync(join(tmpdir(), 'understudy-client-build-'));
  try {
    // It imports nothing, and so runs everywhere alike.
    await run(bun, [
      'build',
      'src/client/client.ts',
      '--target=browser',
      '--format=esm',
      `--outdir=${folder}`,
    ]);
    writeFileSync(join(work, 'tsconfig.json'), JSON.stringify(toCompilerConfig(join(work, 'out'))));
    await run(bun, ['node_modules/typescript/bin/tsc', '-p', work]);
    for (const name of DECLARATIONS) copyDeclaration(join(work, 'out/client'), folder, name);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  copyFileSync(join(ROOT, 'LICENSE'), join(folder, 'LICENSE'));
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(toManifest(), null, 2)}\n`);
}

/**
 * @param {string} bun
 * @param {readonly string[]} args
 */
async function run(bun, args) {
  const code = await runToEnd(bun, args, { cwd: ROOT, timeoutMs: STEP_TIMEOUT_MS });
  if (code !== 0) throw new Error(`'${args[0]}' ended with code ${code}.`);
}

/** @param {string} outDir */
function toCompilerConfig(outDir) {
  return {
    extends: join(ROOT, 'tsconfig.json'),
    compilerOptions: {
      noEmit: false,
      declaration: true,
      emitDeclarationOnly: true,
      allowJs: false,
      checkJs: false,
      rootDir: join(ROOT, 'src'),
      outDir,
      typeRoots: [join(ROOT, 'node_modules/@types')],
    },
    files: [join(ROOT, 'src/client/client.ts')],
    include: [],
  };
}

/**
 * Declarations name each other as JavaScript, as everybody's compiler reads it. One that is not among those of the package would be
 * `any` to its users, and so is an error.
 * @param {string} from
 * @param {string} to
 * @param {string} name
 */
function copyDeclaration(from, to, name) {
  const text = readFileSync(join(from, `${name}.d.ts`), 'utf8');
  const written = text.replace(/(from\s+|import\()'(\.{1,2}\/[^']*)'/g, (_, before, path) => {
    const other = /^\.\/([\w-]+)\.ts$/.exec(path)?.[1];
    if (other === undefined || !DECLARATIONS.includes(other)) {
      throw new Error(`${name}.d.ts needs ${path}, which is no part of the package.`);
    }
    return `${before}'./${other}.js'`;
  });
  writeFileSync(join(to, `${name}.d.ts`), written);
}

function toManifest() {
  const own = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  return {
    name: own.name,
    version: own.version,
    description:
      "What programs with OpenAI's official client need to call understudy with any provider's models.",
    license: own.license,
    type: 'module',
    exports: { './client': { types: './client.d.ts', default: './client.js' } },
    sideEffects: false,
    peerDependencies: { openai: own.peerDependencies.openai },
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    await buildClient(await prepare(), resolve(ROOT, process.argv[2] ?? FOLDER));
  } catch (error) {
    say(error instanceof Error ? error.message : String(error));
    process.exit(1);
  }
}
