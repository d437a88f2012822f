import { describe, expect, it } from 'vitest';
import { MemoryDisk } from '../../../node/storage/memory-disk.js';
import { openMemoryStore } from '../../../node/storage/memory-store.js';
import {
  entryOf,
  everything,
  ManualTimers,
  seededRandom,
  testParts,
  until,
} from '../../conformance/storage/harness.js';

const key = (n: number) => Buffer.from([1, n]);
const value = Buffer.from('value');
const put = (n: number) => [{ key: key(n), value }];
const ALL = { from: Buffer.from([1]), to: Buffer.from([2]) };

async function keysOn(disk: MemoryDisk): Promise<number[]> {
  const engine = disk.open(new ManualTimers());
  const records = await engine.scan(ALL.from, ALL.to, { limit: 100, fillCache: false });
  await engine.close();
  return records.map((record) => record.key[1]!);
}

describe('MemoryDisk', () => {
  it('a kill loses some unsynced batches, each whole or not at all, never a synced one', async () => {
    const outcomes = new Set<string>();
    for (let seed = 0; seed < 40; seed++) {
      const disk = new MemoryDisk({ random: seededRandom(seed) });
      const engine = disk.open(new ManualTimers());
      await engine.write(put(1), false);
      await engine.write(put(2), true);
      await engine.write([...put(3), ...put(4)], false);
      await engine.write([{ key: key(2), value: undefined }], false);
      disk.kill();
      const keys = await keysOn(disk);
      expect(keys).toContain(1);
      expect(keys.includes(3)).toBe(keys.includes(4));
      outcomes.add(keys.join());
    }
    expect([...outcomes].sort()).toEqual(['1', '1,2', '1,2,3,4', '1,3,4']);
  });

  it('a synced write takes its time, is not seen before, and may or may not outlive a kill meanwhile', async () => {
    const outcomes = new Set<string>();
    for (let seed = 0; seed < 20; seed++) {
      const disk = new MemoryDisk({ random: seededRandom(seed), syncMs: () => 7 });
      const timers = new ManualTimers();
      const engine = disk.open(timers);
      let done = false;
      void engine.write(put(1), true).then(() => {
        done = true;
      });
      await until(() => timers.planned.length === 1);
      expect(timers.planned[0]!.delayMs).toBe(7);
      expect(await engine.getMany([key(1)])).toEqual([undefined]);
      disk.kill();
      timers.fireAll();
      await new Promise((resolve) => setImmediate(resolve));
      expect(done).toBe(false);
      outcomes.add((await keysOn(disk)).join());
    }
    expect([...outcomes].sort()).toEqual(['', '1']);
  });

  it('after a failed write it acknowledges synced ones and forgets them, as LevelDB does', async () => {
    const disk = new MemoryDisk({ random: seededRandom(1) });
    const engine = disk.open(new ManualTimers());
    await engine.write(put(1), true);
    disk.failingWrites = 1;
    await expect(engine.write(put(2), true)).rejects.toThrow('no space left');
    await engine.write(put(3), true);
    expect(await engine.getMany([key(3)])).toEqual([value]);
    await engine.close();
    expect(await keysOn(disk)).toEqual([1]);
  });

  it('which never matters to the store: it stops at the failure', async () => {
    const disk = new MemoryDisk({ random: seededRandom(1) });
    const first = testParts();
    const { store } = await openMemoryStore({ ...first.parts, disk });
    disk.failingWrites = 1;
    const merges = [store.merge([entryOf({ key: 'a' })])];
    await expect(merges[0]).rejects.toMatchObject({ code: 'STORE_FAILED' });
    await expect(store.merge([entryOf({ key: 'b' })])).rejects.toMatchObject({ code: 'STORE_FAILED' });
    const again = await openMemoryStore({ ...testParts().parts, disk });
    expect(await everything(again.store)).toEqual([]);
    await again.store.merge([entryOf({ key: 'b' })]);
  });

  it('goes back to a snapshot, and to nothing', async () => {
    const disk = new MemoryDisk({ random: seededRandom(1) });
    const open = () => openMemoryStore({ ...testParts().parts, disk });
    const first = await open();
    await first.store.merge([entryOf({ key: 'a' })]);
    const snapshot = disk.snapshot();
    await first.store.merge([entryOf({ key: 'b' })]);
    disk.kill();
    disk.restore(snapshot);
    const second = await open();
    expect(second.store.storeId).toBe(first.store.storeId);
    expect(second.store.syncedBatch).toBe(1);
    expect(await everything(second.store)).toEqual([entryOf({ key: 'a' })]);
    disk.kill();
    disk.wipe();
    const third = await open();
    expect(third.opening.created).toBe(true);
    expect(third.store.storeId).not.toBe(first.store.storeId);
  });

  it('a flipped bit is found by the store', async () => {
    const disk = new MemoryDisk({ random: seededRandom(1) });
    const { store } = await openMemoryStore({ ...testParts().parts, disk });
    await store.merge([entryOf()]);
    expect(disk.flipBit()).toBe(true);
    expect(await store.read([ALL])).toEqual([{ entries: [], damaged: true }]);
  });

  it("refuses another node's disk", async () => {
    const disk = new MemoryDisk({ random: seededRandom(1) });
    const { store } = await openMemoryStore({ ...testParts().parts, disk });
    await store.close();
    await expect(openMemoryStore({ ...testParts().parts, nodeId: 'n2', disk })).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
    });
  });

  it('a run repeats: the same seed loses the same', async () => {
    const run = async () => {
      const disk = new MemoryDisk({ random: seededRandom(42) });
      const engine = disk.open(new ManualTimers());
      for (let i = 0; i < 30; i++) await engine.write(put(i), i === 9);
      disk.kill();
      return keysOn(disk);
    };
    const kept = await run();
    expect(kept.length).toBeLessThan(30);
    expect(await run()).toEqual(kept);
  });
});
