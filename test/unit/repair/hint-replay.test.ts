import { describe, expect, it } from 'vitest';
import { HintReplay } from '../../../node/repair/hint-replay.js';
import { HintStore } from '../../../node/storage/hints.js';
import type { Entry } from '../../../proto/entry.js';
import { shardEntry, World, type WorldOptions } from '../quorum/world.js';

const SECOND = 1_000;
const many = (count: number, sequence = 1): Entry[] =>
  Array.from({ length: count }, (_, i) => shardEntry({ key: `video-${i}`, sequence }));

async function replaying(options: WorldOptions = {}) {
  const world = await World.open(options);
  const { context } = world.node('a');
  const records = context.replica.store.local;
  const { limits, clock, metrics } = context;
  const hints = await HintStore.open({ records, limits, clock, metrics });
  const replay = new HintReplay(context, hints);
  const pass = (ms: number) => world.time.run(world.time.nowMs + ms);
  const messages = () => world.calls.filter(({ kind }) => kind === 'merge').length;
  return { world, hints, replay, pass, messages };
}

describe('hint replay', () => {
  it('delivers what a replica missed once it is live again, and forgets it', async () => {
    const { world, hints, replay, pass, messages } = await replaying();
    world.down.add('b');
    replay.keep('b', many(3));
    replay.start();
    await pass(10 * SECOND);
    expect(messages()).toBe(0);
    expect(hints.stats('b').entries).toBe(3);
    world.down.clear();
    await pass(2 * SECOND);
    expect(await world.node('b').entries()).toHaveLength(3);
    expect(hints.targets()).toEqual([]);
    await pass(60 * SECOND);
    expect(messages()).toBe(1);
    replay.stop();
  });

  it('keeps a hint that was replaced by a newer state while the older was delivered', async () => {
    const { world, replay, pass } = await replaying();
    world.fate = ({ kind }) => (kind === 'merge' ? { delayMs: 500 } : undefined);
    replay.keep('b', many(1, 1));
    replay.start();
    await pass(1_200); // on its way
    replay.keep('b', many(1, 2));
    await pass(5 * SECOND);
    expect(await world.node('b').content()).toEqual(
      many(1, 2).map(({ key, value }) => `${key.toString('hex')}=${value.toString('hex')}`),
    );
    replay.stop();
  });

  it('tries again after a failure, and loses nothing of it', async () => {
    const { world, hints, replay, pass } = await replaying();
    replay.keep('b', many(2_500));
    await pass(1);
    world.fate = ({ sent }) => (sent === 1 || sent === 2 ? 'refused' : undefined);
    replay.start();
    await pass(1_500); // the first page was delivered, the second refused
    expect(hints.stats('b').entries).toBe(1_500);
    await pass(10 * SECOND);
    expect(hints.stats('b').entries).toBe(0);
    expect(await world.node('b').entries()).toHaveLength(2_500);
    replay.stop();
  });

  it('keeps to its rate, one replay per target at a time', async () => {
    const { world, replay, pass, messages } = await replaying({ limits: { hintReplayPerSecond: 1_000 } });
    replay.keep('b', many(5_000));
    replay.start();
    await pass(3_500);
    expect(messages()).toBeLessThanOrEqual(4);
    await pass(10 * SECOND);
    expect(messages()).toBe(5);
    expect(await world.node('b').entries()).toHaveLength(5_000);
    replay.stop();
  });

  it('stores nothing beyond what may wait, and nothing for itself', async () => {
    const { hints, replay, pass } = await replaying({ limits: { maxWaitingHints: 100 } });
    replay.keep('b', many(90));
    replay.keep('c', many(20));
    replay.keep('a', many(5));
    await pass(10);
    expect(hints.targets()).toEqual(['b']);
    replay.keep('c', many(20)); // there is room again
    await pass(10);
    expect(hints.stats('c').entries).toBe(20);
  });

  it('leaves the hints of a target that is gone alone', async () => {
    const { hints, replay, pass, messages } = await replaying();
    replay.keep('gone', many(3));
    replay.start();
    await pass(60 * SECOND);
    expect(messages()).toBe(0);
    expect(hints.stats('gone').entries).toBe(3);
    replay.stop();
  });

  it('sends nothing more once it was stopped, also in the middle', async () => {
    const { world, replay, pass, messages } = await replaying({ limits: { hintReplayPerSecond: 100 } });
    replay.keep('b', many(3_000));
    replay.start();
    await pass(2 * SECOND);
    expect(messages()).toBe(1);
    replay.stop();
    await pass(120 * SECOND);
    expect(messages()).toBe(1);
    const { events } = world.time;
    await pass(120 * SECOND);
    expect(world.time.events).toBe(events);
  });

  it('does not fail when the store does not take hints any more', async () => {
    const { world, replay, pass } = await replaying();
    replay.start();
    await world.node('a').opened.store.close();
    replay.keep('b', many(3));
    await pass(5 * SECOND);
    replay.stop();
  });
});
