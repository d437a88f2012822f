import fc from 'fast-check';
import { INT64_MAX, INT64_MIN, type Int64, toInt64 } from '../../../counter/int64.js';
import type { Shard } from '../../../counter/shard.js';

/** int64 in normal form, with the edges of every encoding well represented. */
export const int64: fc.Arbitrary<Int64> = fc
  .oneof(
    fc.integer({ min: -300, max: 300 }).map(BigInt),
    fc.bigInt({ min: INT64_MIN, max: INT64_MAX }),
    fc
      .tuple(fc.integer({ min: 0, max: 63 }), fc.integer({ min: -2, max: 2 }), fc.boolean())
      .map(([bits, off, negative]) => (negative ? -1n : 1n) * (1n << BigInt(bits)) + BigInt(off)),
  )
  .map((value) => toInt64(value < INT64_MIN ? INT64_MIN : value > INT64_MAX ? INT64_MAX : value)!);

export const shard: fc.Arbitrary<Shard> = fc.record({
  sequence: fc.oneof(fc.integer({ min: 0, max: 3 }), fc.maxSafeNat()),
  count: int64,
  sum: int64,
  min: fc.option(int64),
  max: fc.option(int64),
});
