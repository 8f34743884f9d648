/** Starts a process that reads documents, where the program runs from its source. */

import { serveReader } from './reader-main.ts';

serveReader().then(
  (code) => process.exit(code),
  () => process.exit(1),
);
