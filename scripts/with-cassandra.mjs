/**
 * `node scripts/with-cassandra.mjs COMMAND`: runs a command beside a real Cassandra node, whose address it finds in
 * `UNDERSTUDY_TEST_CASSANDRA`; the exit code is the command's. Without a command the node runs until Ctrl-C, for those who
 * run tests again and again.
 */

import { join } from 'node:path';
import { become } from './setup/child.mjs';
import { prepare, ROOT, say } from './setup/install.mjs';

const MAIN = join(ROOT, 'test/support/cassandra/main.ts');

try {
  become(await prepare(), ['--no-env-file', MAIN, ...process.argv.slice(2)]);
} catch (error) {
  say(error instanceof Error ? error.message : String(error));
  process.exit(1);
}
