/** The flags of `keys`, in one table: the parser and the help are made from it. */

import type { CopyFlag } from './copy-flags.ts';

export const KEYS_FLAGS = Object.freeze({
  project: { argument: 'NAME', about: ['The project: a tenant of its own. Made where it is missing.'] },
  scope: {
    argument: 'NAME',
    about: ['What a new key may do: read, write, run or admin. May be repeated. Default: read, write, run.'],
  },
  expires: {
    argument: 'TIME',
    about: ['When a new key ends: 90s, 30m, 12h or 30d from now. Default: never.'],
  },
  'requests-per-minute': { argument: 'NUMBER', about: ['A limit of the new key, or of the project.'] },
  'tokens-per-minute': { argument: 'NUMBER', about: ['As above: tokens that models read and write.'] },
  'concurrent-runs': { argument: 'NUMBER', about: ['As above: runs that are worked on at once.'] },
  'stored-mib': { argument: 'NUMBER', about: ['Limit of a project: what its files may have in all.'] },
  json: { argument: null, about: ['Print the list as JSON.'] },
} satisfies Record<string, CopyFlag>);

export type KeysFlagName = keyof typeof KEYS_FLAGS;
export const KEYS_FLAG_NAMES = Object.freeze(Object.keys(KEYS_FLAGS) as KeysFlagName[]);

export const KEYS_ACTIONS = Object.freeze(['create', 'list', 'revoke', 'limit'] as const);

/** What the help says beside the flags. */
export const KEYS_NOTES: readonly string[] = Object.freeze([
  'keys create --project NAME …  prints a new key alone on stdout, once: only its hash is kept.',
  'keys list [--project NAME]    shows keys and projects; keys revoke ID ends a key within five seconds.',
  "keys limit --project NAME …   sets limits of a project; 'none' takes one away.",
  'They open the store of the settings, and work beside servers that use it.',
]);
