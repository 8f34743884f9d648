/** What a program gets with `understudy/client`. */

import { describe, expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const ROOT = resolve(import.meta.dir, '../..');
const SIZE_MAX = 32 * 1024;
/** Data, and rules without a state; each without an import of its own but of these. */
const SHARED = [
  'src/providers/catalogue/catalogue.ts',
  'src/providers/catalogue/entry.ts',
  'src/providers/catalogue/hosted.ts',
  'src/providers/catalogue/own-protocols.ts',
  'src/providers/catalogue/self-hosted.ts',
  'src/providers/routing/model-names.ts',
];

async function bundle(): Promise<{ code: string; sources: string[] }> {
  const folder = await mkdtemp(join(tmpdir(), 'understudy-client-'));
  try {
    const child = Bun.spawn(
      [
        process.execPath,
        'build',
        'src/client/client.ts',
        '--outdir',
        folder,
        '--target',
        'browser',
        '--minify',
        '--sourcemap=external',
      ],
      { cwd: ROOT, stdout: 'pipe', stderr: 'pipe' },
    );
    const [code, errors] = await Promise.all([child.exited, new Response(child.stderr).text()]);
    if (code !== 0) throw new Error(errors);
    const map = await Bun.file(join(folder, 'client.js.map')).json();
    const sources = (map.sources as string[]).map((source) => resolve(folder, source).slice(ROOT.length + 1));
    return { code: await Bun.file(join(folder, 'client.js')).text(), sources };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

describe('the entry `understudy/client`', () => {
  test('bundles for a browser, small, without any module of the server, and imports nothing', async () => {
    const { code, sources } = await bundle();
    const foreign = sources.filter((source) => !source.startsWith('src/client/') && !SHARED.includes(source));
    expect(foreign).toEqual([]);
    expect(sources).toContain('src/client/patch.ts');
    expect(sources).toContain('src/providers/catalogue/hosted.ts');
    const { imports } = new Bun.Transpiler({ loader: 'js' }).scan(code);
    expect(imports).toEqual([]);
    expect(code.length).toBeLessThan(SIZE_MAX);
  });

  test('is what the package exports under this name', async () => {
    const entry = await import('understudy/client');
    expect(Object.keys(entry).sort()).toEqual(['editMessage', 'listThreads', 'patch', 'readEmbeddingModel']);
  });
});
