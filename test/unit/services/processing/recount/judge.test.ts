import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { foldValues } from '../../../../../counter/shard.js';
import type { ProducerShard } from '../../../../../proto/calls.js';
import { addTo, type CellSum, sumOfOne } from '../../../../../services/processing/recount/cell-sum.js';
import { judge, judgeLonger } from '../../../../../services/processing/recount/judge.js';
import { producerId } from './world.js';

const value = fc.integer({ min: -1_000, max: 1_000 });
const truths = fc.array(value, { minLength: 1, maxLength: 20 }).map(truthOf);
const shards = fc.array(
  fc.record({
    sequence: fc.nat(),
    count: fc.integer({ min: -5, max: 50 }),
    sum: fc.oneof(value, fc.bigInt({ min: 2n ** 60n, max: 2n ** 61n })),
    min: fc.option(value),
    max: fc.option(value),
    producerId: fc.integer({ min: 1, max: 99 }).map((number) => producerId(number, 'log')),
  }),
  { maxLength: 4 },
);

function truthOf(values: readonly number[]): CellSum {
  const sum = sumOfOne(values[0]!);
  for (const each of values.slice(1)) addTo(sum, sumOfOne(each));
  return sum;
}

function shard(change: Partial<ProducerShard> = {}): ProducerShard {
  return { producerId: producerId(1, 'log'), sequence: 9, count: 3, sum: 12, min: 1, max: 9, ...change };
}

const truth = truthOf([1, 2, 9]);

describe('a cell', () => {
  it('becomes what the log says, but for what min and max cannot', () => {
    fc.assert(
      fc.property(truths, shards, (should, held) => {
        const { isRight, amount, stays } = judge(should, held);
        const after = foldValues(amount === undefined ? held : [...held, amount])!;
        expect([after.count, after.sum]).toEqual([should.count, should.sum]);
        const isWhole = after.min === should.min && after.max === should.max;
        expect(isWhole).toBe(stays.length === 0);
        expect(isRight).toBe(amount === undefined && isWhole);
        // A second look finds nothing more to do.
        const again = judge(should, amount === undefined ? held : [...held, { ...shard(), ...amount }]);
        expect(again.amount).toBeUndefined();
      }),
    );
  });

  it('that is lost comes back whole', () => {
    expect(judge(truth, [])).toMatchObject({ amount: { count: 3, sum: 12, min: 1, max: 9 }, stays: [] });
  });

  it('whose least value is too low keeps it, and says so', () => {
    const { isRight, amount, stays } = judge(truth, [shard({ min: -4 })]);
    expect([isRight, amount, stays]).toEqual([false, undefined, ['min stays -4, it should be 1']]);
  });

  it('that others counted too is compared without their part, and not repaired', () => {
    const other = shard({ producerId: producerId(2, 'sdk') });
    expect(judge(truth, [shard(), other])).toMatchObject({ isRight: true, others: ['sdk'] });
    expect(judge(truth, [shard({ count: 4 }), other])).toMatchObject({
      ...{ isRight: false, amount: undefined, stays: ['sdk counted it too'] },
    });
  });

  it('that leaves int64 is left as it is', () => {
    const huge = { ...truth, sum: 2n ** 64n };
    expect(judge(huge, [shard()])).toMatchObject({ amount: undefined, stays: ['it is outside int64'] });
  });
});

describe('a window that is not whole', () => {
  const amount = { count: 2, sum: 7, min: null, max: null };
  const at = (count: number, sum: number) => ({ count, sum, min: null, max: null });

  it('is corrected as its finer ones when it was hurt as they were, and only then', () => {
    expect(judgeLonger(at(10, 50), at(10, 50), amount)).toBe('as the finer');
    expect(judgeLonger(at(12, 57), at(10, 50), amount)).toBe('right');
    expect(judgeLonger(at(11, 50), at(10, 50), amount)).toBe('unclear');
  });
});
