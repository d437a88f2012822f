import { describe, expect, it } from 'vitest';
import { PendingError, UnacknowledgedError } from '../../../client/errors.js';
import { TallyringError } from '../../../proto/errors.js';
import { errorOf, fakeCluster } from './open-client.js';

const view = (key: string) => ({ key, eventType: 'view' });

describe('increment', () => {
  it('resolves when acknowledged, and reads give it back', async () => {
    const { time, open } = fakeCluster();
    const client = await open();
    await time.settle(client.increment('k', 'view', { by: 5 }));
    await time.settle(client.increment('k', 'view', { by: -2n }));
    expect(await time.settle(client.get('k', 'view'))).toEqual({
      count: 2,
      sum: 3,
      min: -2,
      max: 5,
      average: 1.5,
    });
    expect(await time.settle(client.get('none', 'view'))).toEqual({
      count: 0,
      sum: 0,
      min: null,
      max: null,
      average: null,
    });
  });

  it('goes at once when nothing is in flight, and a burst goes in one flush', async () => {
    const { time, cluster, open } = fakeCluster();
    const client = await open({ flushIntervalMs: 1_000 });
    const before = time.nowMs;
    await time.settle(Promise.all(Array.from({ length: 50 }, (_, i) => client.increment(`k${i}`, 'view'))));
    expect(time.nowMs - before).toBeLessThan(20);
    // Batches of at most 4,096 bytes, one after another.
    expect(cluster.flushLevels.length).toBeLessThan(10);
    await time.settle(client.increment('k1', 'view'));
    expect(time.nowMs - before).toBeLessThan(40);
  });

  it('takes the time of the call, or the given one', async () => {
    const { time, clock, open } = fakeCluster();
    const client = await open();
    const now = clock.wallMs();
    await time.settle(client.increment('k', 'view'));
    await time.settle(client.increment('k', 'view', { timestamp: new Date(now - 7_200_000) }));
    const hour = (timestamp: number) => client.get('k', 'view', { granularity: 'hour', timestamp });
    expect((await time.settle(hour(now))).count).toBe(1);
    expect((await time.settle(hour(now - 7_200_000))).count).toBe(1);
    expect((await time.settle(hour(now - 3_600_000))).count).toBe(0);
  });

  const refused: [string, string, unknown[]][] = [
    ['empty key', 'INVALID_ARGUMENT', ['', 'view']],
    ['key that is no string', 'INVALID_ARGUMENT', [7, 'view']],
    ['long key', 'INVALID_ARGUMENT', ['x'.repeat(1025), 'view']],
    ['lone surrogate', 'INVALID_ARGUMENT', ['\ud800', 'view']],
    ['empty eventType', 'INVALID_ARGUMENT', ['k', '']],
    ['NaN', 'INVALID_ARGUMENT', ['k', 'view', { by: Number.NaN }]],
    ['fraction', 'INVALID_ARGUMENT', ['k', 'view', { by: 1.5 }]],
    ['unsafe number', 'INVALID_ARGUMENT', ['k', 'view', { by: 2 ** 53 }]],
    ['beyond int64', 'OUT_OF_RANGE', ['k', 'view', { by: 2n ** 63n }]],
    ['no time', 'INVALID_ARGUMENT', ['k', 'view', { timestamp: new Date('x') }]],
    ['far ahead', 'INVALID_ARGUMENT', ['k', 'view', { timestamp: 4e12 }]],
    ['unknown level', 'INVALID_ARGUMENT', ['k', 'view', { consistency: 'MOST' }]],
    ['no timeout', 'INVALID_ARGUMENT', ['k', 'view', { timeoutMs: Number.NaN }]],
  ];
  it.each(refused)('refuses at once, not counted: %s', async (_, code, args) => {
    const { time, open, cluster } = fakeCluster();
    const client = await open();
    const increment = client.increment.bind(client) as (...args: unknown[]) => Promise<void>;
    const error = (await errorOf(increment(...args))) as TallyringError;
    expect(error).toBeInstanceOf(TallyringError);
    expect(error).toMatchObject({ code, retryable: false, mayHaveApplied: false });
    await time.settle(client.close());
    expect(cluster.nodes[0]!.entries.size).toBe(0);
  });

  it('refuses an overflow before anything is changed', async () => {
    const { time, open } = fakeCluster();
    const client = await open({ int64: 'bigint' });
    await time.settle(client.increment('k', 'view', { by: 2n ** 63n - 1n }));
    expect(await errorOf(client.increment('k', 'view'))).toMatchObject({
      code: 'OUT_OF_RANGE',
      retryable: false,
    });
    expect(() => client.count('k', 'view')).toThrow(expect.objectContaining({ code: 'OUT_OF_RANGE' }));
    await time.settle(client.increment('k', 'view', { by: -1 }));
    expect(await time.settle(client.get('k', 'view'))).toMatchObject({ count: 2n, sum: 2n ** 63n - 2n });
  });

  it('refuses beyond maxWaiting, not counted', async () => {
    const { time, open, cluster } = fakeCluster();
    const client = await open({ maxWaiting: 2 });
    const taken = [client.increment('k', 'view'), client.increment('k', 'view')];
    expect(await errorOf(client.increment('k', 'view'))).toMatchObject({
      code: 'OVERLOADED',
      retryable: true,
    });
    await time.settle(Promise.all(taken));
    await time.settle(client.increment('k', 'view'));
    expect(cluster.value(view('k')).count).toBe(3);
  });

  it('refuses a signal that is aborted already, not counted', async () => {
    const { time, open, cluster } = fakeCluster();
    const client = await open();
    const reason = new Error('enough');
    expect(await errorOf(client.increment('k', 'view', { signal: AbortSignal.abort(reason) }))).toBe(reason);
    await time.settle(client.close());
    expect(cluster.value(view('k')).count).toBe(0);
  });
});

