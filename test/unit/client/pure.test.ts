import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { backoffMs } from '../../../client/backoff.js';
import { Claims } from '../../../client/claims.js';
import { cutBatches } from '../../../client/flush-part.js';
import { flushLevels, levelImplies } from '../../../client/levels.js';
import { newProgress, nextAttempt, trackOf } from '../../../client/progress.js';
import { ProgressBook } from '../../../client/progress-book.js';
import { averageOf, checkShape, presentStats, presentValue } from '../../../client/results.js';
import { chooseCoordinator } from '../../../client/routing.js';
import { toInt64 } from '../../../counter/int64.js';
import type { Series } from '../../../counter/producer.js';
import { encodeBatch } from '../../../proto/batch.js';
import type { ConsistencyLevel } from '../../../proto/level.js';
import { SeededRandom } from '../../simulation/seeded-random.js';

describe('averageOf', () => {
  it('is null without events', () => expect(averageOf(0, 0)).toBeNull());

  it('is the nearest double: no neighbour is nearer', () => {
    const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
    const positive = fc.bigInt({ min: 1n, max: 2n ** 63n - 1n });
    const view = new DataView(new ArrayBuffer(8));
    const neighbour = (value: number, step: bigint) => {
      view.setFloat64(0, value);
      view.setBigInt64(0, view.getBigInt64(0) + step);
      return view.getFloat64(0);
    };
    const SCALE = 2n ** 200n;
    // |average × count − sum|, in units of 2^-200: exact, since doubles of this size are multiples of it.
    const distance = (average: number, sum: bigint, count: bigint) => {
      const scaled = BigInt(average * 2 ** 100) * 2n ** 100n;
      const difference = scaled * count - sum * SCALE;
      return difference < 0n ? -difference : difference;
    };
    fc.assert(
      fc.property(int64, positive, (sum, count) => {
        const average = averageOf(toInt64(sum)!, toInt64(count)!)!;
        // Small quotients have more than 100 bits behind the point.
        if (Math.abs(average) < 2 ** -40) return;
        const off = distance(average, sum, count);
        expect(distance(neighbour(average, 1n), sum, count) >= off).toBe(true);
        expect(distance(neighbour(average, -1n), sum, count) >= off).toBe(true);
      }),
    );
  });

  it('breaks no tie by what the division cut off', () => {
    // 2^53 + 1 lies between two doubles; a little more goes up, a little less down.
    const tie = 2n ** 53n + 1n;
    expect(averageOf(tie, 1)).toBe(2 ** 53);
    expect(averageOf(tie * 1000n + 1n, 1000)).toBe(2 ** 53 + 2);
    expect(averageOf(-(tie * 1000n) - 1n, 1000)).toBe(-(2 ** 53) - 2);
    expect(averageOf(tie * 1000n - 1n, 1000)).toBe(2 ** 53);
  });
});

describe('results', () => {
  const big = { count: 2, sum: 2n ** 60n, min: 1, max: 2n ** 60n };

  it('gives bigint throughout, or number and never a rounded one', () => {
    expect(presentValue(big, 'bigint')).toEqual({
      count: 2n,
      sum: 2n ** 60n,
      min: 1n,
      max: 2n ** 60n,
      average: 2 ** 59,
    });
    expect(() => presentValue(big, 'number')).toThrow(expect.objectContaining({ code: 'OUT_OF_RANGE' }));
  });

  const HOUR_MS = 3_600_000;
  const one = { count: 1, sum: 4, min: 4, max: 4 };
  const answer = {
    startMs: 0,
    endMs: 3 * HOUR_MS,
    granularity: 'hour' as const,
    value: one,
    series: [{ startMs: HOUR_MS, value: one }],
  };

  it('stats: chosen functions, filled windows', () => {
    const result = presentStats(answer, { functions: ['sum', 'average'], fill: true }, 'number');
    expect(result).toEqual({
      start: new Date(0),
      end: new Date(3 * HOUR_MS),
      granularity: 'hour',
      sum: 4,
      average: 4,
      series: [
        { start: new Date(0), sum: 0, average: null },
        { start: new Date(HOUR_MS), sum: 4, average: 4 },
        { start: new Date(2 * HOUR_MS), sum: 0, average: null },
      ],
    });
    expect(presentStats(answer, {}, 'number').series).toHaveLength(1);
  });

  it('stats: what is not asked for cannot be out of range', () => {
    const result = presentStats({ ...answer, value: big, series: [] }, { functions: ['count'] }, 'number');
    expect(result.count).toBe(2);
  });

  it('stats: refuses unknown functions and too many points', () => {
    expect(() => checkShape({ functions: ['median' as never] })).toThrow(/median/);
    const long = { ...answer, endMs: 10_001 * HOUR_MS };
    expect(() => presentStats(long, { fill: true }, 'number')).toThrow(/10000 points/);
    expect(presentStats({ ...long, endMs: 10_000 * HOUR_MS }, { fill: true }, 'number').series).toHaveLength(
      10_000,
    );
  });
});

