/** The flags of `check` and `health`, in one table: the parser and the help are made from it. */

import type { CopyFlag } from './copy-flags.ts';

export const CHECK_FLAGS = Object.freeze({
  online: {
    argument: null,
    about: ['Ask as well whether the host of each provider answers. No key is sent.'],
  },
} satisfies Record<string, CopyFlag>);

export const HEALTH_FLAGS = Object.freeze({
  url: {
    argument: 'URL',
    about: ["The server's address. Default: the port of the settings, on this machine."],
  },
  ready: { argument: null, about: ['Ask whether the store answers, too (/ready instead of /health).'] },
} satisfies Record<string, CopyFlag>);

/** What the help says beside the flags. */
export const CHECK_NOTES: readonly string[] = Object.freeze([
  'check makes and changes nothing. Exit codes: 0 all of it works, 1 something does not, 2 the configuration is broken.',
  'health asks a server that runs: 0 where it answers well, 1 where it does not. For probes in containers.',
]);
