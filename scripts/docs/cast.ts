/**
 * Records the README's two commands into `docs/pictures/quickstart.svg`, a terminal that plays them again: `npm run docs:cast`.
 *
 * Both are really run, in terminals of their own, and what they print is what is drawn, but for two things: lines of the log are left
 * out, and the pace is slowed so that it can be read. Ids differ from run to run, so nothing checks that the file is up to date.
 */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from '../site/pages.ts';
import { drawCast, type Scene } from './cast-picture.ts';

const PICTURE = join(ROOT, 'docs/pictures/quickstart.svg');
const COLUMNS = 100;
const ROWS = 50;
const READY_MS = 20_000;
const POLL_MS = 50;
const URL = 'http://127.0.0.1:8700';
const COMMANDS = ['npm start', 'node_modules/.bin/bun examples/quickstart.ts'] as const;

const folder = mkdtempSync(join(tmpdir(), 'understudy-cast-'));
const decoder = new TextDecoder();

function record(args: readonly string[]): { readonly child: Bun.Subprocess; readonly chunks: string[] } {
  const chunks: string[] = [];
  const data = (_: unknown, bytes: Uint8Array) => {
    chunks.push(decoder.decode(bytes));
  };
  const env = { PATH: process.env.PATH ?? '', TERM: 'xterm', UNDERSTUDY_DATA: join(folder, '.understudy') };
  const child = Bun.spawn([process.execPath, ...args], {
    cwd: ROOT,
    env,
    terminal: { cols: COLUMNS, rows: ROWS, data },
  });
  return { child, chunks };
}

async function waitUntilReady(): Promise<void> {
  for (let waitedMs = 0; waitedMs < READY_MS; waitedMs += POLL_MS) {
    const ready = await fetch(`${URL}/ready`).catch(() => null);
    if (ready?.ok) return;
    await Bun.sleep(POLL_MS);
  }
  throw new Error('The server was not ready in time.');
}

function isLog(line: string): boolean {
  return line.startsWith('{"time":');
}

/** Chunks as they came, in the reader's words for the folder, without the log. */
function toPrinted(chunks: readonly string[]): string[] {
  return chunks
    .map((chunk) => chunk.replaceAll('\r\n', '\n').replaceAll(folder, '~/understudy'))
    .map((chunk) =>
      chunk
        .split(/(?<=\n)/)
        .filter((line) => !isLog(line))
        .join(''),
    )
    .filter((chunk) => chunk !== '');
}

const server = record(['src/main.ts']);
try {
  await waitUntilReady();
  const program = record(['examples/quickstart.ts']);
  const code = await program.child.exited;
  if (code !== 0) throw new Error(`The program ended with ${code}: ${program.chunks.join('')}`);
  const scenes: Scene[] = [
    { command: COMMANDS[0], printed: toPrinted(server.chunks) },
    { command: COMMANDS[1], printed: toPrinted(program.chunks) },
  ];
  const svg = drawCast(scenes, COLUMNS);
  writeFileSync(PICTURE, svg);
  console.log(`docs/pictures/quickstart.svg: ${(svg.length / 1000).toFixed(1)} kB`);
} finally {
  server.child.kill('SIGTERM');
  await server.child.exited;
  rmSync(folder, { recursive: true, force: true });
}
