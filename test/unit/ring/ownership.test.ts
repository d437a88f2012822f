import { describe, expect, it } from 'vitest';
import { clusterSchema } from '../../../node/config.js';
import { buildRing, type TokenRing } from '../../../node/ring/build.js';
import { movedShare, ownership, primaryOwnership, replicationFactor } from '../../../node/ring/ownership.js';

const VNODES = clusterSchema.parse({
  cluster: 'c',
  replication: { dc1: 1 },
  nodes: [{ id: 'n1', port: 1 }],
}).vnodes;

/** Several ways in which people name nodes: the limits must not hold for one lucky set only. */
const FAMILIES: Record<string, (i: number) => string> = {
  'n1…': (i) => `n${i + 1}`,
  'node-001…': (i) => `node-${String(i + 1).padStart(3, '0')}`,
  'ip addresses': (i) => `10-0-${i % 4}-${i + 10}`,
  'sparse numbers': (i) => `db${i * 7919 + 13}`,
  letters: (i) => `${'kappa'.repeat(3)}_${String.fromCharCode(97 + (i % 26))}${Math.floor(i / 26)}`,
};
const SIZES = [3, 4, 5, 7, 10, 16, 25, 40, 64];

function cluster(name: (i: number) => string, size: number): TokenRing {
  const nodes = Array.from({ length: size }, (_, i) => ({ nodeId: name(i), datacenter: 'dc1', rack: 'r1' }));
  return buildRing({ epoch: 1, nodes, vnodes: VNODES, replication: { dc1: 3 } });
}

function maxOverMean(owned: Record<string, number>): number {
  const shares = Object.values(owned);
  return Math.max(...shares) / (shares.reduce((sum, share) => sum + share) / shares.length);
}

describe('the default number of vnodes', () => {
  it.each(Object.entries(FAMILIES))(
    'balances primary and replicated ownership to 1.10, named %s',
    (_, name) => {
      for (const size of SIZES) {
        const ring = cluster(name, size);
        expect(maxOverMean(primaryOwnership(ring)), `primary of ${size}`).toBeLessThanOrEqual(1.1);
        expect(maxOverMean(ownership(ring)), `replicated by ${size}`).toBeLessThanOrEqual(1.1);
      }
    },
  );

  it.each(Object.entries(FAMILIES))('moves at most 1.1/(n+1) on a join, named %s', (_, name) => {
    for (const size of SIZES) {
      const [before, after] = [cluster(name, size), cluster(name, size + 1)];
      const ideal = 1 / (size + 1);
      // Of replicated data; and of primary ownership, all of which goes to the node that joins.
      expect(movedShare(before, after), `${size} nodes`).toBeLessThanOrEqual(1.1 * ideal);
      expect(primaryOwnership(after)[name(size)], `${size} nodes`).toBeLessThanOrEqual(1.1 * ideal);
      expect(movedShare(before, after)).toBeGreaterThan(0.9 * ideal);
    }
  });

  it('builds 64 nodes well under two seconds', () => {
    const start = performance.now();
    expect(cluster((i) => `n${i}`, 64).tokens).toHaveLength(64 * VNODES);
    expect(performance.now() - start).toBeLessThan(2_000);
  });
});

describe('ownership', () => {
  const nodes = ['dc1', 'dc2'].flatMap((datacenter) =>
    Array.from({ length: 5 }, (_, i) => ({ nodeId: `${datacenter}-${i}`, datacenter, rack: `r${i % 2}` })),
  );
  const ring = buildRing({ epoch: 1, nodes, vnodes: 16, replication: { dc1: 3, dc2: 2 } });
  const sum = (owned: Record<string, number>) => Object.values(owned).reduce((total, share) => total + share);

  it('sums to the replication factor, per datacenter too', () => {
    const owned = ownership(ring);
    expect(sum(owned)).toBeCloseTo(replicationFactor(ring), 9);
    const ofFirst = Object.entries(owned).filter(([nodeId]) => nodeId.startsWith('dc1'));
    expect(sum(Object.fromEntries(ofFirst))).toBeCloseTo(3, 9);
    expect(sum(primaryOwnership(ring))).toBeCloseTo(1, 9);
  });

  it('agrees with counting the replicas of evenly spaced tokens', () => {
    const counted: Record<string, number> = {};
    const samples = 20_000;
    for (let i = 0; i < samples; i++) {
      const token = (BigInt(i) * 2n ** 64n) / BigInt(samples);
      for (const nodeId of ring.replicasOf(token).nodeIds)
        counted[nodeId] = (counted[nodeId] ?? 0) + 1 / samples;
    }
    for (const [nodeId, share] of Object.entries(ownership(ring)))
      expect(share).toBeCloseTo(counted[nodeId]!, 2);
  });

  it('gives a lone token the whole circle, and moves nothing between equal rings', () => {
    const lone = buildRing({ epoch: 1, nodes: nodes.slice(0, 1), vnodes: 1, replication: { dc1: 1 } });
    expect(ownership(lone)).toEqual({ 'dc1-0': 1 });
    expect(movedShare(ring, ring)).toBe(0);
  });
});
