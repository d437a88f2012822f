import { describe, expect, it } from 'vitest';
import { FailureDetector } from '../../../node/gossip/detector.js';
import { seededRandom } from './harness.js';

const OPTIONS = { threshold: 8, windowSize: 1_000, beatIntervalMs: 1_000, maxLocalPauseMs: 5_000 };

/** Beats until `untilMs`, about one a second; a check every second. Returns all that were suspected. */
function live(detector: FailureDetector, untilMs: number, gapMs: () => number): string[] {
  const suspected: string[] = [];
  let nextBeatMs = 0;
  for (let nowMs = 0; nowMs <= untilMs; nowMs += 100) {
    if (nowMs >= nextBeatMs) {
      detector.report('n2', nowMs);
      nextBeatMs = nowMs + gapMs();
    }
    if (nowMs % 1_000 === 0) suspected.push(...detector.suspects(nowMs));
  }
  return suspected;
}

function firstSuspectedAt(detector: FailureDetector, fromMs: number, stepMs = 1_000): number {
  for (let nowMs = fromMs; nowMs < fromMs + 200_000; nowMs += stepMs) {
    if (detector.suspects(nowMs).length > 0) return nowMs;
  }
  return Infinity;
}

describe('FailureDetector', () => {
  it('convicts about 18.4 s after the last of many beats at one a second', () => {
    const detector = new FailureDetector(OPTIONS);
    expect(live(detector, 600_000, () => 1_000)).toEqual([]);
    expect(detector.phi('n2', 600_000 + 18_000)).toBeLessThan(8);
    const atMs = firstSuspectedAt(detector, 600_000, 100) - 600_000;
    expect(atMs).toBeGreaterThan(18_300);
    expect(atMs).toBeLessThan(18_700);
  });

  it('suspects nobody for jitter, nor for some lost beats', () => {
    const random = seededRandom(4);
    const jitter = new FailureDetector(OPTIONS);
    expect(live(jitter, 3_600_000, () => 100 + random.next() * 1_900)).toEqual([]);
    const lossy = new FailureDetector(OPTIONS);
    expect(live(lossy, 3_600_000, () => (random.next() < 0.2 ? 8_000 : 1_000))).toEqual([]);
  });

  it('is slower to convict one heard of once: its interval is an estimate', () => {
    const detector = new FailureDetector(OPTIONS);
    detector.report('n2', 0);
    const atMs = firstSuspectedAt(detector, 0);
    expect(atMs).toBeGreaterThan(36_000);
    expect(atMs).toBeLessThan(38_000);
  });

  it('convicts nobody after a pause of its own, but later whoever stays silent', () => {
    const detector = new FailureDetector(OPTIONS);
    live(detector, 60_000, () => 1_000);
    detector.report('n3', 60_000);
    const resumedMs = 160_000; // no check for 100 s: this process was paused
    expect(detector.suspects(resumedMs)).toEqual([]);
    expect(detector.phi('n2', resumedMs)).toBeGreaterThan(8);
    detector.report('n2', resumedMs + 500);
    expect(detector.suspects(resumedMs + 1_000)).toEqual([]);
    expect(detector.suspects(resumedMs + 4_900)).toEqual([]);
    expect(detector.suspects(resumedMs + 5_100)).toEqual(['n3']);
  });

  it('still convicts after checks that come a little late', () => {
    const detector = new FailureDetector(OPTIONS);
    live(detector, 60_000, () => 1_000);
    expect(firstSuspectedAt(detector, 60_000, 4_900)).toBeLessThan(60_000 + 25_000);
  });

  it('keeps a window of intervals, and forgets them at a reset', () => {
    const detector = new FailureDetector({ ...OPTIONS, windowSize: 4 });
    for (const nowMs of [0, 1_000, 2_000, 3_000, 4_000]) detector.report('n2', nowMs);
    expect(detector.phi('n2', 5_000)).toBeCloseTo(Math.LOG10E, 9); // the mean of the last four: 1 s
    for (const nowMs of [4_500, 5_000, 5_500, 6_000]) detector.report('n2', nowMs);
    expect(detector.phi('n2', 7_000)).toBeCloseTo(2 * Math.LOG10E, 9);
    detector.report('n2', 60_000); // away for a while: not an interval
    expect(detector.phi('n2', 61_000)).toBeCloseTo(2 * Math.LOG10E, 9);
    detector.reset('n2');
    expect(detector.phi('n2', 61_000)).toBe(0);
    expect(detector.silenceMs('n2', 61_000)).toBe(Infinity);
  });
});
