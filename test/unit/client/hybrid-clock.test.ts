import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareTimes, HybridClock, type HybridTime } from '../../../client/hybrid-clock.js';

const BOUND_MS = 1_000;

const time = fc.record({ timeMs: fc.integer({ min: 0, max: 10_000 }), logical: fc.nat(5) });
const step = fc.record({ wallMs: fc.integer({ min: 0, max: 10_000 }), seen: fc.option(time) });

describe('HybridClock', () => {
  it('gives each time later than all it gave or followed, whatever the wall clock does', () => {
    fc.assert(
      fc.property(fc.array(step), (steps) => {
        const clock = new HybridClock({ maxAheadMs: BOUND_MS });
        let latest: HybridTime = { timeMs: -1, logical: 0 };
        for (const { wallMs, seen } of steps) {
          if (seen !== null && clock.observe(seen, wallMs) && compareTimes(seen, latest) > 0) latest = seen;
          const given = clock.tick(wallMs);
          expect(compareTimes(given, latest)).toBeGreaterThan(0);
          expect(given.timeMs).toBeGreaterThanOrEqual(wallMs);
          latest = given;
        }
      }),
    );
  });

  it('never runs more than its bound ahead of the furthest that the wall clock showed', () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 1 }), (steps) => {
        const clock = new HybridClock({ maxAheadMs: BOUND_MS });
        let furthestMs = 0;
        for (const { wallMs, seen } of steps) {
          furthestMs = Math.max(furthestMs, wallMs);
          if (seen !== null) {
            expect(clock.observe(seen, wallMs)).toBe(seen.timeMs <= wallMs + BOUND_MS);
          }
          expect(clock.tick(wallMs).timeMs).toBeLessThanOrEqual(furthestMs + BOUND_MS);
        }
      }),
    );
  });

  it('shows the wall clock where that is ahead, and counts where it is not', () => {
    const clock = new HybridClock({ maxAheadMs: BOUND_MS });
    expect(clock.tick(100)).toEqual({ timeMs: 100, logical: 0 });
    expect(clock.tick(100)).toEqual({ timeMs: 100, logical: 1 });
    expect(clock.tick(90)).toEqual({ timeMs: 100, logical: 2 });
    clock.observe({ timeMs: 150, logical: 7 }, 101);
    expect(clock.tick(102)).toEqual({ timeMs: 150, logical: 8 });
    expect(clock.tick(151)).toEqual({ timeMs: 151, logical: 0 });
  });
});
