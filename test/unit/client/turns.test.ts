import { describe, expect, it } from 'vitest';
import { Turns } from '../../../client/turns.js';
import { SeededRandom } from '../../simulation/seeded-random.js';
import { VirtualTime } from '../../simulation/virtual-time.js';

interface Job {
  askedAtMs: number;
  waitsMs: number;
  tookMs: number;
}

/** When each job began, by virtual time, in the order of the jobs. */
async function begun(jobs: readonly Job[]): Promise<number[]> {
  const time = new VirtualTime(new SeededRandom(1));
  const turns = new Turns(time);
  const after = (ms: number) => new Promise<void>((resolve) => void time.after(ms, resolve));
  const run = async ({ askedAtMs, waitsMs, tookMs }: Job) => {
    await after(askedAtMs);
    const pass = await turns.take(waitsMs);
    const atMs = time.nowMs;
    await after(tookMs);
    pass();
    return atMs;
  };
  return time.settle(Promise.all(jobs.map(run)));
}

const job = (askedAtMs: number, tookMs: number, waitsMs = 1_000): Job => ({ askedAtMs, waitsMs, tookMs });

describe('turns', () => {
  it('begin at once while nobody has one', async () => {
    expect(await begun([job(0, 5), job(10, 5), job(20, 5)])).toEqual([0, 10, 20]);
  });

  it('come one after another, in the order of asking', async () => {
    expect(await begun([job(0, 10), job(3, 10), job(1, 10), job(2, 10)])).toEqual([0, 30, 10, 20]);
  });

  it('are not waited for any longer than the caller says, and not at all by who has no time', async () => {
    expect(await begun([job(0, 1_000), job(1, 10, 50), job(2, 10, 0), job(3, 10, -5)])).toEqual([
      0, 51, 2, 3,
    ]);
  });

  it('are not given on by who went without one', async () => {
    // The second goes at 20 and ends at 25; the first still has the turn, so the third waits for its end.
    expect(await begun([job(0, 100), job(10, 5, 10), job(15, 10)])).toEqual([0, 20, 100]);
  });

  it('go on past those who gave up waiting', async () => {
    expect(await begun([job(0, 100), job(1, 500, 10), job(2, 10), job(3, 10)])).toEqual([0, 11, 100, 110]);
  });

  it('overlap only where a wait was cut short, whatever is asked', async () => {
    for (let seed = 1; seed <= 200; seed++) {
      const random = new SeededRandom(seed);
      const whole = (most: number) => Math.floor(random.next() * most);
      const jobs = Array.from({ length: 20 }, () =>
        job(whole(100), 1 + whole(20), whole(3) === 0 ? whole(30) : 1e6),
      );
      const starts = await begun(jobs);
      for (const [i, { askedAtMs, waitsMs, tookMs }] of jobs.entries()) {
        expect(starts[i]! - askedAtMs).toBeLessThanOrEqual(waitsMs);
        if (starts[i]! - askedAtMs === waitsMs) continue;
        const beside = jobs.filter(
          (other, j) =>
            j !== i &&
            starts[j]! - other.askedAtMs !== other.waitsMs &&
            starts[j]! < starts[i]! + tookMs &&
            starts[i]! < starts[j]! + other.tookMs,
        );
        expect(beside, `seed ${seed}, job ${i}`).toEqual([]);
      }
    }
  });
});
