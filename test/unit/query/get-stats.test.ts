import { describe, expect, it } from 'vitest';
import { TallyringError } from '../../../proto/errors.js';
import { DAY_MS, HOUR_MS, NOW_MS, queryFixture } from './query-fixture.js';

const at = (text: string) => Date.parse(`${text}Z`);

function counted() {
  const fixture = queryFixture();
  const { store } = fixture;
  store.count('a', 'watch_ms', at('2026-01-05T10:15:00'), 3_000);
  store.count('a', 'watch_ms', at('2026-01-05T10:45:00'), 1_000);
  store.count('a', 'watch_ms', at('2026-01-05T12:00:00'), 500);
  return fixture;
}

describe('/getStats', () => {
  it('gives the value and the series of a range, and what it really covers', async () => {
    const { get } = counted();
    const { body } = await get(
      '/getStats?videoId=a&eventType=watch_ms&function=count,average&granularity=hour' +
        '&startTime=2026-01-05T10:30:00Z&endTime=2026-01-05T11:59:00Z',
    );
    expect(body).toEqual({
      eventType: 'watch_ms',
      consistency: 'QUORUM',
      asked: {
        startTime: '2026-01-05T10:30:00.000Z',
        endTime: '2026-01-05T11:59:00.000Z',
        granularity: 'hour',
      },
      covered: {
        startTime: '2026-01-05T10:00:00.000Z',
        endTime: '2026-01-05T12:00:00.000Z',
        granularity: 'hour',
      },
      cached: false,
      videos: [
        {
          videoId: 'a',
          count: 2,
          average: 2_000,
          series: [{ startTime: '2026-01-05T10:00:00.000Z', count: 2, average: 2_000 }],
        },
      ],
    });
  });

  it('fills the gaps of a series when asked to', async () => {
    const { get } = counted();
    const { body } = await get(
      `/getStats?videoId=a&eventType=watch_ms&function=sum&granularity=hour&fill=zero&startTime=${at('2026-01-05T10:00:00')}&endTime=${at('2026-01-05T13:00:00')}`,
    );
    expect(body.videos[0].series.map(({ sum }: { sum: number }) => sum)).toEqual([4_000, 0, 500]);
  });

  it('without a range it is the last 24 hours, without a granularity there is no series', async () => {
    const { store, get } = counted();
    store.count('b', 'view', NOW_MS - DAY_MS - 2 * HOUR_MS);
    store.count('b', 'view', NOW_MS - 20 * HOUR_MS);
    const { body } = await get('/getStats?videoId=b&eventType=view&videoId=c');
    expect(body.asked).toEqual({
      startTime: new Date(NOW_MS - DAY_MS).toISOString(),
      endTime: new Date(NOW_MS).toISOString(),
    });
    expect(body.videos).toEqual([
      { videoId: 'b', count: 1, sum: 1, average: 1, min: 1, max: 1 },
      { videoId: 'c', count: 0, sum: 0, average: null, min: null, max: null },
    ]);
  });

  it.each([
    ['startTime=2026-01-05T10:00:00+02:00', '2026-01-05T08:00:00.000Z'],
    ['startTime=2026-01-05T10:00:00%2B02:00', '2026-01-05T08:00:00.000Z'],
    ['startTime=2026-01-05', '2026-01-05T00:00:00.000Z'],
    ['startTime=1767607200000', '2026-01-05T10:00:00.000Z'],
  ])('takes %s', async (parameter, startTime) => {
    const { get } = counted();
    const { body } = await get(`/getStats?videoId=a&eventType=watch_ms&${parameter}`);
    expect(body.asked.startTime).toBe(startTime);
  });

  it.each([
    ['startTime=yesterday', '"yesterday" is no time'],
    ['startTime=2026-01-05T10:00:00', 'with a zone'],
    ['startTime=2026-02-30', '"2026-02-30" is no time'],
    ['startTime=2026-13-01', 'is no time'],
    ['startTime=1767607200', '1767607200 looks like seconds'],
    ['startTime=9999999999999999', 'beyond what a date can say'],
    ['startTime=2026-01-05&endTime=2026-01-05', 'must lie after startTime'],
    ['startTime=2030-01-01', 'Z (now) must lie after startTime 2030-01-01'],
    ['consistency=most', 'consistency must be one of ONE'],
    ['startTime=2026-01-05&endTime=2026-01-04', 'endTime 2026-01-04T00:00:00.000Z must lie after'],
    ['function=count,median', 'function[1]'],
    ['function=', 'function[0]'],
    ['granularity=week', 'granularity'],
    ['granularity=total', 'granularity'],
    [
      'granularity=minute',
      'granularity minute is not kept (rollups in cluster.yml); ask for one of day, hour',
    ],
    ['fill=null', 'fill'],
    ['start=2026-01-05', 'unknown query parameter "start"'],
    [
      'granularity=hour&startTime=2024-01-01',
      'windows of an hour, with events or without, more than 10000 (maxPoints); ask for a shorter range',
    ],
  ])('refuses %s', async (parameters, words) => {
    const { store, get } = counted();
    const { status, body } = await get(`/getStats?videoId=a&eventType=watch_ms&${parameters}`);
    expect(status).toBe(400);
    expect(body.error.message).toContain(words);
    expect(store.calls).toEqual([]);
  });
});

describe('the cache of /getStats', () => {
  const settled = '/getStats?videoId=a&eventType=watch_ms&startTime=2026-01-05&endTime=2026-01-06';

  it('keeps answers about ranges that ended two days ago for a minute', async () => {
    const { store, clock, get } = counted();
    expect((await get(settled)).body.cached).toBe(false);
    clock.ms += 59_000;
    const again = (await get(settled)).body;
    expect(again).toMatchObject({ cached: true, ageMs: 59_000, videos: [{ count: 3 }] });
    store.count('a', 'watch_ms', at('2026-01-05T10:00:00'), 1); // a late event
    clock.ms += 1_000;
    expect((await get(settled)).body).toMatchObject({ cached: false, videos: [{ count: 4 }] });
    expect(store.calls).toHaveLength(2);
  });

  it('is passed by with Cache-Control: no-cache, which renews it', async () => {
    const { store, get } = counted();
    await get(settled);
    store.count('a', 'watch_ms', at('2026-01-05T10:00:00'), 1);
    const fresh = await get(settled, { 'cache-control': 'no-cache' });
    expect(fresh.body).toMatchObject({ cached: false, videos: [{ count: 4 }] });
    expect((await get(settled)).body).toMatchObject({ cached: true, videos: [{ count: 4 }] });
  });

  it('keeps nothing that may still change, another level’s, or errors', async () => {
    const { store, get } = counted();
    const recent = `/getStats?videoId=a&eventType=watch_ms&endTime=${NOW_MS - 47 * HOUR_MS}`;
    for (const _ of [1, 2]) expect((await get(recent)).body.cached).toBe(false);
    await get(settled);
    expect((await get(`${settled}&consistency=ONE`)).body.cached).toBe(false);
    store.failures.set('b', new TallyringError('UNAVAILABLE', 'away'));
    for (const _ of [1, 2]) expect((await get(`${settled}&videoId=b`)).body.cached).toBe(false);
  });

  it('has a bound', async () => {
    const { store, get } = queryFixture({ maxCachedPoints: 3 });
    for (const video of ['a', 'b', 'c', 'd', 'd', 'a']) await get(settled.replace('=a', `=${video}`));
    expect(store.calls.map(({ keys }) => keys[0])).toEqual(['a', 'b', 'c', 'd', 'a']);
  });
});
