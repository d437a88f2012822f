import type { TokenRing } from './build.js';
import type { ReplicaSet, Ring } from './ring.js';
import { TOKEN_SPACE } from './token.js';

/** The share of the token space that each node replicates, in [0, 1]. Sums to the replication factor. */
export function ownership(ring: TokenRing): Record<string, number> {
  const shares = new Array<number>(ring.replicaSets.length).fill(0);
  for (let i = 0; i < ring.tokens.length; i++) shares[ring.arcSets[i]!]! += arcShare(ring.tokens, i);
  const owned: Record<string, number> = Object.fromEntries(ring.nodes.map(({ nodeId }) => [nodeId, 0]));
  for (const { index, nodeIds } of ring.replicaSets) {
    for (const nodeId of nodeIds) owned[nodeId]! += shares[index]!;
  }
  return owned;
}

/** The share of the token space whose preference list each node heads. Sums to 1. */
export function primaryOwnership(ring: TokenRing): Record<string, number> {
  const owned: Record<string, number> = Object.fromEntries(ring.nodes.map(({ nodeId }) => [nodeId, 0]));
  for (let i = 0; i < ring.tokens.length; i++) {
    const primary = ring.replicaSets[ring.arcSets[i]!]!.nodeIds[0];
    if (primary !== undefined) owned[primary]! += arcShare(ring.tokens, i);
  }
  return owned;
}

/**
 * How much of all replicated data has to be copied to go from one ring to another: the share, in [0, 1], of
 * (token, replica) pairs of `after` whose node did not replicate that token in `before`.
 */
export function movedShare(before: TokenRing, after: TokenRing): number {
  const cuts = mergedTokens(before.tokens, after.tokens);
  let moved = 0;
  let all = 0;
  for (let i = 0; i < cuts.length; i++) {
    const share = arcShare(cuts, i);
    const [from, to]: ReplicaSet[] = [before.replicasOf(cuts[i]!), after.replicasOf(cuts[i]!)];
    all += share * to!.nodeIds.length;
    for (const nodeId of to!.nodeIds) if (!from!.nodeIds.includes(nodeId)) moved += share;
  }
  return all === 0 ? 0 : moved / all;
}

/** Length of arc i as a share of the circle: from the token before it (the last one, for the first arc). */
function arcShare(tokens: BigUint64Array, i: number): number {
  if (tokens.length === 1) return 1;
  const before = tokens[i === 0 ? tokens.length - 1 : i - 1]!;
  return Number(BigInt.asUintN(64, tokens[i]! - before)) / TOKEN_SPACE;
}

function mergedTokens(a: BigUint64Array, b: BigUint64Array): BigUint64Array {
  const all = new BigUint64Array(a.length + b.length);
  all.set(a);
  all.set(b, a.length);
  return BigUint64Array.from(new Set(all.sort()));
}

/** Total replicas of a token over all datacenters (the N of a cluster of one datacenter). */
export function replicationFactor(ring: Pick<Ring, 'replication'>): number {
  return Object.values(ring.replication).reduce((sum, replicas) => sum + replicas, 0);
}