describe('a wait that ends', () => {
  it('by timeout: PendingError, counted later exactly once', async () => {
    const { time, open, cluster } = fakeCluster();
    const client = await open();
    for (const node of cluster.nodes) node.state = 'refusing';
    const error = (await errorOf(
      time.settle(client.increment('k', 'view', { timeoutMs: 3_000 })),
    )) as PendingError;
    expect(error).toBeInstanceOf(PendingError);
    expect(error).toMatchObject({
      code: 'PENDING',
      counted: 'pending',
      retryable: false,
      mayHaveApplied: true,
    });
    expect(error.message).toContain('do not call again');
    expect(error.cause).toMatchObject({ code: 'UNAVAILABLE' });
    for (const node of cluster.nodes) node.state = 'up';
    await time.settle(error.settled);
    expect(cluster.value(view('k'))).toMatchObject({ count: 1, sum: 1 });
  });

  it('by abort: the same, and other waits go on', async () => {
    const { time, open, cluster } = fakeCluster();
    const client = await open();
    cluster.nodes[0]!.state = 'refusing';
    cluster.nodes[1]!.state = 'refusing';
    const abort = new AbortController();
    const aborted = client.increment('k', 'view', { signal: abort.signal });
    const other = client.increment('k', 'view');
    time.after(500, () => abort.abort(new Error('enough')));
    const error = (await errorOf(time.settle(aborted))) as PendingError;
    expect(error).toMatchObject({ code: 'PENDING', cause: { message: 'enough' } });
    cluster.nodes[0]!.state = 'up';
    await time.settle(Promise.all([error.settled, other]));
    expect(cluster.value(view('k')).count).toBe(2);
  });

  it('flush: everything taken so far, also what count() took', async () => {
    const { time, open, cluster } = fakeCluster();
    const client = await open({ flushIntervalMs: 5_000, countIntervalMs: 5_000, maxFlushCells: 3 });
    for (let i = 0; i < 20; i++) client.count(`k${i}`, 'view', 2);
    await time.settle(client.flush({ timeoutMs: 200_000 }), 300_000);
    expect(cluster.grandTotal()).toBe(40);
    await time.settle(client.flush());
    for (const node of cluster.nodes) node.state = 'refusing';
    client.count('k1', 'view');
    const error = (await errorOf(time.settle(client.flush({ timeoutMs: 1_000 })))) as PendingError;
    expect(error).toBeInstanceOf(PendingError);
    for (const node of cluster.nodes) node.state = 'up';
    await time.settle(error.settled);
    expect(cluster.grandTotal()).toBe(41);
  });
});

