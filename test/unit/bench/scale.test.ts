import { beforeAll, describe, expect, it } from 'vitest';
import type { Figures } from '../../../bench/scale/figures.js';
import { percentile, poissonBound } from '../../../bench/scale/figures.js';
import { combine, QUICK, runJob } from '../../../bench/scale/jobs.js';
import { drawPictures } from '../../../bench/scale/pictures.js';
import { renderTables } from '../../../bench/scale/tables.js';

describe('the quick version of npm run scale', () => {
  let figures: Figures;

  beforeAll(async () => {
    const measured = [];
    for (const job of QUICK) measured.push(await runJob(job, () => {}));
    figures = { machine: { cores: 1, cpu: 'any', node: process.version }, seconds: 0, ...combine(measured) };
  }, 120_000);

  it('news reaches every node, within rounds that grow slower than the cluster', () => {
    // What never arrives makes the run throw. A round doubles those who know, at best; an unlucky one waits.
    for (const { nodes, changeRounds, startRounds, curve } of figures.gossip) {
      expect(changeRounds.count).toBeGreaterThanOrEqual(10);
      expect(changeRounds.max).toBeLessThanOrEqual(2 * Math.log2(nodes) + 3);
      expect(startRounds.max).toBeLessThanOrEqual(2 * Math.log2(nodes) + 3);
      expect(curve.at(-1)?.share).toBe(1);
    }
  });

  it('a node asks at most three peers a round, whatever goes wrong', () => {
    for (const { mostPeersARound } of [...figures.gossip, ...figures.convictions]) {
      expect(mostPeersARound).toBeGreaterThan(0);
      expect(mostPeersARound).toBeLessThanOrEqual(3);
    }
  });

  it('everything sent is counted, and arrives', () => {
    for (const { nodes, ...of } of figures.gossip) {
      expect(of.sentBytesPerNodeSecond).toBeGreaterThan(20 * nodes);
      expect(of.receivedBytesPerNodeSecond / of.sentBytesPerNodeSecond).toBeCloseTo(1, 1);
      expect(of.busiestBytesPerSecond).toBeGreaterThan(of.sentBytesPerNodeSecond);
    }
  });

  it('every living node convicts a machine that vanished, after the 18 s that phi 8 takes', () => {
    for (const { nodes, victims, seconds, missing } of figures.detection) {
      expect(missing).toBe(0);
      const clusters = figures.gossip.find((of) => of.nodes === nodes)!.clusters;
      expect(seconds.count).toBeGreaterThanOrEqual(victims * (nodes - victims / clusters - 5));
      expect(seconds.median).toBeGreaterThan(17);
      expect(seconds.max).toBeLessThan(45);
    }
  });

  it('convicts no living node without loss, at 20 % loss, or for its pauses', () => {
    for (const { falseConvictions } of figures.gossip) expect(falseConvictions).toBe(0);
    expect(figures.convictions.map(({ lossRate, pauses }) => `${lossRate} ${pauses}`)).toEqual([
      '0 none',
      '0.2 none',
      '0 short',
      '0 long',
    ]);
    for (const { convictions } of figures.convictions) expect(convictions).toBe(0);
  });

  it('balances the ring to 1.10, and a join moves at most 1.1 of the ideal', () => {
    expect(figures.ring.map(({ nodes }) => nodes)).toEqual([3, 8, 24, 64]);
    for (const { worstBalance, worstMovement, keysTouched } of figures.ring) {
      expect(worstBalance).toBeGreaterThan(1);
      expect(worstBalance).toBeLessThanOrEqual(1.1);
      expect(worstMovement).toBeGreaterThan(0.9);
      expect(worstMovement).toBeLessThanOrEqual(1.1);
      expect(keysTouched).toBeLessThanOrEqual(1.1);
    }
  });

  it('draws a picture of each, and a table', async () => {
    const drawn = await drawPictures(figures);
    expect([...drawn.keys()]).toEqual([
      'convergence',
      'bytes',
      'convictions',
      'detection',
      'ring-balance',
      'ring-movement',
    ]);
    for (const svg of drawn.values()) {
      expect(svg).toMatch(/^<svg .*<\/svg>$/s);
      expect(svg).not.toMatch(/NaN|undefined/);
    }
    expect(drawn.get('bytes')).toContain('kB per node and second');
    expect(renderTables(figures).match(/^\| /gm)?.length).toBeGreaterThan(10);
  });
});

describe('statistics', () => {
  it('percentiles by nearest rank', () => {
    const values = Array.from({ length: 200 }, (_, i) => 200 - i);
    expect(percentile(values, 50)).toBe(100);
    expect(percentile(values, 99)).toBe(198);
    expect(percentile([7], 99)).toBe(7);
    expect(() => percentile([], 50)).toThrow(RangeError);
  });

  it('bounds a rate of rare events as the χ² tables do', () => {
    expect(poissonBound(0)).toBeCloseTo(3.0, 1);
    expect(poissonBound(2)).toBeCloseTo(6.3, 1);
    expect(poissonBound(10)).toBeCloseTo(16.96, 1);
  });
});
