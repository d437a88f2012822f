import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { dueAtMs, dueBy, msUntilDue } from '../../../bench/pacing.js';

describe('an open-loop schedule', () => {
  const schedule = { startMs: 1000, perSecond: 100 };

  it('has the first request due at its start and none before', () => {
    expect(dueBy(schedule, 999.9)).toBe(0);
    expect(dueBy(schedule, 1000)).toBe(1);
    expect(dueAtMs(schedule, 0)).toBe(1000);
  });
  it('tells how long it is until a request, a millisecond at least', () => {
    expect(msUntilDue(schedule, 2, 1012)).toBe(8);
    expect(msUntilDue(schedule, 2, 1019.5)).toBe(1);
    expect(msUntilDue(schedule, 2, 5000)).toBe(1);
  });
  it('has all requests due that a stall held up', () => {
    expect(dueBy(schedule, 1000)).toBe(1);
    expect(dueBy(schedule, 2005)).toBe(101);
    expect(dueAtMs(schedule, 100)).toBe(2000);
  });
  it('agrees with itself: what is due by a time was due at or before it, and the next one after it', () => {
    const times = fc.double({ min: 0, max: 1e6, noNaN: true });
    fc.assert(
      fc.property(
        times,
        fc.double({ min: 0.1, max: 1e5, noNaN: true }),
        times,
        (startMs, perSecond, afterMs) => {
          const made = { startMs, perSecond };
          const nowMs = startMs + afterMs;
          const due = dueBy(made, nowMs);
          const roundingMs = 1e-6;
          expect(dueAtMs(made, due - 1)).toBeLessThanOrEqual(nowMs + roundingMs);
          expect(dueAtMs(made, due)).toBeGreaterThan(nowMs - roundingMs);
        },
      ),
    );
  });
});
