import { clusterSchema } from '../../node/config.js';
import { buildRing, type TokenRing } from '../../node/ring/build.js';
import { movedShare, primaryOwnership, replicationFactor } from '../../node/ring/ownership.js';
import { hash64Text } from '../../ports/hash.js';
import { percentile, type RingFigures } from './figures.js';

export interface RingPlan {
  sizes: readonly number[];
  /** How many of the ways to name nodes. */
  namings: number;
}

const VNODES = clusterSchema.parse({
  cluster: 'scale',
  replication: { dc1: 1 },
  nodes: [{ id: 'n1', port: 1 }],
}).vnodes;
const REPLICAS = 3;
const SAMPLED_KEYS = 50_000;

/** A ring is a function of its nodes' names: the figures must not be those of one lucky set. */
const NAMINGS: readonly ((i: number) => string)[] = [
  (i) => `n${i + 1}`,
  (i) => `node-${String(i + 1).padStart(4, '0')}`,
  (i) => `10-0-${i >> 8}-${i & 255}`,
  (i) => `db${i * 7_919 + 13}`,
];

export async function measureRings(plan: RingPlan, report: (text: string) => void): Promise<RingFigures[]> {
  const figures: RingFigures[] = [];
  for (const nodes of plan.sizes) {
    report(`${nodes} nodes`);
    // The process hears its parent, and is heard, between two rings.
    await new Promise((resolve) => setImmediate(resolve));
    figures.push(measureRing(nodes, plan.namings));
  }
  return figures;
}

function measureRing(nodes: number, namings: number): RingFigures {
  const balances: number[] = [];
  const movements: number[] = [];
  let keysTouched = 0;
  let buildMs = Number.POSITIVE_INFINITY;
  for (const name of NAMINGS.slice(0, namings)) {
    const startMs = performance.now();
    const before = ringOf(name, nodes);
    buildMs = Math.min(buildMs, performance.now() - startMs);
    const after = ringOf(name, nodes + 1);
    balances.push(maxOverMean(Object.values(primaryOwnership(before))));
    movements.push(movedShare(before, after) * (nodes + 1));
    keysTouched = Math.max(
      keysTouched,
      touchedShare(before, after) / (replicationFactor(after) / (nodes + 1)),
    );
  }
  return {
    nodes,
    vnodes: VNODES,
    worstBalance: Math.max(...balances),
    medianBalance: percentile(balances, 50),
    worstMovement: Math.max(...movements),
    keysTouched,
    buildMs: Math.round(buildMs),
  };
}

function ringOf(name: (i: number) => string, size: number): TokenRing {
  const nodes = Array.from({ length: size }, (_, i) => ({ nodeId: name(i), datacenter: 'dc1', rack: 'r1' }));
  return buildRing({ epoch: 1, nodes, vnodes: VNODES, replication: { dc1: REPLICAS } });
}

function maxOverMean(shares: readonly number[]): number {
  return (Math.max(...shares) * shares.length) / shares.reduce((sum, share) => sum + share);
}

/** Of sampled keys, the share whose replicas are not the same nodes any more. */
function touchedShare(before: TokenRing, after: TokenRing): number {
  let touched = 0;
  for (let i = 0; i < SAMPLED_KEYS; i++) {
    const token = hash64Text(`key-${i}`);
    const { nodeIds } = before.replicasOf(token);
    if (after.replicasOf(token).nodeIds.some((nodeId) => !nodeIds.includes(nodeId))) touched++;
  }
  return touched / SAMPLED_KEYS;
}
