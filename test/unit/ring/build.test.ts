import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { buildRing, type RingOptions } from '../../../node/ring/build.js';
import type { RingNode } from '../../../node/ring/ring.js';
import { vnodeToken } from '../../../node/ring/token.js';

const MAX_TOKEN = 2n ** 64n - 1n;

/** The dumb twin: a sorted list of bigint tokens, walked for each question. */
function dumbReplicas({ nodes, vnodes, replication }: RingOptions, token: bigint): string[] {
  const positions = nodes
    .flatMap((node) => Array.from({ length: vnodes }, (_, i) => ({ node, at: vnodeToken(node.nodeId, i) })))
    .sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : a.node.nodeId < b.node.nodeId ? -1 : 1));
  const start = positions.findIndex((position) => position.at >= token);
  const walk = start < 0 ? positions : [...positions.slice(start), ...positions.slice(0, start)];
  const met = [...new Map(walk.map(({ node }) => [node.nodeId, node])).values()];
  // Each node's place in the list: when it was taken, and its own place among those taken then.
  const taken: { nodeId: string; when: number; order: number }[] = [];
  for (const [datacenter, replicas] of Object.entries(replication)) {
    const local = met.filter((node) => node.datacenter === datacenter);
    const racks = new Set(local.map((node) => node.rack));
    const firsts = [...racks].map((rack) => local.find((node) => node.rack === rack)!);
    const others = local.filter((node) => !firsts.includes(node));
    const lastFirst = Math.max(...firsts.map((node) => met.indexOf(node)));
    const inOrder = [
      ...firsts.map((node) => ({ node, when: met.indexOf(node), order: 0 })),
      ...others.map((node) => ({
        node,
        when: Math.max(lastFirst, met.indexOf(node)),
        order: 1 + met.indexOf(node),
      })),
    ].sort((a, b) => a.when - b.when || a.order - b.order);
    taken.push(
      ...inOrder.slice(0, replicas).map(({ node, when, order }) => ({ nodeId: node.nodeId, when, order })),
    );
  }
  return taken.sort((a, b) => a.when - b.when || a.order - b.order).map(({ nodeId }) => nodeId);
}

const options: fc.Arbitrary<RingOptions> = fc
  .record({
    places: fc.array(
      fc.record({ datacenter: fc.constantFrom('a', 'b'), rack: fc.constantFrom('r1', 'r2', 'r3') }),
      {
        minLength: 1,
        maxLength: 12,
      },
    ),
    family: fc.constantFrom('n', 'node-', 'x9_'),
    vnodes: fc.integer({ min: 1, max: 12 }),
    replicas: fc.record({ a: fc.integer({ min: 1, max: 5 }), b: fc.integer({ min: 1, max: 5 }) }),
  })
  .map(({ places, family, vnodes, replicas }) => ({
    epoch: 1,
    nodes: places.map((place, i) => ({ nodeId: `${family}${i}`, ...place })),
    vnodes,
    replication: Object.fromEntries(
      Object.entries(replicas).filter(([name]) => places.some((place) => place.datacenter === name)),
    ),
  }));

const node = (nodeId: string, rack = 'r1', datacenter = 'dc1'): RingNode => ({ nodeId, datacenter, rack });

describe('buildRing', () => {
  it('equals the dumb twin for random clusters and tokens, and at every ring position', () => {
    fc.assert(
      fc.property(
        options,
        fc.array(fc.bigInt({ min: 0n, max: MAX_TOKEN }), { maxLength: 20 }),
        (given, random) => {
          const ring = buildRing(given);
          const edges = [...ring.tokens].flatMap((token) => [token, token + 1n, token - 1n]);
          for (const token of [0n, MAX_TOKEN, ...random, ...edges].map((value) =>
            BigInt.asUintN(64, value),
          )) {
            expect(ring.replicasOf(token).nodeIds).toEqual(dumbReplicas(given, token));
          }
        },
      ),
      { numRuns: 150 },
    );
  });

  it('does not depend on the order of the nodes', () => {
    const nodes = Array.from({ length: 9 }, (_, i) => node(`n${i}`, `r${i % 3}`));
    const given = { epoch: 1, nodes, vnodes: 64, replication: { dc1: 3 } };
    const ring = buildRing(given);
    const other = buildRing({ ...given, nodes: [...nodes.slice(4).reverse(), ...nodes.slice(0, 4)] });
    expect(other.tokens).toEqual(ring.tokens);
    expect(other.arcSets).toEqual(ring.arcSets);
    expect(other.replicaSets).toEqual(ring.replicaSets);
  });

  it('spreads the replicas over racks, and over both datacenters', () => {
    const nodes = ['dc1', 'dc2'].flatMap((datacenter) =>
      Array.from({ length: 6 }, (_, i) => node(`${datacenter}-${i}`, `r${i % 3}`, datacenter)),
    );
    const ring = buildRing({ epoch: 1, nodes, vnodes: 32, replication: { dc1: 3, dc2: 2 } });
    for (const { nodeIds } of ring.replicaSets) {
      const places = nodeIds.map((nodeId) => nodes.find((other) => other.nodeId === nodeId)!);
      const racksOf = (name: string) => places.filter((p) => p.datacenter === name).map((p) => p.rack);
      expect(new Set(racksOf('dc1')).size).toBe(3);
      expect(racksOf('dc1')).toHaveLength(3);
      expect(new Set(racksOf('dc2')).size).toBe(2);
      expect(racksOf('dc2')).toHaveLength(2);
    }
    const heads = new Set(ring.replicaSets.map(({ nodeIds }) => nodeIds[0]!.slice(0, 3)));
    expect(heads).toEqual(new Set(['dc1', 'dc2'])); // interleaved, not one datacenter after the other
  });

  it('falls back to nodes of seen racks when the racks run out', () => {
    const nodes = [node('n1', 'r1'), node('n2', 'r1'), node('n3', 'r1'), node('n4', 'r2')];
    const ring = buildRing({ epoch: 1, nodes, vnodes: 32, replication: { dc1: 3 } });
    for (const { nodeIds } of ring.replicaSets) {
      expect(new Set(nodeIds).size).toBe(3);
      expect(nodeIds.indexOf('n4')).toBeGreaterThanOrEqual(0);
      expect(nodeIds.indexOf('n4')).toBeLessThan(2); // the unseen rack goes before a repeated one
    }
  });

  it('ignores nodes of a datacenter without replicas, and gives what a small one has', () => {
    const nodes = [node('n1'), node('n2'), node('far', 'r1', 'dc2')];
    const ring = buildRing({ epoch: 1, nodes, vnodes: 8, replication: { dc1: 3 } });
    for (const { nodeIds } of ring.replicaSets) expect([...nodeIds].sort()).toEqual(['n1', 'n2']);
  });

  it('shares one object between equal lists, under its index', () => {
    const nodes = [node('n1'), node('n2'), node('n3')];
    const ring = buildRing({ epoch: 7, nodes, vnodes: 256, replication: { dc1: 3 } });
    expect(ring.epoch).toBe(7);
    expect(ring.replicaSets).toHaveLength(6);
    for (const token of ring.tokens) {
      const set = ring.replicasOf(token);
      expect(ring.replicaSets[set.index]).toBe(set);
    }
  });

  it('refuses two nodes of one name, and answers nothing without nodes', () => {
    const given = { epoch: 1, vnodes: 4, replication: { dc1: 1 } };
    expect(() => buildRing({ ...given, nodes: [node('n1'), node('n1')] })).toThrow(/n1 twice/);
    expect(() => buildRing({ ...given, nodes: [] }).replicasOf(5n)).toThrow(/no nodes/);
  });
});
