import type { Int64 } from '../../../counter/int64.js';

/** What events add up to, however far: as the log has it, not bounded to int64. */
export interface CellSum {
  count: number;
  sum: number | bigint;
  min: Int64;
  max: Int64;
}

export function sumOfOne(value: number): CellSum {
  return { count: 1, sum: value, min: value, max: value };
}

/** Adds to the first, which is changed. */
export function addTo(into: CellSum, { count, sum, min, max }: CellSum): void {
  into.count += count;
  const next = typeof into.sum === 'number' && typeof sum === 'number' ? into.sum + sum : Number.NaN;
  into.sum = Number.isSafeInteger(next) ? next : BigInt(into.sum) + BigInt(sum);
  if (min < into.min) into.min = min;
  if (max > into.max) into.max = max;
}