describe('levels', () => {
  const one = { replication: { dc1: 3 }, localDatacenter: 'dc1' };
  const two = { replication: { dc1: 3, dc2: 3 }, localDatacenter: 'dc1' };
  const cases: [ConsistencyLevel, ConsistencyLevel, boolean, boolean][] = [
    ['ALL', 'EACH_QUORUM', true, true],
    ['QUORUM', 'ONE', true, true],
    ['ONE', 'QUORUM', false, false],
    ['QUORUM', 'LOCAL_QUORUM', true, false],
    ['LOCAL_QUORUM', 'QUORUM', true, false],
    ['EACH_QUORUM', 'QUORUM', true, true],
    ['QUORUM', 'LOCAL_ONE', true, true],
    ['THREE', 'QUORUM', true, false],
    ['LOCAL_QUORUM', 'TWO', true, true],
  ];
  it.each(cases)('%s implies %s: one datacenter %s, two %s', (met, asked, inOne, inTwo) => {
    expect(levelImplies(met, asked, one)).toBe(inOne);
    expect(levelImplies(met, asked, two)).toBe(inTwo);
  });
});

describe('nextAttempt', () => {
  const levels = flushLevels('QUORUM', { replication: { dc1: 3 }, localDatacenter: 'dc1' });
  const at = (nowMs: number, claimed: ConsistencyLevel[], progress = newProgress(), changedAt = 5) =>
    nextAttempt({ progress, changedAt, claimed: new Set(claimed), nowMs }, levels);

  it('is the usual level, then QUORUM', () => {
    expect(at(7, [])).toEqual({ level: 'QUORUM', dueMs: 7 });
  });

  it('one level that implies all, first', () => {
    expect(at(7, ['ONE', 'ALL', 'QUORUM']).level).toBe('ALL');
  });

  it('after a failure the levels take turns, each with its own delay', () => {
    const progress = newProgress();
    Object.assign(trackOf(progress, 'ALL'), { failures: 3, notBeforeMs: 100, triedAt: 4 });
    expect(at(7, ['ALL'], progress)).toEqual({ level: 'QUORUM', dueMs: 7 });
    Object.assign(trackOf(progress, 'QUORUM'), { failures: 1, notBeforeMs: 50, triedAt: 5 });
    expect(at(7, ['ALL'], progress)).toEqual({ level: 'QUORUM', dueMs: 50 });
    expect(at(200, ['ALL'], progress)).toEqual({ level: 'ALL', dueMs: 200 });
  });

  it('nothing new at the usual level: only what is claimed', () => {
    const progress = newProgress();
    progress.usualAt = 6;
    trackOf(progress, 'ALL').notBeforeMs = 100;
    expect(at(7, ['ALL'], progress)).toEqual({ level: 'ALL', dueMs: 100 });
  });
});

