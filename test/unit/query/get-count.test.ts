import { describe, expect, it } from 'vitest';
import { TallyringError } from '../../../proto/errors.js';
import { NOW_MS, queryFixture } from './query-fixture.js';

const away = new TallyringError('UNAVAILABLE', 'too few', { required: 2, live: 1, received: 0 });

describe('/getCount', () => {
  it('gives totals, and zeros for what was never seen', async () => {
    const { store, get } = queryFixture();
    store.count('a', 'like', NOW_MS, 5);
    store.count('a', 'like', NOW_MS, 2);
    expect((await get('/getCount?videoId=a&videoId=b&eventType=like')).body).toEqual({
      eventType: 'like',
      consistency: 'QUORUM',
      videos: [
        { videoId: 'a', count: 2, sum: 7, average: 3.5, min: 2, max: 5 },
        { videoId: 'b', count: 0, sum: 0, average: null, min: null, max: null },
      ],
    });
  });

  it('does not round', async () => {
    const { store, get } = queryFixture();
    store.count('a', 'like', NOW_MS, 2n ** 53n + 1n);
    const { body } = await get('/getCount?videoId=a&eventType=like');
    expect(body.videos[0]).toMatchObject({ count: 1, sum: '9007199254740993' });
  });

  it('asks at the level that the request names', async () => {
    const { store, get } = queryFixture();
    expect((await get('/getCount?videoId=a&eventType=like&consistency=ONE')).body.consistency).toBe('ONE');
    expect(store.calls).toMatchObject([
      { call: 'getMany', options: { consistency: 'ONE', timeoutMs: 5_000 } },
    ]);
  });

  it('says of each video why it cannot be read, and fails when none can', async () => {
    const { store, get } = queryFixture();
    store.failures.set('a', away);
    const some = await get('/getCount?videoId=a&videoId=b&eventType=like');
    expect(some.status).toBe(200);
    expect(some.body.videos).toMatchObject([
      { videoId: 'a', error: { code: 'UNAVAILABLE', required: 2, live: 1 } },
      { videoId: 'b', count: 0 },
    ]);
    const none = await get('/getCount?videoId=a&eventType=like');
    expect(none.status).toBe(503);
    expect(none.headers['retry-after']).toBe('1');
    expect(none.body.error).toMatchObject({ code: 'UNAVAILABLE', required: 2, received: 0, live: 1 });
  });

  it.each([
    ['/getCount?eventType=like', 'query parameter videoId'],
    ['/getCount?videoId=a', 'query parameter eventType is missing'],
    ['/getCount?videoId=&eventType=like', 'query parameter videoId[0]: it is empty'],
    [`/getCount?videoId=${'x'.repeat(1_025)}&eventType=like`, 'longer than 1024 bytes'],
    ['/getCount?videoId=a&eventType=like&eventType=view', 'query parameter eventType'],
    ['/getCount?videoId=a&eventType=like&consistency=SOME', 'QUORUM'],
    ['/getCount?videoId=a&eventType=like&granularity=day', 'unknown query parameter "granularity"'],
    ['/getCount?videoId=a&videoId=b&videoId=c&eventType=like', 'at most 2 videos in one request (maxVideos)'],
  ])('refuses %s', async (url, words) => {
    const { store, get } = queryFixture({ maxVideos: 2 });
    const { status, body } = await get(url);
    expect(status).toBe(400);
    expect(body.error).toMatchObject({ code: 'INVALID_ARGUMENT', retryable: false });
    expect(body.error.message).toContain(words);
    expect(store.calls).toEqual([]);
  });
});
