/** Servers on a Cassandra node of a test's own, and what their operator reads where they do not start. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { type ServerOptions, startServer, type TestServer } from '../support/server.ts';

const ROOT = resolve(import.meta.dir, '../..');

export interface ClusterFlags {
  readonly contactPoint: string;
  readonly keyspace: string;
}

export function toStoreFlags({ contactPoint, keyspace }: ClusterFlags): string[] {
  return [
    '--store',
    'cassandra',
    '--cassandra-contact-points',
    contactPoint,
    '--cassandra-keyspace',
    keyspace,
  ];
}

/** A server whose records are on the node. Its own folder is removed by `stop`. */
export async function startOnCassandra(
  cluster: ClusterFlags,
  options: Omit<ServerOptions, 'dataDirectory'> = {},
): Promise<TestServer> {
  return await startServer({ ...options, flags: [...toStoreFlags(cluster), ...(options.flags ?? [])] });
}

/** How a command of the program ended. */
export interface CommandEnd {
  /** Null: it had not ended in time, and was killed. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly ms: number;
}

/** Runs a command of the program to its end, or to the bound. */
export async function runCommand(
  argv: readonly string[],
  { env = {}, withinMs }: { readonly env?: Readonly<Record<string, string>>; readonly withinMs: number },
): Promise<CommandEnd> {
  const dataDirectory = await mkdtemp(join(tmpdir(), 'understudy-command-'));
  const started = performance.now();
  try {
    const child = Bun.spawn([...toProgram(), ...argv, '--data', dataDirectory], {
      cwd: ROOT,
      env: { PATH: process.env.PATH ?? '', HOME: dataDirectory, ...env },
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'pipe',
    });
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      // The primary is asked, so that its worker ends with it.
      child.kill('SIGTERM');
    }, withinMs);
    const [stdout, stderr, code] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    clearTimeout(timer);
    return { code: isLate ? null : code, stdout, stderr, ms: Math.round(performance.now() - started) };
  } finally {
    await rm(dataDirectory, { recursive: true, force: true });
  }
}

function toProgram(): string[] {
  const binary = process.env.UNDERSTUDY_TEST_BINARY;
  return binary === undefined || binary === ''
    ? [process.execPath, join(ROOT, 'src/main.ts')]
    : [resolve(ROOT, binary)];
}
