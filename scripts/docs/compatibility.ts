/** The tables of `docs/compatibility.md`: what `understudy verify` prints of a server of this build, that is started for it. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EVENTS_NOT_COVERED, OPERATIONS_NOT_COVERED } from '../../src/verify/suite.ts';
import { toTable } from './table.ts';

const BEGIN = '<!-- verified: made by `npm run docs` -->';
const END = '<!-- end of verified -->';
const PROGRAM = join(import.meta.dir, '../../src/main.ts');
/** What a start may take, and the checks after it. */
const START_MS = 30_000;
const VERIFY_MS = 120_000;

/** The page with its tables as they should be. Errors: where the page lacks their place, or a check fails. */
export async function renewCompatibilityPage(page: string): Promise<string> {
  return toCompatibilityPage(page, await verifyOwnServer());
}

/** `tables` is what `verify --markdown` printed. Errors: where the page lacks the place for it. */
export function toCompatibilityPage(page: string, tables: string): string {
  const [from, to] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (from < 0 || to < from) throw new Error(`The page has no place for the tables: ${BEGIN} … ${END}`);
  const text = `${tables.trim()}\n\n### not covered\n\n${toNotCovered()}`;
  return `${page.slice(0, from + BEGIN.length)}\n\n${text}\n\n${page.slice(to)}`;
}

function toNotCovered(): string {
  const rows = Object.entries({ ...OPERATIONS_NOT_COVERED, ...EVENTS_NOT_COVERED });
  return toTable(
    ['operation or event', 'why'],
    rows.map(([name, reason]) => [`\`${name}\``, reason]),
  );
}

async function verifyOwnServer(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'understudy-docs-'));
  const env = { PATH: process.env.PATH ?? '', HOME: directory };
  const flags = ['serve', '--port', '0', '--store', 'sqlite', '--data', directory];
  const server = Bun.spawn([process.execPath, PROGRAM, ...flags], {
    env,
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'inherit',
    // Ends the server, too, where it never listens.
    timeout: START_MS + VERIFY_MS,
  });
  try {
    const url = await readUrl(server.stdout);
    const verify = Bun.spawn([process.execPath, PROGRAM, 'verify', '--base-url', url, '--markdown'], {
      env,
      stdout: 'pipe',
      stderr: 'inherit',
      timeout: VERIFY_MS,
    });
    const text = await new Response(verify.stdout).text();
    if ((await verify.exited) !== 0) throw new Error(`verify does not hold:\n${text}`);
    return text;
  } finally {
    server.kill('SIGTERM');
    await server.exited;
    await rm(directory, { recursive: true, force: true });
  }
}

/** Where the server says that it listens. Errors: where it ends before. */
async function readUrl(stdout: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  for await (const chunk of stdout) {
    text += decoder.decode(chunk, { stream: true });
    const url = /"event":"listening".*?"url":"([^"]+)"/.exec(text)?.[1];
    if (url !== undefined) return url;
  }
  throw new Error(`the server did not start:\n${text}`);
}
