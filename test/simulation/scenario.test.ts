import { describe, expect, it } from 'vitest';
import { runCase } from './case.js';
import { COORDINATOR, type Fault } from './faults.js';
import { KNOWN_SEEDS } from './known-seeds.js';
import { type RunOptions, runSeed } from './scenario.js';

const SEEDS = 30;
const PIPELINE_SEEDS = 40;

async function violationsOf(seed: number, options?: RunOptions): Promise<string[]> {
  const { violations } = await runSeed(seed, options);
  return violations.map(({ check, detail }) => `${check}: ${detail}`);
}

describe('simulated clusters', () => {
  it(`keep every promise, seeds 1 to ${SEEDS}`, { timeout: 60_000 }, async () => {
    const failed: string[] = [];
    for (let seed = 1; seed <= SEEDS; seed++) {
      for (const violation of await violationsOf(seed)) failed.push(`seed ${seed}: ${violation}`);
    }
    expect(failed).toEqual([]);
  });

  it(`and count a log exactly once, seeds 1 to ${PIPELINE_SEEDS}`, { timeout: 200_000 }, async () => {
    const failed: string[] = [];
    const struck: Record<string, number> = {};
    for (let seed = 1; seed <= PIPELINE_SEEDS; seed++) {
      const result = await runCase({ seed, pipeline: true });
      for (const { check, detail } of result.violations) failed.push(`seed ${seed}: ${check}: ${detail}`);
      for (const [name, times] of Object.entries(result.struck)) struck[name] = (struck[name] ?? 0) + times;
    }
    expect(failed).toEqual([]);
    // Else the seeds prove little.
    expect(struck['seen: a batch to complete']).toBeGreaterThan(PIPELINE_SEEDS / 2);
    expect(struck['seen: owner fenced']).toBeGreaterThan(0);
    expect(struck['seen: batch intended']).toBeGreaterThan(10 * PIPELINE_SEEDS);
  });

  it('gives the same trace for the same seed of the pipeline', async () => {
    const [first, again] = [
      await runCase({ seed: 7, pipeline: true }),
      await runCase({ seed: 7, pipeline: true }, { story: true }),
    ];
    expect(again.hash).toBe(first.hash);
  });

  for (const { found, open, ...one } of KNOWN_SEEDS) {
    const run = open ? it.fails : it;
    run(`seed ${one.seed} stays right (${found})`, { timeout: 20_000 }, async () => {
      const { violations } = await runCase(one);
      expect(violations).toEqual([]);
    });
  }

  it('gives the same trace for the same seed, with and without a story, and others for others', async () => {
    const [first, again, other] = [await runSeed(7), await runSeed(7, { story: true }), await runSeed(8)];
    expect(again.hash).toBe(first.hash);
    expect(again.counts).toEqual(first.counts);
    expect(other.hash).not.toBe(first.hash);
  });

  it('strikes with nothing but the schedule that it is given', async () => {
    const drawn = await runSeed(3);
    expect((await runSeed(3, { schedule: drawn.schedule })).hash).toBe(drawn.hash);
    const schedule: Fault[] = [
      { kind: 'kill', atMs: 1_000, node: 'node-1', durationMs: 500 },
      {
        kind: 'pause',
        atMs: 0,
        trigger: { reply: 'peer.merge', nth: 3 },
        node: COORDINATOR,
        durationMs: 900,
      },
    ];
    const { struck } = await runSeed(3, { schedule });
    expect(struck).toMatchObject({ kill: 1, 'pause, between answers': 1 });
    expect(Object.keys(struck).filter((name) => !name.startsWith('message'))).toHaveLength(2);
  });

  it('counts and reads for real', async () => {
    const totals = { acknowledged: 0, reads: 0, failedReads: 0 };
    for (let seed = 1; seed <= 5; seed++) {
      const { counts } = await runSeed(seed);
      totals.acknowledged += counts.acknowledged;
      totals.reads += counts.reads;
      totals.failedReads += counts.failedReads;
    }
    expect(totals.acknowledged).toBeGreaterThan(200);
    expect(totals.reads - totals.failedReads).toBeGreaterThan(200);
  });
});
