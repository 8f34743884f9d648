/** The flags of `verify`, in one table: the parser and the help are made from it. */

import type { CopyFlag } from './copy-flags.ts';

export const VERIFY_FLAGS = Object.freeze({
  'base-url': {
    argument: 'URL',
    about: ["The server's address, as programs have it: https://host/v1. Without a path, /v1 is added."],
  },
  'api-key': {
    argument: 'KEY',
    about: [
      'The key that is sent. Or in UNDERSTUDY_API_KEY, where other users of the machine do not see it.',
    ],
  },
  model: {
    argument: 'NAME',
    about: ['The model that runs. Default: understudy/rehearsal, where the server has it.'],
  },
  'timeout-seconds': { argument: 'NUMBER', about: ['What each check may take. Default: 60.'] },
  json: { argument: null, about: ['Print the outcome as JSON.'] },
  markdown: { argument: null, about: ['Print the table as Markdown, without the times.'] },
} satisfies Record<string, CopyFlag>);

/** Where the key may stand instead. */
export const VERIFY_KEY_VARIABLE = 'UNDERSTUDY_API_KEY';

/** What the help says beside the flags. */
export const VERIFY_NOTES: readonly string[] = Object.freeze([
  'With --embedding-model NAME the embeddings are asked of that model. Default: as with --model.',
  'verify calls a server that runs, this one or another, as a program with the official SDK would: each operation, and',
  'each event of its streams. It takes away all that it made. Exit codes: 0 everything that is there holds, 1 something',
  'does not, or nothing is there, 2 the command is wrong, 130 interrupted.',
]);