describe('ProgressBook', () => {
  it('is done with a series once it reached both levels, where neither implies the other', () => {
    const levels = flushLevels('LOCAL_QUORUM', {
      replication: { dc1: 3, dc2: 3 },
      localDatacenter: 'dc1',
    });
    const book = new ProgressBook({ claims: new Claims(levels), levels, random: new SeededRandom(1) });
    const series = { changedAt: 5, takenAt: 5 };
    const acknowledged = (sequence: number, level: ConsistencyLevel) => {
      series.takenAt = sequence;
      return book.acknowledged(series as unknown as Series, { sequence, level, nodeId: 'n1' }, 0);
    };
    const next = () => book.attemptFor(series as unknown as Series, 10_000)?.level;
    expect(acknowledged(5, 'LOCAL_QUORUM')).toBe(false);
    expect(next()).toBe('QUORUM');
    // The same state again, under the sequence of a later flush.
    expect(acknowledged(6, 'QUORUM')).toBe(true);
    expect(book.isOrdinary).toBe(true);
    // Something was added since: both again.
    series.changedAt = 7;
    expect(acknowledged(7, 'QUORUM')).toBe(false);
    expect(next()).toBe('LOCAL_QUORUM');
    expect(acknowledged(8, 'LOCAL_QUORUM')).toBe(true);
  });
});

describe('chooseCoordinator', () => {
  const node = (nodeId: string, datacenter = 'dc1', up = true) => ({ nodeId, datacenter, up });
  const wish = { replicas: ['a', 'b'], localDatacenter: 'dc1' };
  const pick = (nodes: ReturnType<typeof node>[], more = {}, turn = 0) =>
    chooseCoordinator(nodes, { ...wish, ...more }, turn)?.nodeId;

  it('takes live local replicas in turn', () => {
    const nodes = [node('x'), node('a'), node('b'), node('c', 'dc2')];
    expect([0, 1, 2, 3].map((turn) => pick(nodes, {}, turn))).toEqual(['a', 'b', 'a', 'b']);
  });

  it('falls back: other replica, any node, a node that is down', () => {
    expect(pick([node('a', 'dc1', false), node('b', 'dc2'), node('x')])).toBe('b');
    expect(pick([node('a', 'dc1', false), node('x')])).toBe('x');
    expect(pick([node('a'), node('b')], { avoid: new Set(['a']) }, 0)).toBe('b');
    expect(pick([node('a'), node('x')], { avoid: new Set(['a']) })).toBe('x');
    expect(pick([node('a', 'dc1', false)])).toBe('a');
    expect(pick([node('a')], { except: new Set(['a']) })).toBeUndefined();
    expect(pick([node('b', 'dc2')], { localOnly: true })).toBeUndefined();
  });
});

describe('backoffMs', () => {
  it('doubles from 20 ms to 1 s, half of it random', () => {
    const random = new SeededRandom(1);
    for (let failures = 1; failures < 40; failures++) {
      const full = Math.min(1_000, 20 * 2 ** (failures - 1));
      const delayMs = backoffMs(failures, random);
      expect(delayMs).toBeGreaterThanOrEqual(full / 2);
      expect(delayMs).toBeLessThan(full);
    }
  });
});

describe('cutBatches', () => {
  it('covers all entries, and no batch is over the limit unless one entry is', () => {
    const sizes = fc.array(fc.tuple(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 300 })), {
      minLength: 1,
      maxLength: 60,
    });
    fc.assert(
      fc.property(sizes, fc.integer({ min: 50, max: 2_000 }), (lengths, maxBytes) => {
        const entries = lengths.map(([key, value]) => ({
          key: Buffer.alloc(key),
          value: Buffer.alloc(value),
        }));
        let next = 0;
        for (const { from, to } of cutBatches(entries, maxBytes)) {
          expect(from).toBe(next);
          next = to;
          const batch = entries.slice(from, to);
          expect(batch.length === 1 || encodeBatch(batch).length <= maxBytes).toBe(true);
        }
        expect(next).toBe(entries.length);
      }),
    );
  });
});
