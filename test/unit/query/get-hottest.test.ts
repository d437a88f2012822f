import { describe, expect, it } from 'vitest';
import { HOTTEST_KEY } from '../../../services/processing/hottest-publisher.js';
import type { FakeStore } from './fake-store.js';
import { HOUR_MS, NOW_MS, queryFixture } from './query-fixture.js';

function leave(store: FakeStore, partition: string, videos: [string, number, number][], at = NOW_MS - 1_000) {
  const view = videos.map(([videoId, estimate, error]) => ({ videoId, estimate, error }));
  store.setColumn(HOTTEST_KEY, partition, JSON.stringify({ at, windowMs: HOUR_MS, byType: { view } }));
}

describe('/getHottest', () => {
  it('merges the partitions’ lists, and puts the exact counts of the last hour beside them', async () => {
    const { store, get } = queryFixture();
    leave(store, '0', [
      ['a', 10, 1],
      ['b', 7, 0],
    ]);
    leave(store, '1', [['c', 8, 2]], NOW_MS - 3_000);
    store.setColumn('a', 'name', 'The A');
    store.count('a', 'view', NOW_MS - 1);
    store.count('a', 'view', NOW_MS - HOUR_MS);
    store.count('a', 'view', NOW_MS - 2 * HOUR_MS);
    expect((await get('/getHottest?limit=2')).body).toEqual({
      eventType: 'view',
      approximate: true,
      window: {
        ms: HOUR_MS,
        oldest: new Date(NOW_MS - 3_000).toISOString(),
        newest: new Date(NOW_MS - 1_000).toISOString(),
      },
      partitions: { used: 2, outdated: 0, malformed: 0 },
      lastHour: { startTime: '2026-02-01T11:00:00.000Z', endTime: '2026-02-01T13:00:00.000Z' },
      videos: [
        {
          videoId: 'a',
          name: 'The A',
          estimate: 10,
          maxOverestimate: 1,
          lastHour: { count: 2, sum: 2 },
        },
        { videoId: 'c', name: null, estimate: 8, maxOverestimate: 2, lastHour: { count: 0, sum: 0 } },
      ],
    });
  });

  it('leaves out lists older than their window and what is no list, and says so', async () => {
    const { store, get } = queryFixture();
    leave(store, '0', [['old', 99, 0]], NOW_MS - HOUR_MS - 1);
    leave(store, '1', [['a', 1, 0]]);
    store.setColumn(HOTTEST_KEY, '2', 'not JSON');
    store.setColumn(HOTTEST_KEY, '3', '{"at":1}');
    const { body } = await get('/getHottest');
    expect(body.videos.map(({ videoId }: { videoId: string }) => videoId)).toEqual(['a']);
    expect(body.partitions).toEqual({ used: 1, outdated: 1, malformed: 2 });
  });

  it('is empty where nothing was left, or nothing of that type', async () => {
    const { store, get } = queryFixture();
    expect((await get('/getHottest')).body.videos).toEqual([]);
    leave(store, '0', [['a', 1, 0]]);
    expect((await get('/getHottest?eventType=like')).body.videos).toEqual([]);
  });

  it.each(['0', '101', '1.5', 'ten', '-1'])('refuses limit=%s', async (limit) => {
    const { get } = queryFixture();
    const { status, body } = await get(`/getHottest?limit=${limit}`);
    expect(status).toBe(400);
    expect(body.error.message).toContain('query parameter limit');
  });
});
