import { describe, expect, it } from 'vitest';
import { TallyringError } from '../../../proto/errors.js';
import { HOUR_MS, NOW_MS, queryFixture } from './query-fixture.js';

function described() {
  const fixture = queryFixture();
  const { store } = fixture;
  store.setColumn('a', 'name', 'Cats, "again"');
  store.setColumn('a', 'channel', 'Cats\u001b[31m');
  store.count('a', 'view', NOW_MS);
  store.count('a', 'view', NOW_MS - HOUR_MS);
  store.count('a', 'view', NOW_MS - HOUR_MS);
  store.count('a', 'view', NOW_MS - 3 * HOUR_MS);
  return fixture;
}

describe('/getReport', () => {
  it('has name, channel, and views of the last hours, the one that goes on included', async () => {
    const { get } = described();
    const { body } = await get('/getReport?videoId=a&videoId=b&hours=2');
    expect(body).toEqual({
      eventType: 'view',
      consistency: 'QUORUM',
      covered: {
        startTime: '2026-02-01T11:00:00.000Z',
        endTime: '2026-02-01T13:00:00.000Z',
        granularity: 'hour',
      },
      videos: [
        {
          videoId: 'a',
          name: 'Cats, "again"',
          channel: 'Cats\u001b[31m',
          total: 3,
          hours: [
            { startTime: '2026-02-01T11:00:00.000Z', count: 2 },
            { startTime: '2026-02-01T12:00:00.000Z', count: 1 },
          ],
        },
        expect.objectContaining({ videoId: 'b', name: null, channel: null, total: 0 }),
      ],
    });
    expect((await get('/getReport?videoId=a')).body.videos[0].hours).toHaveLength(6);
  });

  it('as CSV', async () => {
    const { get } = described();
    const { text, headers } = await get('/getReport?videoId=a&hours=2&format=csv');
    expect(headers['content-type']).toBe('text/csv; charset=utf-8; header=present');
    expect(text).toBe(
      'videoId,name,channel,2026-02-01T11:00:00.000Z,2026-02-01T12:00:00.000Z,total\r\n' +
        'a,"Cats, ""again""",Cats\u001b[31m,2,1,3\r\n',
    );
  });

  it('as a table for a terminal, which no name steers', async () => {
    const { get } = described();
    const { text, headers } = await get('/getReport?videoId=a&hours=2&format=text');
    expect(headers['content-type']).toBe('text/plain; charset=utf-8');
    expect(text).toBe(`view per hour, UTC; the last hour is still going on
┌───────────────────┬───────────┬───────┬───────┬───────┐
│ video             │ channel   │ 02-01 │       │ total │
│                   │           │ 11:00 │ 12:00 │       │
├───────────────────┼───────────┼───────┼───────┼───────┤
│ Cats, "again" (a) │ Cats\uFFFD[31m │     2 │     1 │     3 │
└───────────────────┴───────────┴───────┴───────┴───────┘
`);
  });

  it('a table has all rows or is an error', async () => {
    const { store, get } = described();
    store.failures.set('b', new TallyringError('READ_TIMEOUT', 'late'));
    expect((await get('/getReport?videoId=a&videoId=b')).status).toBe(200);
    expect((await get('/getReport?videoId=a&videoId=b&format=csv')).status).toBe(504);
  });

  it('columns that cannot be read spoil no count', async () => {
    const { store, get } = described();
    store.getColumns = async (keys) =>
      keys.map(() => ({ error: new TallyringError('READ_TIMEOUT', 'late') }));
    expect((await get('/getReport?videoId=a')).body.videos[0]).toMatchObject({ name: null, total: 4 });
  });

  it.each(['hours=0', 'hours=169', 'hours=x', 'format=xml'])('refuses %s', async (parameter) => {
    expect((await described().get(`/getReport?videoId=a&${parameter}`)).status).toBe(400);
  });
});
