import { describe, expect, it } from 'vitest';
import { PeerMemory } from '../../../node/repair/peer-memory.js';
import { silentLogger } from '../../../ports/logger.js';
import { World } from '../quorum/world.js';

async function remembering() {
  const world = await World.open();
  const { local } = world.node('a').opened.store;
  const open = async () => {
    const memory = new PeerMemory({ local, timers: world.time, logger: silentLogger });
    await memory.load();
    return memory;
  };
  return { world, local, open };
}

describe('peer memory', () => {
  it('keeps the highest batch of a store', async () => {
    const { open } = await remembering();
    const memory = await open();
    expect(memory.storesOf('b')).toEqual([]);
    expect(memory.batchOf('b', 's1')).toBe(0);
    memory.heard('b', 's1', 7);
    memory.heard('b', 's1', 5);
    expect(memory.batchOf('b', 's1')).toBe(7);
  });

  it('keeps all stores of a node, in whatever order it hears of them, and forgets the oldest of many', async () => {
    const { open } = await remembering();
    const memory = await open();
    memory.heard('b', 's2', 3);
    memory.heard('b', 's1', 9); // late news of the former one
    memory.heard('b', 's2', 4);
    expect(memory.storesOf('b')).toEqual(['s2', 's1']);
    expect(memory.batchOf('b', 's2')).toBe(4);
    for (let i = 3; i <= 20; i++) memory.heard('b', `s${i}`, i);
    expect(memory.storesOf('b')).toHaveLength(16);
    expect(memory.storesOf('b')).not.toContain('s2');
    expect(memory.batchOf('b', 's20')).toBe(20);
  });

  it('is on disk at most a second later, for a restart and for a kill', async () => {
    const { world, open } = await remembering();
    const memory = await open();
    memory.start();
    for (let i = 1; i <= 50; i++) {
      memory.heard('b', 's1', i);
      memory.heard('c', 's2', i * 2);
      await world.time.run(world.time.nowMs + 100);
    }
    const before = memory.batchOf('b', 's1');
    await world.time.run(world.time.nowMs + 1_001);
    const again = await open();
    expect(again.batchOf('b', 's1')).toBe(before);
    expect(again.batchOf('c', 's2')).toBe(100);
    memory.stop();
  });

  it('forgets a record that it cannot read, and does not keep the node from starting', async () => {
    const { world, local, open } = await remembering();
    const records = ['[["s1",', '"s1"', '[["s1","7"]]', '[7]', 'null'];
    const writes = records.map((text, i) => ({ key: Buffer.from(`peer/n${i}`), value: Buffer.from(text) }));
    writes.push({ key: Buffer.from('peer/b'), value: Buffer.from('[["s1",7]]') });
    await world.time.settle(local.write(writes, { sync: true }));
    const memory = await open();
    for (const i of records.keys()) expect(memory.storesOf(`n${i}`)).toEqual([]);
    expect(memory.batchOf('b', 's1')).toBe(7);
  });

  it('writes nothing when nothing new was heard', async () => {
    const { world, open } = await remembering();
    const memory = await open();
    memory.heard('b', 's1', 7);
    memory.start();
    await world.time.run(2_000);
    const { store } = world.node('a').opened;
    const batch = store.syncedBatch;
    memory.heard('b', 's1', 6);
    await world.time.run(10_000);
    expect(store.syncedBatch).toBe(batch);
    memory.stop();
  });

  it('outlives a store that does not take it, and fires nothing once it was stopped', async () => {
    const { world, open } = await remembering();
    const memory = await open();
    memory.start();
    memory.heard('b', 's1', 7);
    await world.node('a').opened.store.close();
    await world.time.run(3_000);
    memory.stop();
    await world.time.run(5_000);
    const { events } = world.time;
    await world.time.run(20_000);
    expect(world.time.events).toBe(events);
  });
});
