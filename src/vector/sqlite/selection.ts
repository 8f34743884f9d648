/** The best of many estimates. */

/** Estimates of cosines lie between these; what lies outside counts as being at the edge. */
const ESTIMATE_MAX = 1.25;
const BINS = 8192;

/**
 * Positions of the `wanted` greatest among the first `count` estimates, nearly: where many lie within a few
 * ten-thousandths around the last place, those that come first are taken. Minus infinity is never taken.
 */
export function findBestEstimates(estimates: Float32Array, count: number, wanted: number): Int32Array {
  const binOf = new Int16Array(count);
  const bins = new Uint32Array(BINS);
  for (let i = 0; i < count; i += 1) {
    const bin = toBin(estimates[i] ?? 0);
    binOf[i] = bin;
    if (bin >= 0) bins[bin] = (bins[bin] ?? 0) + 1;
  }
  let above = 0;
  let edge = BINS - 1;
  while (edge > 0 && above + (bins[edge] ?? 0) < wanted) {
    above += bins[edge] ?? 0;
    edge -= 1;
  }
  let room = Math.max(0, wanted - above);
  const best = new Int32Array(Math.min(wanted, count));
  let found = 0;
  for (let i = 0; i < count && found < best.length; i += 1) {
    const bin = binOf[i] ?? -1;
    if (bin < edge) continue;
    if (bin === edge) {
      if (room === 0) continue;
      room -= 1;
    }
    best[found++] = i;
  }
  return best.subarray(0, found);
}

/** -1 for minus infinity. */
function toBin(estimate: number): number {
  if (estimate < -ESTIMATE_MAX) return estimate === Number.NEGATIVE_INFINITY ? -1 : 0;
  return Math.min(BINS - 1, Math.floor((estimate + ESTIMATE_MAX) * (BINS / (2 * ESTIMATE_MAX))));
}
