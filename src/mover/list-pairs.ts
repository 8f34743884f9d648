/** Two lists, read side by side: each record with the one of the same id in the other list. */

import { type AnyRecord, toPlaceKey } from './record-lists.ts';

/** At least one of them is there. */
export interface Pair {
  readonly source: AnyRecord | null;
  readonly destination: AnyRecord | null;
}

/** Both come in the order of their places. A record that has another place in the other list comes twice, alone each time. */
export async function* pairRecords(
  source: AsyncGenerator<AnyRecord, undefined>,
  destination: AsyncGenerator<AnyRecord, undefined>,
): AsyncGenerator<Pair, undefined> {
  let [left, right] = await Promise.all([take(source), take(destination)]);
  while (left !== null || right !== null) {
    const order = left === null ? 1 : right === null ? -1 : comparePlaces(left, right);
    yield { source: order <= 0 ? left : null, destination: order >= 0 ? right : null };
    [left, right] = await Promise.all([
      order <= 0 ? take(source) : left,
      order >= 0 ? take(destination) : right,
    ]);
  }
}

async function take(records: AsyncGenerator<AnyRecord, undefined>): Promise<AnyRecord | null> {
  const next = await records.next();
  return next.done === true ? null : next.value;
}

function comparePlaces(a: AnyRecord, b: AnyRecord): number {
  return compareBytes(toPlaceKey(a), toPlaceKey(b)) || compareBytes(a.record.id, b.record.id);
}

/** As stores compare: by the bytes of UTF-8. */
function compareBytes(a: string, b: string): number {
  return a === b ? 0 : Buffer.compare(Buffer.from(a), Buffer.from(b));
}
