import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addInt64, INT64_MAX, INT64_MIN, int64ToJson, isInt64, toInt64 } from '../../../counter/int64.js';
import { compareShards, mergeShards, type ShardConflict } from '../../../counter/merge.js';
import { type CellValue, EMPTY_VALUE, foldValues, type Shard } from '../../../counter/shard.js';
import { GRANULARITIES, windowIndex, windowMs, windowStartMs } from '../../../counter/window.js';
import { int64, shard } from './generate.js';

const inRange = (value: bigint) => value >= INT64_MIN && value <= INT64_MAX;

describe('int64', () => {
  it('adds as BigInt does, in normal form, and refuses what leaves int64', () => {
    fc.assert(
      fc.property(int64, int64, (a, b) => {
        const exact = BigInt(a) + BigInt(b);
        const sum = addInt64(a, b);
        if (!inRange(exact)) {
          expect(sum).toBeUndefined();
          return;
        }
        expect(BigInt(sum!)).toBe(exact);
        expect(isInt64(sum)).toBe(true);
        expect(typeof sum).toBe(Number.isSafeInteger(Number(exact)) ? 'number' : 'bigint');
      }),
    );
  });

  it('knows its edges', () => {
    expect(addInt64(INT64_MAX, 0)).toBe(INT64_MAX);
    expect(addInt64(INT64_MAX, 1)).toBeUndefined();
    expect(addInt64(INT64_MIN, -1)).toBeUndefined();
    expect(addInt64(INT64_MIN, INT64_MAX)).toBe(-1);
    expect(addInt64(Number.MAX_SAFE_INTEGER, 1)).toBe(2n ** 53n);
    expect(toInt64(INT64_MAX + 1n)).toBeUndefined();
    for (const wrong of [5n, 2n ** 63n, 1.5, Number.NaN, 2 ** 53, '1', null])
      expect(isInt64(wrong)).toBe(false);
    expect(int64ToJson(INT64_MIN)).toBe('-9223372036854775808');
    expect(int64ToJson(-7)).toBe(-7);
  });
});

describe('windows', () => {
  it('hold their timestamps, negative ones too', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: -8.64e15, max: 8.64e15 }),
        fc.constantFrom(...GRANULARITIES),
        (ms, granularity) => {
          const index = windowIndex(granularity, ms);
          if (granularity === 'total') {
            expect(index).toBe(0);
            return;
          }
          const startMs = windowStartMs(granularity, index);
          expect(startMs).toBeLessThanOrEqual(ms);
          expect(startMs + windowMs(granularity)).toBeGreaterThan(ms);
        },
      ),
    );
    expect(windowIndex('day', -1)).toBe(-1);
    expect(windowIndex('hour', -3_600_000)).toBe(-1);
    expect(windowIndex('hour', -3_600_001)).toBe(-2);
  });

  it('are UTC days and hours', () => {
    const startMs = windowStartMs('day', windowIndex('day', Date.UTC(2024, 1, 29, 23, 59)));
    expect(new Date(startMs).toISOString()).toBe('2024-02-29T00:00:00.000Z');
  });
});

describe('foldValues', () => {
  const values: fc.Arbitrary<CellValue[]> = fc.array(
    fc.record({ count: int64, sum: int64, min: fc.option(int64), max: fc.option(int64) }),
    { maxLength: 8 },
  );

  it('equals a BigInt twin in any order', () => {
    fc.assert(
      fc.property(values, (parts) => {
        const count = parts.reduce((total, part) => total + BigInt(part.count), 0n);
        const sum = parts.reduce((total, part) => total + BigInt(part.sum), 0n);
        const folded = foldValues(parts);
        expect(foldValues([...parts].reverse())).toEqual(folded);
        if (!inRange(count) || !inRange(sum)) {
          expect(folded).toBeUndefined();
          return;
        }
        const mins = parts.flatMap(({ min }) => (min === null ? [] : [min])).sort((a, b) => (a < b ? -1 : 1));
        const maxs = parts.flatMap(({ max }) => (max === null ? [] : [max])).sort((a, b) => (a > b ? -1 : 1));
        expect(folded).toEqual({
          count: toInt64(count),
          sum: toInt64(sum),
          // Of no events there is no least one, whatever the shards once held.
          min: count === 0n ? null : (mins[0] ?? null),
          max: count === 0n ? null : (maxs[0] ?? null),
        });
      }),
      { examples: [[[{ count: 0, sum: 0, min: 1, max: null }]]] },
    );
  });

  it('of nothing is empty, and passes int64 on the way', () => {
    expect(foldValues([])).toEqual(EMPTY_VALUE);
    const one = (sum: CellValue['sum']) => ({ count: 1, sum, min: sum, max: sum });
    expect(foldValues([one(INT64_MAX), one(INT64_MAX), one(-INT64_MAX)])?.sum).toBe(INT64_MAX);
    expect(foldValues([one(INT64_MAX), one(1)])).toBeUndefined();
  });
});

describe('mergeShards', () => {
  const shards = fc
    .uniqueArray(fc.tuple(fc.constantFrom('a', 'b', 'c', 'd'), shard), { selector: ([id]) => id })
    .map((pairs) => new Map<string, Shard>(pairs));

  it('is commutative, associative and idempotent', () => {
    fc.assert(
      fc.property(shards, shards, shards, (a, b, c) => {
        expect(mergeShards(a, b)).toEqual(mergeShards(b, a));
        expect(mergeShards(mergeShards(a, b), c)).toEqual(mergeShards(a, mergeShards(b, c)));
        const merged = mergeShards(a, b);
        expect(mergeShards(merged, a)).toEqual(merged);
        expect(mergeShards(a, a)).toEqual(a);
      }),
    );
  });

  it('keeps the greater sequence of each producer and changes no argument', () => {
    const at = (sequence: number, count: number): Shard => ({ sequence, count, sum: count, min: 1, max: 1 });
    const a = new Map([['x', at(2, 5)]]);
    const b = new Map([
      ['x', at(3, 4)],
      ['y', at(1, 1)],
    ]);
    expect(mergeShards(a, b)).toEqual(b);
    expect(a.size).toBe(1);
  });

  it('reports two states under one sequence and keeps the greater count', () => {
    const few: Shard = { sequence: 4, count: 2, sum: 90, min: 1, max: 89 };
    const many: Shard = { sequence: 4, count: 3, sum: 3, min: 1, max: 1 };
    for (const [a, b] of [
      [few, many],
      [many, few],
    ] as const) {
      const conflicts: ShardConflict[] = [];
      const merged = mergeShards(new Map([['x', a]]), new Map([['x', b]]), (found) => conflicts.push(found));
      expect(merged.get('x')).toBe(many);
      expect(conflicts).toEqual([{ producerId: 'x', kept: many, dropped: few }]);
    }
    expect(compareShards(few, { ...few })).toBe(0);
  });
});
