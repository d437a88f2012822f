import { describe, expect, it } from 'vitest';
import { AntiEntropy } from '../../../node/repair/anti-entropy.js';
import { Scrub } from '../../../node/repair/scrub.js';
import { ShardCensus } from '../../../node/repair/shard-census.js';
import type { Entry } from '../../../proto/entry.js';
import { SeededRandom } from '../../simulation/seeded-random.js';
import { shardEntry, World } from '../quorum/world.js';

const SECOND = 1_000;

async function scrubbing() {
  const world = await World.open();
  const entries = Array.from({ length: 1_200 }, (_, i) => shardEntry({ key: `video-${i}`, sequence: 2 }));
  for (const id of ['a', 'b', 'c']) await world.time.settle(world.node(id).context.replica.merge(entries));
  const a = world.node('a');
  const census = new ShardCensus(10);
  const scrub = new Scrub(a.context, { census, refreshLeaf: a.opened.refreshLeaf });
  const pass = (ms: number) => world.time.run(world.time.nowMs + ms);
  /** A bit of the record flips, unnoticed. */
  const damage = (entry: Entry) => expect(a.disk.flipBit(entry.key)).toBe(true);
  const compare = () =>
    world.time.settle(
      new AntiEntropy({ context: a.context, tree: a.opened.tree, random: new SeededRandom(1) }).compareWith(
        'b',
      ),
    );
  return { world, a, entries, census, scrub, pass, damage, compare };
}

describe('scrub', () => {
  it('finds bad records that nobody reads, and merges their rows back from the others', async () => {
    const { world, a, entries, scrub, pass, damage, compare } = await scrubbing();
    for (const i of [0, 7, 600, 1_199]) damage(entries[i]!);
    expect(a.opened.store.damagedRows()).toEqual([]);
    scrub.start();
    await pass(world.limits.maxRequestMs + 10 * SECOND);
    expect(a.opened.store.damagedRows()).toEqual([]);
    expect(await a.content()).toEqual(await world.node('b').content());
    expect(await compare()).toBe('equal');
    expect(a.opened.entries()).toBe(entries.length);
    scrub.stop();
  });

  it('waits for N − Q + 1 of the others, themselves whole', async () => {
    const { world, a, entries, scrub, pass, damage } = await scrubbing();
    damage(entries[3]!);
    world.down.add('c');
    scrub.start();
    await pass(20 * SECOND);
    expect(a.opened.store.damagedRows()).toHaveLength(1);
    world.down.clear();
    world.node('c').whole = false;
    await pass(20 * SECOND);
    expect(a.opened.store.damagedRows()).toHaveLength(1);
    world.node('c').whole = true;
    await pass(2 * SECOND);
    expect(a.opened.store.damagedRows()).toEqual([]);
    scrub.stop();
  });

  it('heals no row while a write may still count what was lost here', async () => {
    const { world, a, scrub, pass, damage } = await scrubbing();
    const entry = shardEntry({ key: 'video-1', sequence: 3 });
    // Acknowledged here, and on its way to b: once b has it too, the write met QUORUM.
    await world.time.settle(a.context.replica.merge([entry]));
    world.time.after(world.limits.maxRequestMs - SECOND, () => void world.node('b').context.replica.merge([entry]));
    damage(entry);
    await world.time.settle(a.opened.store.get([entry.key]));
    expect(a.opened.store.damagedRows()).toHaveLength(1);
    scrub.start();
    await pass(world.limits.maxRequestMs + 3 * SECOND);
    expect(a.opened.store.damagedRows()).toEqual([]);
    expect(await world.time.settle(a.opened.store.get([entry.key]))).toEqual([entry]);
    scrub.stop();
  });

  it('does not take a row from another replica for whole that is damaged there', async () => {
    const { world, a, entries, scrub, pass, damage } = await scrubbing();
    damage(entries[3]!);
    expect(world.node('b').disk.flipBit(entries[3]!.key)).toBe(true);
    scrub.start();
    await pass(20 * SECOND);
    expect(a.opened.store.damagedRows()).toHaveLength(1);
    scrub.stop();
  });

  it('counts the shards of a cell, pass by pass', async () => {
    const { world, a, census, scrub, pass } = await scrubbing();
    const shards = Array.from({ length: 12 }, (_, i) => shardEntry({ key: 'full', producer: i + 1 }));
    await world.time.settle(a.context.replica.merge(shards));
    scrub.start();
    await pass(10 * SECOND);
    expect(census.mostShards).toBe(12);
    expect(census.isFull(shards[0]!.key)).toBe(true);
    expect(census.isFull(shardEntry({ key: 'video-1' }).key)).toBe(false);
    scrub.stop();
  });

  it('ends when the store fails or the node stops, and fires nothing more', async () => {
    for (const end of ['fails', 'closes', 'stops'] as const) {
      const { world, a, entries, scrub, pass, damage } = await scrubbing();
      damage(entries[3]!);
      scrub.start();
      await pass(SECOND / 2);
      if (end === 'fails') {
        a.disk.failingWrites = 1;
        await expect(
          world.time.settle(a.context.replica.merge([shardEntry({ key: 'x' })])),
        ).rejects.toMatchObject({ code: 'STORE_FAILED' });
      } else if (end === 'closes') await a.opened.store.close();
      if (end !== 'fails') scrub.stop();
      await pass(120 * SECOND);
      const { events } = world.time;
      const calls = world.calls.length;
      await pass(120 * SECOND);
      expect(world.time.events).toBe(events);
      expect(world.calls).toHaveLength(calls);
    }
  });
});
