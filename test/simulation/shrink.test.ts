import { describe, expect, it } from 'vitest';
import { type Case, runCase } from './case.js';
import type { SimConfiguration } from './configuration.js';
import * as plants from './plants.js';
import { minimize, shrink } from './shrink.js';
import { tellStory } from './story.js';

describe('shrinking', () => {
  it('leaves exactly those out that are not needed', async () => {
    const items = Array.from({ length: 30 }, (_, i) => i);
    const needed = [3, 4, 21];
    let runs = 0;
    const left = await minimize(items, async (fewer) => {
      runs++;
      return needed.every((one) => fewer.includes(one));
    });
    expect(left).toEqual(needed);
    expect(runs).toBeLessThan(100);
    expect(await minimize(items, async () => true)).toEqual([]);
    expect(await minimize(items, async () => false)).toEqual(items);
  });

  it('cuts a planted bug down to a short schedule that still fails, and tells it', {
    timeout: 120_000,
  }, async () => {
    const adjust = (config: SimConfiguration) => {
      config.faultEveryMs = { 'slow disk': 500, kill: 700 };
      config.network.lossRate = 0.2;
      config.rate = 8;
      config.readers = 2;
      config.levels = ['QUORUM', 'TWO'];
    };
    const run = (one: Case, story: boolean) => runCase(one, { story, plants: plants.ackBeforeSync, adjust });
    for (let seed = 7; seed <= 12; seed++) {
      const shrunk = await shrink({ seed }, { run, maxRuns: 25 });
      if (shrunk === undefined) continue;
      expect(shrunk.runs).toBeLessThanOrEqual(25);
      expect(shrunk.case.schedule.length).toBeLessThanOrEqual(10);
      expect(shrunk.case.schedule.map(({ kind }) => kind)).toContain('kill');
      const again = await run(JSON.parse(JSON.stringify(shrunk.case)), false);
      expect(again.hash).toBe(shrunk.result.hash);
      expect(again.violations).toEqual(shrunk.result.violations);
      expect(tellStory(shrunk)).toMatch(/kill of node-\d[\s\S]* holds key-[\s\S]*VIOLATED [\s\S]*--case/);
      return;
    }
    expect.unreachable('no seed failed');
  });
});
