import { describe, expect, it } from 'vitest';
import { type ReadPlan, SharedReads } from '../../../services/query/shared-reads.js';

/** Reads of a number that the test changes; each is open until the test ends it. */
function fixture() {
  const clock = { ms: 0, wallMs: () => clock.ms, monotonicMs: () => clock.ms };
  const reads = new SharedReads({ maxCachedPoints: 10, maxCacheAgeMs: 100, clock });
  const state = { value: 1, open: [] as ((error?: Error) => void)[] };
  const plan = (more: Partial<ReadPlan<{ value: number }>> = {}): ReadPlan<{ value: number }> => ({
    name: 'a',
    isSettled: false,
    bypass: false,
    pointsOf: () => 1,
    load: () => {
      const { value } = state; // as a replica: what is acknowledged later is not in it
      return new Promise((resolve, reject) => {
        state.open.push((error) => (error === undefined ? resolve({ value }) : reject(error)));
      });
    },
    ...more,
  });
  return { clock, reads, state, plan };
}

describe('shared reads', () => {
  it('who comes while one is under way shares the next, which sees what was acknowledged meanwhile', async () => {
    const { reads, state, plan } = fixture();
    const first = reads.read(plan());
    state.value = 2;
    const others = [reads.read(plan()), reads.read(plan()), reads.read(plan())];
    expect(state.open).toHaveLength(1);
    state.open[0]!();
    expect(await first).toEqual({ value: { value: 1 } });
    await expect.poll(() => state.open.length).toBe(2);
    state.value = 3;
    const last = reads.read(plan());
    state.open[1]!();
    expect(await Promise.all(others)).toEqual(Array(3).fill({ value: { value: 2 } }));
    await expect.poll(() => state.open.length).toBe(3);
    state.open[2]!();
    expect(await last).toEqual({ value: { value: 3 } });
  });

  it('a read that fails does so for those who share it, not for the next', async () => {
    const { reads, state, plan } = fixture();
    const first = reads.read(plan());
    const next = reads.read(plan());
    state.open[0]!(new Error('away'));
    await expect(first).rejects.toThrow('away');
    await expect.poll(() => state.open.length).toBe(2);
    state.open[1]!();
    expect(await next).toEqual({ value: { value: 1 } });
  });

  it('other reads do not wait', () => {
    const { reads, state, plan } = fixture();
    void reads.read(plan());
    void reads.read(plan({ name: 'b' }));
    expect(state.open).toHaveLength(2);
  });

  it('the age of what is kept counts from before it was read', async () => {
    const { clock, reads, state, plan } = fixture();
    const first = reads.read(plan({ isSettled: true }));
    clock.ms = 60;
    state.open[0]!();
    await first;
    clock.ms = 99;
    expect(await reads.read(plan({ isSettled: true }))).toEqual({ value: { value: 1 }, ageMs: 99 });
    clock.ms = 100;
    void reads.read(plan({ isSettled: true }));
    expect(state.open).toHaveLength(2);
  });
});
