/** `node scripts/bun.mjs ARGS`: the pinned Bun, installed first where it must be. */

import { become } from './setup/child.mjs';
import { prepare, say } from './setup/install.mjs';

try {
  become(await prepare(), process.argv.slice(2));
} catch (error) {
  say(error instanceof Error ? error.message : String(error));
  process.exit(1);
}
