import fc from 'fast-check';
import { pack } from 'msgpackr';
import { describe, expect, it } from 'vitest';
import { CHECKSUM_BYTES, decodeShard } from '../../../proto/entry.js';
import { isPlainShard, plainSequenceOf } from '../../../proto/plain-shard.js';
import { entryOf } from '../../conformance/storage/harness.js';
import { int64 } from './generate.js';

const integer = fc.oneof(
  fc.constantFrom(0, -1, 127, 128, -32, -33, 255, 256, -128, -129, 65_535, 65_536, 2 ** 32 - 1, 2 ** 32),
  fc.maxSafeInteger(),
  fc.integer({ min: -40, max: 300 }),
);
const orNull = fc.oneof(fc.constant(null), integer);
const sealed = (fields: Uint8Array) => Buffer.concat([fields, Buffer.alloc(CHECKSUM_BYTES)]);
const isTaken = (value: Buffer) => {
  try {
    decodeShard(value);
    return true;
  } catch {
    return false;
  }
};

/** Anything that msgpack writes in the place of five fields, and some bytes of it changed. */
const values = fc.oneof(
  fc.array(fc.oneof(integer, fc.double(), int64, fc.boolean(), fc.string(), fc.constant(null)), {
    minLength: 4,
    maxLength: 6,
  }),
  fc.tuple(integer, integer, integer, orNull, orNull),
);
const damage = fc.array(fc.tuple(fc.nat(60), fc.nat(255)), { maxLength: 3 });

describe('the plain form of a shard', () => {
  it('is that of all whose numbers a double holds', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), integer, integer, orNull, orNull, (sequence, count, sum, min, max) => {
        const { value } = entryOf({ sequence, count, sum, min, max });
        expect(isPlainShard(value)).toBe(true);
        expect(plainSequenceOf(value)).toBe(sequence);
      }),
    );
  });

  it('is never that of what the decoder refuses, and tells the same sequence', () => {
    let plain = 0;
    fc.assert(
      fc.property(values, damage, fc.nat(12), (fields, changes, cut) => {
        const bytes = Buffer.from(pack(fields));
        for (const [at, by] of changes) if (at < bytes.length) bytes[at]! ^= by;
        const value = sealed(bytes.subarray(0, changes.length > 1 ? bytes.length - cut : bytes.length));
        if (!isPlainShard(value)) return;
        plain++;
        expect(isTaken(value)).toBe(true);
        expect(plainSequenceOf(value)).toBe(decodeShard(value).sequence);
      }),
      { numRuns: 3_000 },
    );
    expect(plain).toBeGreaterThan(100);
  });

  it('is not that of a number beyond a double, which the decoder takes', () => {
    const { value } = entryOf({ sum: 2n ** 60n });
    expect(isPlainShard(value)).toBe(false);
    expect(isTaken(value)).toBe(true);
  });
});
