import { describe, expect, it } from 'vitest';
import type { SimConfiguration } from './configuration.js';
import { COORDINATOR, type Fault } from './faults.js';
import { KNOWN_SEEDS } from './known-seeds.js';
import * as plants from './plants.js';
import { type RunOptions, runSeed } from './scenario.js';

const SEEDS = 30;

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

  it.each(KNOWN_SEEDS)(
    'seed $seed stays right ($found)',
    { timeout: 20_000 },
    async ({ seed, ...options }) => {
      expect(await violationsOf(seed, options)).toEqual([]);
    },
  );

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
    expect(struck).toMatchObject({ kill: 1, pause: 1 });
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

/** Seeds within which a planted bug must show, at the latest. */
interface Planted {
  bug: string;
  plant: () => plants.Plants;
  within: number;
  adjust?: (config: SimConfiguration) => void;
}

/** Only these faults, and many of them, on a network that loses a fifth. */
function only(faultEveryMs: SimConfiguration['faultEveryMs']): Planted['adjust'] {
  return (config) => {
    config.faultEveryMs = faultEveryMs;
    config.network.lossRate = 0.2;
    config.cluster.limits.antiEntropyIntervalMs = 10_000;
  };
}

const PLANTED: Planted[] = [
  {
    bug: 'a replica acknowledges before it has synced',
    plant: () => plants.ackBeforeSync,
    within: 15,
    adjust: only({ 'slow disk': 500, kill: 700 }),
  },
  {
    bug: 'a replica that lost its store takes itself for whole',
    plant: () => plants.blindToLoss,
    within: 20,
    adjust: only({ wipe: 500 }),
  },
  { bug: 'merges lose a shard', plant: () => plants.dropsShard, within: 5 },
  { bug: 'a producerId is used by two processes', plant: plants.reusedProducerId, within: 5 },
];

describe('a planted bug is caught', () => {
  it.each(PLANTED)('$bug, within $within seeds', { timeout: 60_000 }, async ({ plant, within, adjust }) => {
    for (let seed = 1; seed <= within; seed++) {
      const options: RunOptions = { plants: plant() };
      if (adjust) options.adjust = adjust;
      if ((await violationsOf(seed, options)).length > 0) return;
    }
    expect.unreachable(`not caught within ${within} seeds`);
  });
});
