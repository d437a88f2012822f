import { describe, expect, it } from 'vitest';
import { silentLogger } from '../../../ports/logger.js';
import { TallyringError } from '../../../proto/errors.js';
import { LateStore } from '../../../services/query/late-store.js';
import type { QueryStore } from '../../../services/query/store.js';
import { FakeStore } from './fake-store.js';

const away = new TallyringError('UNAVAILABLE', 'nobody answers');

/** `tick` runs what waits for its time. */
function fixture(connect: () => Promise<QueryStore>) {
  const waiting: (() => void)[] = [];
  const timers = {
    after: (_: number, callback: () => void) => {
      waiting.push(callback);
      return { cancel() {} };
    },
  };
  const store = new LateStore({ connect, intervalMs: 10, timers, logger: silentLogger });
  const tick = async () => {
    await expect.poll(() => waiting.length).toBe(1);
    waiting.shift()!();
  };
  return { store, tick };
}

describe('a store that is there late', () => {
  it('is unavailable with the reason, until it is found', async () => {
    const fake = new FakeStore();
    let isThere = false;
    const { store, tick } = fixture(async () => {
      if (!isThere) throw away;
      return fake;
    });
    await store.seek();
    expect(store.sight).toEqual({ reachable: false, reason: 'the store is not reached: nobody answers' });
    expect(() => store.rollups).toThrow('nobody answers');
    await expect(store.getMany([], {})).rejects.toMatchObject({ code: 'UNAVAILABLE', retryable: true });
    isThere = true;
    await tick();
    await expect.poll(() => store.sight.reachable).toBe(true);
    expect(await store.getMany([{ key: 'a', eventType: 'view' }], {})).toHaveLength(1);
  });

  it('is looked at while nobody reads', async () => {
    const fake = new FakeStore();
    const { store, tick } = fixture(async () => fake);
    await store.seek();
    expect(store.sight).toEqual({ reachable: true });
    fake.failure = away;
    await tick();
    await expect.poll(() => store.sight).toEqual({ reachable: false, reason: 'nobody answers' });
    fake.failure = undefined;
    await tick();
    await expect.poll(() => store.sight.reachable).toBe(true);
  });

  it('an error of one video, or of the request, is none of the store', async () => {
    const fake = new FakeStore();
    const { store } = fixture(async () => fake);
    await store.seek();
    fake.failures.set('a', away);
    await store.getColumns(['a', 'b'], {});
    expect(store.sight.reachable).toBe(true);
    fake.failure = new TallyringError('INVALID_ARGUMENT', 'no');
    await expect(store.getColumns(['a'], {})).rejects.toThrow('no');
    expect(store.sight.reachable).toBe(true);
  });

  it('that is found after closing is closed', async () => {
    const fake = new FakeStore();
    let find = (_: QueryStore) => {};
    const { store } = fixture(
      () =>
        new Promise((resolve) => {
          find = resolve;
        }),
    );
    const sought = store.seek();
    await store.close();
    find(fake);
    await sought;
    expect(fake.isClosed).toBe(true);
  });
});
