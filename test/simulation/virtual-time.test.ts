import { describe, expect, it } from 'vitest';
import { sleep } from '../../ports/clock.js';
import { SeededRandom } from './seeded-random.js';
import { drainMicrotasks, VirtualTime } from './virtual-time.js';

describe('virtual time', () => {
  it('runs events in order of time and stands at the end', async () => {
    const time = new VirtualTime(new SeededRandom(1));
    const seen: string[] = [];
    for (const delay of [50, 10, 30, 20, 40]) time.after(delay, () => seen.push(`${delay}@${time.nowMs}`));
    await time.run(35);
    expect(seen).toEqual(['10@10', '20@20', '30@30']);
    expect(time.nowMs).toBe(35);
    await time.run(100);
    expect(seen.slice(3)).toEqual(['40@40', '50@50']);
  });

  it('drains every microtask of an event before the next one, however long the chain', async () => {
    const time = new VirtualTime(new SeededRandom(2));
    const seen: string[] = [];
    const chain = async (name: string) => {
      for (let i = 0; i < 500; i++) await null;
      seen.push(`${name} done`);
    };
    time.after(1, () => void chain('first'));
    time.after(1.000001, () => seen.push('second'));
    await time.run(2);
    expect(seen).toEqual(['first done', 'second']);
  });

  it('drains promises that promises start', async () => {
    let done = false;
    const deeper = async (levels: number): Promise<void> => {
      await Promise.all([null, Promise.resolve()]);
      if (levels > 0) await deeper(levels - 1);
    };
    void deeper(100).then(() => {
      done = true;
    });
    await drainMicrotasks();
    expect(done).toBe(true);
  });

  it('orders one instant by the seed: the same again for one seed, differently for others', async () => {
    const orderOf = async (seed: number) => {
      const time = new VirtualTime(new SeededRandom(seed));
      const seen: number[] = [];
      for (let i = 0; i < 8; i++) time.after(5, () => seen.push(i));
      await time.run(5);
      return seen.join();
    };
    const orders = await Promise.all([1, 1, 2, 3, 4].map(orderOf));
    expect(orders[0]).toBe(orders[1]);
    expect(new Set(orders).size).toBe(4);
  });

  it('cancels, settles, and says when something never settles', async () => {
    const time = new VirtualTime(new SeededRandom(3));
    let fired = false;
    time
      .after(5, () => {
        fired = true;
      })
      .cancel();
    await time.settle(sleep(time, 20));
    expect([fired, time.nowMs]).toEqual([false, 20]);
    await expect(time.settle(new Promise(() => {}), 1_000)).rejects.toThrow('not settled by 1020 ms');
    await expect(time.settle(Promise.reject(new Error('no')))).rejects.toThrow('no');
  });

  it('keeps a clock whose wall time jumps while the monotonic one does not', async () => {
    const time = new VirtualTime(new SeededRandom(4));
    const clock = time.clock();
    const before = clock.wallMs();
    clock.offsetMs -= 3_600_000;
    await time.run(1_000);
    expect(clock.wallMs()).toBe(before - 3_599_000);
    expect(clock.monotonicMs()).toBe(1_000);
  });
});
