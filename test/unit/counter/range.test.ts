import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { planRange, type RangePlan } from '../../../counter/range.js';
import { GRANULARITIES, type Granularity, windowMs } from '../../../counter/window.js';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const kept = fc.subarray<Granularity>(['day', 'hour', 'minute'], { minLength: 1 });
const time = fc.integer({ min: -40 * DAY, max: 40 * DAY });

function windows(plan: RangePlan): number {
  return plan.segments.reduce((total, each) => total + each.toWindow - each.fromWindow, 0);
}

describe('planRange', () => {
  it('covers exactly the range it names, in order, without gaps or overlaps', () => {
    fc.assert(
      fc.property(kept, time, fc.integer({ min: 1, max: 5 * DAY }), (rollups, startMs, length) => {
        const endMs = startMs + length;
        const finestMs = Math.min(...rollups.map(windowMs));
        const plan = planRange({ startMs, endMs, rollups });
        let at = plan.startMs;
        for (const { granularity, fromWindow, toWindow } of plan.segments) {
          expect(rollups).toContain(granularity);
          expect(toWindow).toBeGreaterThan(fromWindow);
          expect(fromWindow * windowMs(granularity)).toBe(at);
          at = toWindow * windowMs(granularity);
        }
        expect(at).toBe(plan.endMs);
        expect(plan.startMs).toBeLessThanOrEqual(startMs);
        expect(plan.endMs).toBeGreaterThanOrEqual(endMs);
        expect(startMs - plan.startMs).toBeLessThan(finestMs);
        expect(plan.endMs - endMs).toBeLessThan(finestMs);
      }),
    );
  });

  it('needs no more windows than the shortest cover found by brute force', () => {
    const edge = fc.integer({ min: -60, max: 60 }).map((hours) => hours * HOUR);
    fc.assert(
      fc.property(edge, edge, (a, b) => {
        fc.pre(a !== b);
        const [startMs, endMs] = [Math.min(a, b), Math.max(a, b)];
        // Shortest path over hours, by steps of one hour or of one aligned day.
        const steps = new Map<number, number>([[startMs, 0]]);
        for (let at = startMs; at < endMs; at += HOUR) {
          const next = steps.get(at)! + 1;
          for (const ms of at % DAY === 0 ? [HOUR, DAY] : [HOUR]) {
            steps.set(at + ms, Math.min(steps.get(at + ms) ?? Infinity, next));
          }
        }
        expect(windows(planRange({ startMs, endMs, rollups: ['hour', 'day', 'total'] }))).toBe(
          steps.get(endMs),
        );
      }),
    );
  });

  it('covers the same range for the value and the series', () => {
    fc.assert(
      fc.property(
        kept,
        fc.nat(2),
        time,
        fc.integer({ min: 1, max: 5 * DAY }),
        (rollups, pick, startMs, length) => {
          const granularity = rollups[pick % rollups.length]!;
          const plan = planRange({ startMs, endMs: startMs + length, rollups, granularity });
          const ms = windowMs(granularity);
          expect(plan.series).toEqual({
            granularity,
            fromWindow: plan.startMs / ms,
            toWindow: plan.endMs / ms,
          });
          expect(plan.startMs).toBeLessThanOrEqual(startMs);
          expect(plan.endMs).toBeGreaterThanOrEqual(startMs + length);
          const rest = planRange({ startMs: plan.startMs, endMs: plan.endMs, rollups });
          expect(rest.segments).toEqual(plan.segments);
        },
      ),
    );
  });

  it('takes days in the middle and finer windows at the edges', () => {
    const plan = planRange({
      startMs: DAY - HOUR - 90_000,
      endMs: 3 * DAY + HOUR,
      rollups: [...GRANULARITIES],
    });
    expect(plan.segments).toEqual([
      { granularity: 'minute', fromWindow: 23 * 60 - 2, toWindow: 23 * 60 },
      { granularity: 'hour', fromWindow: 23, toWindow: 24 },
      { granularity: 'day', fromWindow: 1, toWindow: 3 },
      { granularity: 'hour', fromWindow: 72, toWindow: 73 },
    ]);
    expect(planRange({ startMs: -5, endMs: 0, rollups: ['hour'] })).toEqual({
      startMs: -HOUR,
      endMs: 0,
      segments: [{ granularity: 'hour', fromWindow: -1, toWindow: 0 }],
    });
  });

  it.each([
    [{ startMs: 5, endMs: 5 }, /must lie after/],
    [{ startMs: 6, endMs: 5 }, /must lie after/],
    [{ startMs: Number.NaN, endMs: 5 }, /integer milliseconds/],
    [{ startMs: 0, endMs: 1e300 }, /integer milliseconds/],
    [{ startMs: 0.5, endMs: 5 }, /integer milliseconds/],
    [
      { startMs: 0, endMs: 5, granularity: 'minute' as const },
      /minute is not kept \(rollups in cluster.yml\); ask for one of day, hour/,
    ],
    [{ startMs: 0, endMs: 5, granularity: 'total' as const }, /cannot be of granularity total/],
    [{ startMs: 0, endMs: 5, rollups: ['total'] as const }, /totals only/],
  ])('refuses %o', (request, words) => {
    const rollups: readonly Granularity[] = ['total', 'day', 'hour'];
    let error: unknown;
    try {
      planRange({ rollups, ...request });
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', message: expect.stringMatching(words) });
  });
});
