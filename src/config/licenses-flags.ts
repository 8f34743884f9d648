/** The flags of `licenses`, in one table: the parser and the help are made from it. */

import type { CopyFlag } from './copy-flags.ts';

export const LICENSES_FLAGS = Object.freeze({
  summary: { argument: null, about: ['Print a table: name, version, licence.'] },
  json: { argument: null, about: ['Print name, version, licence and text of each as JSON.'] },
} satisfies Record<string, CopyFlag>);

/** What the help says beside the flags. */
export const LICENSES_NOTES: readonly string[] = Object.freeze([
  'licenses prints the licence of understudy, and those of all that is in the executable, each with its text.',
]);
