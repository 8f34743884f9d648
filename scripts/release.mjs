/**
 * `npm run release -- VERSION`: says what a release would be made of, and what keeps it from being made. Nothing is changed.
 *
 * `--run` writes the version wherever it stands, and makes everything in `dist/release/VERSION`: the executables, the clients, the chart, the
 * list of what is inside, the licences, checksums. `--tag` commits and tags after that. `--help` names the other options. Nothing is ever
 * published: the commands for that are printed at the end.
 */

import { become } from './setup/child.mjs';
import { prepare, say } from './setup/install.mjs';

try {
  become(await prepare(), ['scripts/release/main.ts', ...process.argv.slice(2)]);
} catch (error) {
  say(error instanceof Error ? error.message : String(error));
  process.exit(1);
}
