/**
 * What Bun's bundler puts into the executable. Run as a program it prints that as JSON: a bundle is made asynchronously, and a macro, which
 * wants to know it, is run within another one.
 */

import { spawnSync } from 'node:child_process';
import { join, relative, resolve } from 'node:path';
import type { BunPlugin } from 'bun';
import { ENTRY_POINTS } from '../build.mjs';

const ROOT = resolve(import.meta.dir, '../..');
const BUNDLE_MS = 60_000;
const OUTPUT_BYTES_MAX = 16 * 1024 * 1024;
/** Modules that are made by macros. What those import is not in the bundle, and one of them asks for this list. */
const MACRO_MODULES = /src[\\/](?:licenses[\\/]bundled|routes[\\/]site-assets)\.ts$/;

/** Paths of files, from the project's folder, with slashes, sorted: those that some of is in the bundle. */
export function listBundleInputs(): string[] {
  const { status, stdout, stderr, error } = spawnSync(process.execPath, [import.meta.path], {
    cwd: ROOT,
    encoding: 'utf8',
    timeout: BUNDLE_MS,
    maxBuffer: OUTPUT_BYTES_MAX,
  });
  if (status !== 0) throw new Error(`The bundle cannot be listed: ${error?.message ?? stderr.trim()}`);
  return JSON.parse(stdout) as string[];
}

/** Minified as the executable is: what is left out there is left out here. */
export async function bundleInputs(root: string, entryPoints: readonly string[]): Promise<string[]> {
  const { metafile, outputs } = await Bun.build({
    entrypoints: entryPoints.map((path) => join(root, path)),
    root,
    target: 'bun',
    splitting: true,
    minify: { syntax: true, whitespace: true },
    metafile: true,
    plugins: [skipMacros()],
  });
  if (metafile === undefined) throw new Error(`Bun has made ${outputs.length} files and no list of inputs.`);
  const used = new Set<string>();
  for (const output of Object.values(metafile.outputs)) {
    for (const [path, { bytesInOutput }] of Object.entries(output.inputs)) {
      if (bytesInOutput > 0) used.add(path);
    }
  }
  // A file that is embedded as it is has no part in an output: the bundle has its name alone.
  for (const path of Object.keys(metafile.inputs)) {
    if (!/\.(?:[cm]?[jt]sx?|json)$/.test(path)) used.add(path);
  }
  return [...used].map((path) => toProjectPath(relative(root, resolve(path)))).sort();
}

function skipMacros(): BunPlugin {
  return {
    name: 'skip-macros',
    setup(build) {
      // Of CommonJS the bundler does not ask beforehand what it exports.
      build.onLoad({ filter: MACRO_MODULES }, () => ({ contents: 'module.exports = {};', loader: 'js' }));
    },
  };
}

/** `node_modules` may be a link to another folder, which the bundler follows. */
function toProjectPath(path: string): string {
  return path.replaceAll('\\', '/').replace(/^\.\.\/.*?(?=node_modules\/)/, '');
}

if (import.meta.main) process.stdout.write(JSON.stringify(await bundleInputs(ROOT, ENTRY_POINTS)));
