/** What each side of a comparison holds of every kind of thing: how many, and one digest of all of them. */

export type Side = 'source' | 'destination';

export interface Tally {
  readonly count: number;
  /** The sum of the digests of all things, in hexadecimal digits: the same in whatever order they came. */
  readonly digest: string;
}

export interface TallyRow {
  readonly kind: string;
  readonly source: Tally;
  readonly destination: Tally;
}

export interface Tallies {
  /** `text` is all that is to be the same of the thing, its place too. */
  add(side: Side, kind: string, text: string): void;
  /** In the order in which the kinds came up. */
  list(): readonly TallyRow[];
}

const DIGEST_BITS = 256;
const DIGEST_DIGITS = 16;

interface Sum {
  count: number;
  sum: bigint;
}

export function createTallies(): Tallies {
  const rows = new Map<string, Record<Side, Sum>>();
  return {
    add(side, kind, text) {
      const row = rows.get(kind) ?? { source: { count: 0, sum: 0n }, destination: { count: 0, sum: 0n } };
      rows.set(kind, row);
      const digest = BigInt(`0x${new Bun.CryptoHasher('sha256').update(text).digest('hex')}`);
      row[side].count += 1;
      row[side].sum = BigInt.asUintN(DIGEST_BITS, row[side].sum + digest);
    },
    list: () =>
      [...rows].map(([kind, { source, destination }]) => ({
        kind,
        source: toTally(source),
        destination: toTally(destination),
      })),
  };
}

/** Enough of it to be compared by eye. */
function toTally({ count, sum }: Sum): Tally {
  return {
    count,
    digest: sum
      .toString(16)
      .padStart(DIGEST_BITS / 4, '0')
      .slice(-DIGEST_DIGITS),
  };
}
