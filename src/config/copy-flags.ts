/** The flags of `copy`, in one table: the parser and the help are made from it. */

export interface CopyFlag {
  /** What stands for the value in the help; null for a switch. */
  readonly argument: string | null;
  /** Lines of help. */
  readonly about: readonly string[];
}

export const COPY_FLAGS = Object.freeze({
  from: {
    argument: 'STORE',
    about: ['What to copy: sqlite:DIRECTORY or cassandra:HOST[:PORT][,HOST…]/KEYSPACE.'],
  },
  to: {
    argument: 'STORE',
    about: ['Where to: the same forms. Made where it is missing; what is there already stays as it is.'],
  },
  tenant: {
    argument: 'NAME',
    about: ["Whose records, files and vector stores. Default: 'default', the tenant of --auth none."],
  },
  'verify-only': { argument: null, about: ['Copy nothing, and compare both sides.'] },
} satisfies Record<string, CopyFlag>);

export type CopyFlagName = keyof typeof COPY_FLAGS;
export const COPY_FLAG_NAMES = Object.freeze(Object.keys(COPY_FLAGS) as CopyFlagName[]);

/** What the help says beside the flags. */
export const COPY_NOTES: readonly string[] = Object.freeze([
  'Ids, times, order, vectors and bytes are kept. Stop the servers of both sides first: what changes meanwhile is',
  'not copied, and is named by the comparison at the end. Interrupted, it goes on when it is called again. Exit',
  'codes: 0 both sides are the same, 1 they differ or it failed, 2 the command is wrong, 130 interrupted.',
]);
