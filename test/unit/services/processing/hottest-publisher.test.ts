import { describe, expect, it } from 'vitest';
import {
  HOTTEST_KEY,
  hottestText,
  publishHottest,
} from '../../../../services/processing/hottest-publisher.js';

const videos = (count: number, idBytes: number) =>
  Array.from({ length: count }, (_, i) => ({
    videoId: `${i}`.padEnd(idBytes, 'x'),
    estimate: count - i,
    error: 0,
  }));

describe('what owners publish of the hottest videos', () => {
  it('is one column for each partition', async () => {
    const written: [string, Record<string, unknown>][] = [];
    const client = {
      setColumns: async (key: string, columns: object) => {
        written.push([key, columns as Record<string, unknown>]);
      },
    };
    const view = videos(2, 3);
    const parts = { client, pipeline: 'main', windowMs: 60_000, wallMs: () => 5, timeoutMs: 100 };
    await publishHottest({ ...parts, hottest: () => new Map([[3, { view }]]) });
    expect(written).toEqual([
      [HOTTEST_KEY, { 'main/3': JSON.stringify({ at: 5, windowMs: 60_000, byType: { view } }) }],
    ]);
    await publishHottest({ ...parts, hottest: () => new Map() });
    expect(written).toHaveLength(1);
  });

  it('has as many videos as a column holds, the hottest ones', () => {
    const byType = Object.fromEntries(['a', 'b', 'c'].map((type) => [type, videos(50, 1_000)]));
    const text = hottestText({ at: 0, windowMs: 1, byType })!;
    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(30_000);
    const kept = (JSON.parse(text) as { byType: typeof byType }).byType.a!;
    expect(kept).toEqual(videos(50, 1_000).slice(0, kept.length));
    expect(kept.length).toBeGreaterThan(3);
  });

  it('is nothing when not one of each type fits', () => {
    const byType = Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`type-${i}`, videos(1, 1_000)]));
    expect(hottestText({ at: 0, windowMs: 1, byType })).toBeUndefined();
  });
});
