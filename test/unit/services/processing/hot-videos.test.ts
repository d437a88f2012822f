import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HotVideos } from '../../../../services/processing/hot-videos.js';

const NEVER_FADES = Number.MAX_SAFE_INTEGER;

describe('HotVideos', () => {
  it('estimates between the truth and the truth plus what it calls the error, and never misses more than that', () => {
    const events = fc.array(fc.nat(30), { maxLength: 400 });
    fc.assert(
      fc.property(events, fc.integer({ min: 1, max: 40 }), (ids, every) => {
        const hot = new HotVideos({ capacity: 5, maxEventTypes: 1, windowMs: NEVER_FADES }, 0);
        const truth = new Map<string, number>();
        for (const [i, id] of ids.entries()) {
          hot.add('view', `v${id}`);
          truth.set(`v${id}`, (truth.get(`v${id}`) ?? 0) + 1);
          if (i % every === 0) hot.report(0, 5);
        }
        const { view = [] } = hot.report(0, 5);
        expect(view.length).toBeLessThanOrEqual(5);
        const error = view[0]?.error ?? 0;
        for (const { videoId, estimate } of view) {
          expect(estimate).toBeGreaterThanOrEqual(truth.get(videoId)! - 0.02);
          expect(estimate - error).toBeLessThanOrEqual(truth.get(videoId)! + 0.02);
        }
        const listed = new Set(view.map(({ videoId }) => videoId));
        if (view.length > 0) {
          for (const [videoId, count] of truth)
            if (!listed.has(videoId)) expect(count).toBeLessThanOrEqual(error + 0.02);
        }
      }),
    );
  });

  it('forgets what was hot', () => {
    const hot = new HotVideos({ capacity: 5, maxEventTypes: 4, windowMs: 1_000 }, 0);
    for (let i = 0; i < 100; i++) hot.add('view', 'old');
    expect(hot.report(0, 5).view).toEqual([{ videoId: 'old', estimate: 100, error: 0 }]);
    expect(hot.report(1_000, 5).view![0]!.estimate).toBeCloseTo(36.79, 1);
    expect(hot.report(30_000, 5)).toEqual({});
  });

  it('keeps so many event types and no more', () => {
    const hot = new HotVideos({ capacity: 5, maxEventTypes: 2, windowMs: NEVER_FADES }, 0);
    for (const type of ['view', 'like', 'share']) hot.add(type, 'v');
    expect(Object.keys(hot.report(0, 5))).toEqual(['view', 'like']);
  });
});
