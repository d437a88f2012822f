import { type Int64, toInt64 } from './int64.js';

/** One producer's cumulative contribution to a cell. `sequence` is its version: the greater one wins. */
export interface Shard {
  sequence: number;
  count: Int64;
  sum: Int64;
  /** Least and greatest value of the events; null while count is 0. A correction's count may be negative. */
  min: Int64 | null;
  max: Int64 | null;
}

/** What a cell is worth: Σ over its shards. Null min and max where count is 0. */
export interface CellValue {
  count: Int64;
  sum: Int64;
  min: Int64 | null;
  max: Int64 | null;
}

export const EMPTY_VALUE: Readonly<CellValue> = Object.freeze({ count: 0, sum: 0, min: null, max: null });

const least = (a: Int64 | null, b: Int64 | null): Int64 | null =>
  a === null ? b : b === null || a <= b ? a : b;
const greatest = (a: Int64 | null, b: Int64 | null): Int64 | null =>
  a === null ? b : b === null || a >= b ? a : b;

/**
 * Folds values (shards, or the values of several windows) into one. Summed wider than int64, so the order
 * does not matter; `undefined` when the result of count or sum is outside int64.
 */
export function foldValues(parts: Iterable<CellValue>): CellValue | undefined {
  let count = 0n;
  let sum = 0n;
  let safeCount = 0;
  let safeSum = 0;
  let min: Int64 | null = null;
  let max: Int64 | null = null;
  for (const part of parts) {
    const nextCount = typeof part.count === 'number' ? safeCount + part.count : Number.NaN;
    if (Number.isSafeInteger(nextCount)) safeCount = nextCount;
    else count += BigInt(part.count);
    const nextSum = typeof part.sum === 'number' ? safeSum + part.sum : Number.NaN;
    if (Number.isSafeInteger(nextSum)) safeSum = nextSum;
    else sum += BigInt(part.sum);
    min = least(min, part.min);
    max = greatest(max, part.max);
  }
  const totalCount = count === 0n ? safeCount : toInt64(count + BigInt(safeCount));
  const totalSum = sum === 0n ? safeSum : toInt64(sum + BigInt(safeSum));
  if (totalCount === undefined || totalSum === undefined) return undefined;
  // Corrections may take every event away again, but no shard's min and max.
  if (totalCount === 0) return { count: 0, sum: totalSum, min: null, max: null };
  return { count: totalCount, sum: totalSum, min, max };
}
