import { beforeEach, describe, expect, it } from 'vitest';
import { decodeCheckpoint } from '../../../../client/log-driven/checkpoint.js';
import type { LogCounter } from '../../../../client/log-driven/log-counter.js';
import { DEFAULT_LOG_DRIVEN_LIMITS } from '../../../../client/log-driven/options.js';
import type { CountingRule } from '../../../../client/log-driven/source.js';
import { TallyringError } from '../../../../proto/errors.js';
import { COUNT_ALL, World } from './fakes.js';

describe('a counter of a log', () => {
  let world: World;

  beforeEach(() => {
    world = new World();
  });

  const held = () => decodeCheckpoint(world.register.value!);
  const counted = (counter: LogCounter<string>, offset: number) =>
    world.until(() => counter.status().committed === offset);
  const append = (times: number, key = 'a') => world.source.keys.push(...new Array<string>(times).fill(key));

  it('counts what is there and what comes, and gives the partition back when it stops', async () => {
    append(3);
    const counter = world.counter();
    void counter.run();
    expect(await counted(counter, 3)).toBe(true);
    append(4);
    await world.time.settle(counter.stop());
    expect(world.store.countOf('a')).toBe(7);
    expect(held()).toMatchObject({ committed: 7, end: undefined, owner: '' });
    expect(counter.status()).toMatchObject({ state: 'ended' });
  });

  it('stands by while another one counts, and takes over when that one is dead, not before', async () => {
    const [first, second] = [world.counter(), world.counter()];
    void first.run();
    expect(await world.until(() => first.status().state === 'owner')).toBe(true);
    void second.run();
    append(5);
    await world.time.run(world.time.nowMs + 30_000); // and idle for most of it
    expect(second.status().state).toBe('standby');
    expect(world.register.epoch).toBe(1);
    first.abort();
    const diedMs = world.time.nowMs;
    append(5);
    expect(await counted(second, 10)).toBe(true);
    const { takeOverAfterMs, flushIntervalMs } = DEFAULT_LOG_DRIVEN_LIMITS;
    expect(world.time.nowMs - diedMs).toBeGreaterThan(takeOverAfterMs - 1_000);
    expect(world.time.nowMs - diedMs).toBeLessThan(2 * takeOverAfterMs + 2_000 + 2 * flushIntervalMs);
    expect(world.store.countOf('a')).toBe(10);
  });

  it('leaves what nobody had to whoever takes it first, when several come at once', async () => {
    const counters = [world.counter(), world.counter(), world.counter()];
    for (const counter of counters) void counter.run();
    await world.time.run(world.time.nowMs + 20_000);
    const states = counters.map((counter) => counter.status().state);
    expect(states.sort()).toEqual(['owner', 'standby', 'standby']);
    expect(world.register.epoch).toBeLessThanOrEqual(counters.length); // all came before the first one's name stood
  });

  it('takes at once what was given back', async () => {
    const [first, second] = [world.counter(), world.counter()];
    void first.run();
    expect(await world.until(() => first.status().state === 'owner')).toBe(true);
    void second.run();
    await world.time.settle(first.stop());
    const givenMs = world.time.nowMs;
    expect(await world.until(() => second.status().state === 'owner')).toBe(true);
    expect(world.time.nowMs - givenMs).toBeLessThan(1_000);
  });

  it('completes the batch that a predecessor left when it died in a flush', async () => {
    append(3);
    const first = world.counter();
    world.store.whileWriting = () => new Promise(() => {});
    void first.run();
    expect(await world.until(() => world.register.written.length > 0 && held().end === 3)).toBe(true);
    first.abort();
    world.store.whileWriting = async () => {};
    append(2);
    const second = world.counter();
    void second.run();
    expect(await counted(second, 5)).toBe(true);
    expect(world.store.countOf('a')).toBe(5);
    expect(world.store.flushes.map(({ sequence }) => sequence)).toEqual([3, 5]);
    expect(new Set(world.store.flushes.map(({ producerId }) => producerId)).size).toBe(2);
  });

  it('stands by again when it is fenced, with nothing counted twice', async () => {
    append(3);
    const counter = world.counter();
    void counter.run();
    expect(await counted(counter, 3)).toBe(true);
    const thief = await world.register.acquire();
    append(2);
    expect(await world.until(() => counter.status().state === 'standby')).toBe(true);
    expect(thief.epoch).toBe(2);
    expect(await counted(counter, 5)).toBe(true); // the thief does nothing
    expect(world.store.countOf('a')).toBe(5);
  });

  const troubles: { of: string; code: string; hurt(): void; mend(): void }[] = [
    {
      of: 'a log that starts above what is to be counted next',
      code: 'DATA_LOSS',
      hurt: () => {
        world.source.start = 4;
      },
      mend: () => {
        world.source.start = 0;
      },
    },
    {
      of: 'a log that ends below what was counted',
      code: 'FAILED_PRECONDITION',
      hurt: () => world.source.keys.splice(2),
      mend: () => append(3),
    },
    {
      of: 'another log',
      code: 'FAILED_PRECONDITION',
      hurt: () => {
        world.source.logId = 'another';
      },
      mend: () => {
        world.source.logId = 'one';
      },
    },
  ];

  it.each(troubles)(
    'stops with $code for $of, touches nothing, and goes on when that is mended',
    async (trouble) => {
      append(3);
      const first = world.counter();
      void first.run();
      expect(await counted(first, 3)).toBe(true);
      await world.time.settle(first.stop());
      append(2);
      trouble.hurt();
      const { epoch } = world.register;
      const counter = world.counter();
      void counter.run();
      expect(await world.until(() => counter.status().state === 'stopped')).toBe(true);
      expect(counter.status().error).toMatchObject({ code: trouble.code });
      await world.time.run(world.time.nowMs + 20_000);
      expect(counter.status().state).toBe('stopped');
      expect(world.register.epoch).toBe(epoch);
      expect(world.store.countOf('a')).toBe(3);
      trouble.mend();
      expect(await counted(counter, 5)).toBe(true);
      expect(counter.status()).toMatchObject({ state: 'owner', error: undefined });
      expect(world.store.countOf('a')).toBe(5);
    },
  );

  it('does not spin on a source that answers at once with nothing', async () => {
    const counter = world.counter();
    void counter.run();
    expect(await world.until(() => counter.status().state === 'owner')).toBe(true);
    const { reads } = world.source;
    await world.time.run(world.time.nowMs + 10_000);
    expect(world.source.reads - reads).toBeLessThan(10_000 / 50 + 10);
    expect(world.source.reads - reads).toBeGreaterThan(5);
  });

  it('cuts batches at their limit of records', async () => {
    append(20);
    const counter = world.counter({ maxBatchRecords: 6, flushIntervalMs: 10 });
    void counter.run();
    expect(await counted(counter, 20)).toBe(true);
    const ends = world.store.flushes.map(({ sequence }) => sequence);
    expect(ends).toEqual([6, 12, 18, 20]);
  });

  it('cuts batches at their limit of cells', async () => {
    for (let i = 0; i < 20; i++) append(1, `key-${i}`);
    const counter = world.counter({ maxBatchCells: 4, flushIntervalMs: 10 });
    void counter.run();
    expect(await counted(counter, 20)).toBe(true);
    expect(Math.max(...world.store.flushes.map(({ cells }) => cells))).toBeLessThanOrEqual(4);
  });

  it('reads no more than one batch ahead while the store takes nothing', async () => {
    world.store.whileWriting = () => new Promise(() => {});
    append(20);
    let seen = 0;
    const rule: CountingRule<string> = {
      ...COUNT_ALL,
      begin: () => ({
        pass() {},
        count(_, key) {
          seen++;
          return { key, eventType: 'view', timestampMs: 0 };
        },
      }),
    };
    void world.counter({ maxBatchRecords: 6, flushIntervalMs: 10 }, rule).run();
    await world.time.run(world.time.nowMs + 60_000);
    expect(seen).toBe(12);
  });

  it('goes on under a fresh producerId when its cells are many, whole batches under one', async () => {
    for (let i = 0; i < 60; i++) append(1, `key-${i}`);
    const counter = world.counter({ maxCells: 12, maxBatchCells: 6, flushIntervalMs: 10 });
    void counter.run();
    expect(await counted(counter, 60)).toBe(true);
    const { flushes } = world.store;
    expect(new Set(flushes.map(({ producerId }) => producerId)).size).toBeGreaterThanOrEqual(5);
    expect(new Set(flushes.map(({ sequence }) => sequence)).size).toBe(flushes.length);
    for (let i = 0; i < 60; i++) expect(world.store.countOf(`key-${i}`)).toBe(1);
  });

  it('waits for what a batch rejected before it commits it, and tries that again', async () => {
    let failures = 3;
    const kept: number[] = [];
    const rule: CountingRule<string> = {
      ...COUNT_ALL,
      begin: () => ({
        pass() {},
        count: () => undefined,
        cut: () => async () => {
          if (failures-- > 0) throw new TallyringError('UNAVAILABLE', 'not now');
          kept.push(held().committed);
        },
      }),
    };
    append(2);
    const counter = world.counter({}, rule);
    void counter.run();
    expect(await counted(counter, 2)).toBe(true);
    expect(kept[0]).toBe(0);
  });

  it('ends while it stands by, and before it began', async () => {
    const counter = world.counter();
    await world.time.settle(counter.stop());
    expect(counter.status().state).toBe('ended');
    expect(world.register.epoch).toBe(0);
  });
});
