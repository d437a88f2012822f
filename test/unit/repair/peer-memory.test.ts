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
  it('keeps the highest batch of a store, and the newest store', async () => {
    const { open } = await remembering();
    const memory = await open();
    expect(memory.of('b')).toBeUndefined();
    memory.heard('b', 's1', 7);
    memory.heard('b', 's1', 5);
    expect(memory.of('b')).toEqual({ storeId: 's1', batch: 7 });
    memory.heard('b', 's2', 3);
    expect(memory.of('b')).toEqual({ storeId: 's2', batch: 3 });
  });

  it('takes late news of a former store for nothing, after a restart too', async () => {
    const { world, open } = await remembering();
    const memory = await open();
    memory.start();
    memory.heard('b', 's1', 7);
    memory.heard('b', 's2', 3);
    memory.heard('b', 's1', 9);
    expect(memory.of('b')).toEqual({ storeId: 's2', batch: 3 });
    await world.time.run(world.time.nowMs + 1_001);
    memory.stop();
    const again = await open();
    again.heard('b', 's1', 9);
    expect(again.of('b')).toEqual({ storeId: 's2', batch: 3 });
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
    const before = memory.of('b')!.batch;
    await world.time.run(world.time.nowMs + 1_001);
    const again = await open();
    expect(again.of('b')).toEqual({ storeId: 's1', batch: before });
    expect(again.of('c')).toEqual({ storeId: 's2', batch: 100 });
    memory.stop();
  });

  it('forgets a record that it cannot read, and does not keep the node from starting', async () => {
    const { world, local, open } = await remembering();
    const records = ['{"storeId":"s1","ba', '"s1"', '{"storeId":"s1","batch":"7"}', 'null'];
    const writes = records.map((text, i) => ({ key: Buffer.from(`peer/n${i}`), value: Buffer.from(text) }));
    writes.push({ key: Buffer.from('peer/b'), value: Buffer.from('{"storeId":"s1","batch":7}') });
    await world.time.settle(local.write(writes, { sync: true }));
    const memory = await open();
    for (const i of records.keys()) expect(memory.of(`n${i}`)).toBeUndefined();
    expect(memory.of('b')).toEqual({ storeId: 's1', batch: 7 });
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
