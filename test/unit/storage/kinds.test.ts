import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Int64 } from '../../../counter/int64.js';
import { checkEntry, mergeValues, sequenceOf } from '../../../node/storage/kinds.js';
import { encodeShard, KIND, sealValue } from '../../../proto/entry.js';
import { entryOf } from '../../conformance/storage/harness.js';

const sequences = fc.oneof(
  fc.constantFrom(0, 127, 128, 255, 256, 65_535, 65_536, 2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER),
  fc.maxSafeNat(),
);

describe('sequenceOf', () => {
  it('reads what the encoder wrote, for any size of number', () => {
    fc.assert(
      fc.property(sequences, (sequence) => {
        expect(sequenceOf(entryOf({ sequence }).value)).toBe(sequence);
      }),
    );
  });

  it('refuses what is no shard', () => {
    for (const value of [Buffer.alloc(0), Buffer.from([0x95]), Buffer.alloc(20, 0xc0)]) {
      expect(() => sequenceOf(value)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
    }
  });
});

describe('mergeValues', () => {
  const merge = (held: object, incoming: object) => {
    const entry = entryOf(held);
    return mergeValues(entry.key, entry.value, entryOf(incoming).value);
  };

  it('compares sequences as numbers', () => {
    expect(merge({ sequence: 255 }, { sequence: 256 })).toBe('incoming');
    expect(merge({ sequence: 2 ** 33 }, { sequence: 2 ** 32 - 1 })).toBe('held');
    expect(merge({ sequence: 3 }, { sequence: 3 })).toBe('unchanged');
  });

  it('of one sequence keeps the greater count, numbers and bigints alike', () => {
    const big = (2n ** 60n) as Int64;
    expect(merge({ count: 1 }, { count: big })).toBe('conflictIncoming');
    expect(merge({ count: big }, { count: 1 })).toBe('conflictHeld');
  });

  it('of one sequence and count decides the same from both sides', () => {
    expect([merge({ sum: 1 }, { sum: 2 }), merge({ sum: 2 }, { sum: 1 })].sort()).toEqual([
      'conflictHeld',
      'conflictIncoming',
    ]);
  });
});

describe('checkEntry', () => {
  const good = entryOf({ key: 'k', window: 5 });
  const changedKey = (at: number, by = 1) => {
    const key = Buffer.from(good.key);
    key[at]! ^= by;
    return key;
  };
  const cases: [what: string, entry: { key: Buffer; value: Buffer }, code: string][] = [
    ['no key', { key: Buffer.alloc(0), value: good.value }, 'INVALID_ARGUMENT'],
    ['a newer format', { key: changedKey(0, 3), value: good.value }, 'UNSUPPORTED_FORMAT'],
    ['another token', { key: changedKey(9), value: good.value }, 'INVALID_ARGUMENT'],
    [
      'another producer, same checksum',
      { key: changedKey(good.key.length - 1), value: good.value },
      'INVALID_ARGUMENT',
    ],
    ['no value', { key: good.key, value: Buffer.alloc(0) }, 'INVALID_ARGUMENT'],
    [
      'other fields, well sealed',
      { key: good.key, value: sealValue(good.key, Buffer.from([0x91, 1])) },
      'INVALID_ARGUMENT',
    ],
    [
      'a fraction',
      encodeShard(good.key, { sequence: 1.5, count: 1, sum: 1, min: 1, max: 1 }),
      'INVALID_ARGUMENT',
    ],
  ];
  it.each(cases)('refuses %s', (_what, entry, code) => {
    expect(() => checkEntry(entry)).toThrow(expect.objectContaining({ code }));
  });

  it('refuses a kind that this software does not know', () => {
    const key = Buffer.from(good.key.subarray(0, -16));
    key[key.length - 1] = KIND.base;
    const entry = encodeShard(key, { sequence: 1, count: 1, sum: 1, min: 1, max: 1 });
    expect(() => checkEntry(entry)).toThrow(expect.objectContaining({ code: 'UNSUPPORTED_FORMAT' }));
  });

  it('takes a good one', () => {
    expect(() => checkEntry(good)).not.toThrow();
  });
});
