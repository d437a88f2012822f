import { describe, expect, it } from 'vitest';
import { mintFrom } from '../../../../client/identity.js';
import { LogProducer } from '../../../../client/log-driven/log-producer.js';
import { ShardWriter } from '../../../../client/log-driven/shard-writer.js';
import type { Flush } from '../../../../counter/producer.js';
import { fakeCluster } from '../open-client.js';

const SLICES = 3;
const CELLS_PER_SLICE = 480;

function flushOf(owner: number, producerId: Buffer): Flush {
  const cells = SLICES * CELLS_PER_SLICE;
  const producer = new LogProducer({ rollups: ['total'], producerId, maxCells: cells });
  for (let i = 0; i < cells; i++) {
    producer.add({ key: `${owner}-${i}`, eventType: 'view', timestampMs: 0 });
  }
  return producer.cut(1)!;
}

/** Two partitions flush at the same moment, each with a writer of its own: when requests begin, from the first. */
async function requestsOf(spreadMs: number, { isLost = false } = {}) {
  const { time, cluster, open } = fakeCluster();
  cluster.description = { ...cluster.description, maxBatchBytes: 1_000_000 };
  const client = await open();
  const starts: number[] = [];
  cluster.faultOf = () => {
    starts.push(time.nowMs);
    return isLost && starts.length === 1 ? 'lostBefore' : 'none';
  };
  const waiting = { signal: new AbortController().signal, onTrouble: () => {} };
  const mint = () => time.settle(mintFrom(client.parts.topology, { kind: 'log' }, 1_000));
  const flushes = [flushOf(1, await mint()), flushOf(2, await mint())];
  const beganMs = time.nowMs;
  const write = (flush: Flush) => new ShardWriter(client.parts).write(flush, waiting, spreadMs);
  await time.settle(Promise.all(flushes.map(write)));
  const held = cluster.nodes.map(({ entries }) => entries.size);
  return { beganAtMs: [...new Set(starts)].map((ms) => Math.round(ms - beganMs)), held };
}

describe('shards of several flushes', () => {
  const held = Array.from({ length: 3 }, () => 2 * SLICES * CELLS_PER_SLICE);

  it('go in requests that are spread over time, and never two at once', async () => {
    const spread = await requestsOf(300);
    expect(spread.held).toEqual(held);
    const [a, a2, b, b2, c, c2] = spread.beganAtMs;
    expect(spread.beganAtMs).toHaveLength(2 * SLICES);
    expect([a, b, c]).toEqual([0, 100, 200]);
    for (const [first, second] of [
      [a!, a2!],
      [b!, b2!],
      [c!, c2!],
    ] as const) {
      expect(second - first).toBeGreaterThanOrEqual(2);
      expect(second - first).toBeLessThan(10);
    }
  });

  it('go at once, beside each other, when there is no time to spread them over', async () => {
    const { beganAtMs, held: written } = await requestsOf(0);
    expect(written).toEqual(held);
    expect(beganAtMs[0]).toBe(0);
    // Four of the six begin together.
    expect(beganAtMs.length).toBeLessThanOrEqual(3);
  });

  it('wait 50 ms beside a request that is not answered, no longer', async () => {
    const { beganAtMs, held: written } = await requestsOf(300, { isLost: true });
    expect(written).toEqual(held);
    expect(beganAtMs.slice(0, 4)).toEqual([0, 50, 150, 250]);
  });
});
