/** A real Cassandra node for the time of a run of the tests. */

import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { ROOT } from './install.mjs';

export const NODE_VARIABLE = 'UNDERSTUDY_TEST_CASSANDRA';
const MAIN = join(ROOT, 'test/support/cassandra/main.ts');

/**
 * Fetches Cassandra where this machine does not have it yet, and starts a node. It ends with this process, however that one
 * ends. Throws where it ends before it answers; it has then said why.
 * @param {string} bun
 * @returns {Promise<{ contactPoint: string, stop(): Promise<void> }>}
 */
export async function startNode(bun) {
  const child = spawn(bun, ['--no-env-file', MAIN], { cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'] });
  /** @type {Promise<void>} */
  const ended = new Promise((done, fail) => {
    child.on('exit', () => done());
    child.on('error', fail);
  });
  const contactPoint = await Promise.race([readContactPoint(child.stdout), ended.then(() => null)]);
  if (contactPoint === null) throw new Error('There is no Cassandra to test with.');
  return {
    contactPoint,
    async stop() {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

/** @param {NodeJS.ReadableStream} output */
async function readContactPoint(output) {
  for await (const line of createInterface({ input: output })) {
    if (line.startsWith(`${NODE_VARIABLE}=`)) return line.slice(NODE_VARIABLE.length + 1);
  }
  return null;
}
