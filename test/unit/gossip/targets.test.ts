import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chooseTargets } from '../../../node/gossip/targets.js';
import { seededRandom } from './harness.js';

const names = (prefix: string, count: number) => Array.from({ length: count }, (_, i) => `${prefix}${i}`);

describe('chooseTargets', () => {
  it('gives at most three distinct nodes, one live when there is one', () => {
    const cluster = fc.record({
      live: fc.nat(20),
      unreachable: fc.nat(20),
      seed: fc.nat(),
      every: fc.integer({ min: 1, max: 9 }),
    });
    fc.assert(
      fc.property(cluster, ({ live, unreachable, seed, every }) => {
        const candidates = {
          live: names('l', live),
          unreachable: names('u', unreachable),
          seeds: [] as string[],
          returning: names('u', Math.min(unreachable, every - 1)),
        };
        const others = [...candidates.live, ...candidates.unreachable];
        candidates.seeds = others.filter((_, i) => i % every === 0);
        const targets = chooseTargets(candidates, seededRandom(seed));
        expect(targets.length).toBeLessThanOrEqual(3);
        expect(new Set(targets).size).toBe(targets.length);
        for (const target of targets) expect(others).toContain(target);
        if (live > 0) expect(targets[0]).toMatch(/^l/);
        else if (others.length > 0) expect(targets.length).toBeGreaterThan(0);
        else expect(targets).toEqual([]);
      }),
    );
  });

  it('asks an unreachable node with probability unreachable/(live+1)', () => {
    const random = seededRandom(7);
    const candidates = { live: names('l', 9), unreachable: names('u', 2), seeds: [], returning: [] };
    let asked = 0;
    for (let i = 0; i < 10_000; i++) {
      if (chooseTargets(candidates, random).some((target) => target.startsWith('u'))) asked++;
    }
    expect(asked / 10_000).toBeCloseTo(0.2, 1);
  });

  it('asks one that others hear every second time', () => {
    const random = seededRandom(9);
    const candidates = { live: names('l', 60), unreachable: names('u', 3), seeds: [], returning: ['u2'] };
    let asked = 0;
    for (let i = 0; i < 10_000; i++) if (chooseTargets(candidates, random).includes('u2')) asked++;
    expect(asked / 10_000).toBeCloseTo(0.5, 1);
  });

  it('always asks a seed without live nodes, and none besides a live seed', () => {
    const random = seededRandom(8);
    for (let i = 0; i < 100; i++) {
      const alone = { live: [], unreachable: names('u', 3), seeds: ['u2'], returning: [] };
      expect(chooseTargets(alone, random)).toContain('u2');
      const reached = { live: ['l0'], unreachable: [], seeds: ['l0'], returning: [] };
      expect(chooseTargets(reached, random)).toEqual(['l0']);
    }
  });
});
