import { describe, expect, it } from 'vitest';
import { HedgeBudget, hedged } from '../../../client/hedge.js';
import { SeededRandom } from '../../simulation/seeded-random.js';
import { VirtualTime } from '../../simulation/virtual-time.js';

const AFTER_MS = 10;

function world(budget = new HedgeBudget(1)) {
  const time = new VirtualTime(new SeededRandom(1));
  let asked = 0;
  const answer = <T>(value: T, afterMs: number) =>
    new Promise<T>((resolve, reject) => {
      time.after(afterMs, () => (value instanceof Error ? reject(value) : resolve(value)));
    });
  const ask = (first: [unknown, number], second?: [unknown, number]) => {
    const another = () => {
      if (second === undefined) return undefined;
      asked++;
      return answer(second[0], second[1]);
    };
    const outcome = hedged(answer(first[0], first[1]), { timers: time, afterMs: AFTER_MS, budget, another });
    return time.settle(outcome);
  };
  return { ask, asked: () => asked, nowMs: () => time.nowMs };
}

describe('a hedged call', () => {
  it('asks nobody else when the first answer comes soon', async () => {
    const { ask, asked } = world();
    expect(await ask(['first', AFTER_MS - 1], ['second', 0])).toBe('first');
    expect(asked()).toBe(0);
  });

  it('takes whichever answer comes first once it takes long', async () => {
    const late = world();
    expect(await late.ask(['first', 100], ['second', 5])).toBe('second');
    expect([late.asked(), late.nowMs()]).toEqual([1, AFTER_MS + 5]);
    const early = world();
    expect(await early.ask(['first', AFTER_MS + 1], ['second', 50])).toBe('first');
  });

  it('fails as the first one does, at once when it fails soon, and only when the other fails too', async () => {
    const failure = new Error('first failed');
    const soon = world();
    await expect(soon.ask([failure, 1], ['second', 0])).rejects.toBe(failure);
    expect(soon.asked()).toBe(0);
    expect(await world().ask([failure, 50], ['second', 100])).toBe('second');
    await expect(world().ask([failure, 50], [new Error('second failed'), 5])).rejects.toBe(failure);
  });

  it('waits for the first one where there is no other', async () => {
    expect(await world().ask(['first', 100])).toBe('first');
  });

  it('asks another one for its share of all calls at most, however slow they are', async () => {
    const { ask, asked } = world(new HedgeBudget(0.125));
    for (let i = 0; i < 100; i++) await ask(['first', 100], ['second', 5]);
    expect(asked()).toBe(12);
  });

  it('saves what it did not spend, for so many at once at most', async () => {
    const { ask, asked } = world(new HedgeBudget(0.5));
    for (let i = 0; i < 1_000; i++) await ask(['first', 1], ['second', 0]);
    await Promise.all(Array.from({ length: 100 }, () => ask(['first', 100], ['second', 5])));
    expect(asked()).toBe(10);
  });
});
