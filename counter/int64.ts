/**
 * A signed 64-bit integer: a `number` while it is a safe integer, else a `bigint`. Always normal: equal
 * values have one representation, so encoded state of equal value is equal byte for byte.
 */
export type Int64 = number | bigint;

export const INT64_MAX = 2n ** 63n - 1n;
export const INT64_MIN = -(2n ** 63n);

const SAFE_MAX = BigInt(Number.MAX_SAFE_INTEGER);

/** The normal form of any integer, or `undefined` when it is outside int64. */
export function toInt64(value: bigint): Int64 | undefined {
  if (value <= SAFE_MAX && value >= -SAFE_MAX) return Number(value);
  return value <= INT64_MAX && value >= INT64_MIN ? value : undefined;
}

/** a + b exactly, or `undefined` when the sum is outside int64. */
export function addInt64(a: Int64, b: Int64): Int64 | undefined {
  if (typeof a === 'number' && typeof b === 'number') {
    const sum = a + b;
    if (Number.isSafeInteger(sum)) return sum;
  }
  return toInt64(BigInt(a) + BigInt(b));
}

/** Whether a decoded value is an int64 in its normal form. */
export function isInt64(value: unknown): value is Int64 {
  if (typeof value === 'number') return Number.isSafeInteger(value);
  if (typeof value !== 'bigint') return false;
  return typeof toInt64(value) === 'bigint';
}

/** A JSON number while safe, else a string of its digits. */
export function int64ToJson(value: Int64): number | string {
  return typeof value === 'number' ? value : value.toString();
}