describe('close', () => {
  it('flushes, refuses what comes later, and lets the process end', async () => {
    const { time, open, cluster, busy } = fakeCluster();
    const client = await open();
    for (let i = 0; i < 10; i++) client.count('k', 'view');
    expect(busy.at(-1)).toBe(true);
    const closing = client.close();
    expect(() => client.count('k', 'view')).toThrow(
      expect.objectContaining({ code: 'CLOSED', mayHaveApplied: false }),
    );
    expect(await errorOf(client.increment('k', 'view'))).toMatchObject({ code: 'CLOSED' });
    await time.settle(closing);
    await time.settle(client[Symbol.asyncDispose]());
    expect(await errorOf(client.get('k', 'view'))).toMatchObject({ code: 'CLOSED' });
    expect(cluster.value(view('k')).count).toBe(10);
    expect(busy.at(-1)).toBe(false);
  });

  it('names what stayed unacknowledged', async () => {
    const { time, open, cluster } = fakeCluster();
    const client = await open();
    await time.settle(client.increment('known', 'view'));
    for (const node of cluster.nodes) node.state = 'stalled';
    for (let i = 0; i < 150; i++) client.count(`k${i}`, 'view');
    const waiting = client.increment('waited', 'like', { timeoutMs: 60_000 });
    const ended = errorOf(waiting);
    const error = (await errorOf(time.settle(client.close({ timeoutMs: 3_000 })))) as UnacknowledgedError;
    expect(error).toBeInstanceOf(UnacknowledgedError);
    expect(error).toMatchObject({ seriesCount: 151, retryable: false, mayHaveApplied: true });
    expect(error.series).toHaveLength(100);
    expect(error.message).toContain('k0');
    expect(error.message).not.toContain('known');
    expect(await ended).toBe(error);
  });
});

describe('reads', () => {
  it('getMany: one outcome per query, in order, over many calls', async () => {
    const { time, open } = fakeCluster();
    const client = await open();
    for (let i = 0; i < 1_200; i++) client.count(`k${i}`, 'view', i);
    await time.settle(client.flush());
    const queries = Array.from({ length: 1_200 }, (_, i) => view(`k${i}`));
    const outcomes = await time.settle(client.getMany(queries));
    expect(outcomes.map(({ value }) => value?.sum)).toEqual(queries.map((_, i) => i));
  });

  it('one value out of range spoils only its own outcome', async () => {
    const { time, open } = fakeCluster();
    const client = await open();
    await time.settle(client.increment('big', 'view', { by: 2n ** 60n }));
    await time.settle(client.increment('small', 'view'));
    const [big, small] = await time.settle(client.getMany([view('big'), view('small')]));
    expect(big!.error).toMatchObject({ code: 'OUT_OF_RANGE' });
    expect(small!.value!.sum).toBe(1);
    expect(await errorOf(time.settle(client.get('big', 'view')))).toMatchObject({ code: 'OUT_OF_RANGE' });
  });

  it('an abort ends a read at once', async () => {
    const { time, open, cluster } = fakeCluster();
    const client = await open();
    for (const node of cluster.nodes) node.state = 'stalled';
    const abort = new AbortController();
    time.after(100, () => abort.abort(new Error('enough')));
    const before = time.nowMs;
    const error = await errorOf(time.settle(client.get('k', 'view', { signal: abort.signal })));
    expect(error.message).toBe('enough');
    expect(time.nowMs - before).toBeLessThan(150);
  });

  it('a read ends by its deadline', async () => {
    const { time, open, cluster } = fakeCluster();
    const client = await open();
    for (const node of cluster.nodes) node.state = 'stalled';
    const before = time.nowMs;
    const error = await errorOf(time.settle(client.get('k', 'view', { timeoutMs: 3_000 })));
    expect(error).toMatchObject({ code: 'READ_TIMEOUT', retryable: true });
    expect(time.nowMs - before).toBeLessThanOrEqual(3_000);
  });

  it('refuses what cannot be read', async () => {
    const { open } = fakeCluster();
    const client = await open();
    const range = { start: 0, end: 3_600_000 };
    for (const read of [
      client.get('', 'view'),
      client.get('k', 'view', { granularity: 'week' as never }),
      client.get('k', 'view', { granularity: 'day' }),
      client.get('k', 'view', { consistency: 'MOST' as never }),
      client.stats('k', 'view', { ...range, start: new Date('x') }),
      client.stats('k', 'view', { ...range, functions: ['median' as never] }),
    ]) {
      expect(await errorOf(read)).toMatchObject({ code: 'INVALID_ARGUMENT' });
    }
  });
});
