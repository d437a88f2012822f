/** The middle value; the mean of the two middle ones of an even number. Throws on an empty list. */
export function median(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError('median of nothing');
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** So much was done by this time. Both only grow. */
export interface Progress {
  atMs: number;
  done: number;
}

/**
 * Work per second over the steady part of a run: from the first sample at or after `warmupMs` (counted from the
 * first sample) to the last one. Work is acknowledged in lumps, so a window is cut at acknowledgements, never
 * between two. Throws when fewer than two samples lie in it.
 */
export function steadyRate(samples: readonly Progress[], warmupMs: number): number {
  const first = samples[0];
  const steady = first && samples.filter((sample) => sample.atMs - first.atMs >= warmupMs);
  const from = steady?.[0];
  const to = steady?.at(-1);
  if (!from || !to || to.atMs <= from.atMs) {
    throw new RangeError('too few acknowledgements for a rate; measure longer (--seconds)');
  }
  return ((to.done - from.done) * 1000) / (to.atMs - from.atMs);
}
