import { preferenceWalker, type Topology } from './preference.js';
import type { ReplicaSet, Ring, RingNode } from './ring.js';
import { vnodeToken } from './token.js';

export interface RingOptions {
  epoch: number;
  nodes: readonly RingNode[];
  /** Tokens per node. */
  vnodes: number;
  /** Replicas per datacenter. */
  replication: Readonly<Record<string, number>>;
}

/**
 * A ring with its arcs. Arc i holds the tokens in (tokens[i-1], tokens[i]], the first one also those after
 * the last token, and is replicated by replicaSets[arcSets[i]].
 */
export interface TokenRing extends Ring {
  /** Ascending. */
  readonly tokens: BigUint64Array;
  readonly arcSets: Uint32Array;
}

/**
 * Builds the ring, a function of its options (the order of `nodes` does not matter). A token belongs to the
 * first vnode at or after it; the preference list starts there. A datacenter with fewer nodes than replicas
 * gives all it has: the configuration refuses such clusters.
 *
 * Throws RangeError for more than 65,535 nodes, or for two nodes of one name.
 */
export function buildRing(options: RingOptions): TokenRing {
  // Sorted, so that the ring does not depend on the order given; equal tokens are ordered by nodeId.
  const nodes = [...options.nodes].sort((a, b) => (a.nodeId < b.nodeId ? -1 : 1));
  if (nodes.length > 65_535) throw new RangeError('a ring has at most 65,535 nodes');
  for (let i = 1; i < nodes.length; i++) {
    if (nodes[i]!.nodeId === nodes[i - 1]!.nodeId) throw new RangeError(`node ${nodes[i]!.nodeId} twice`);
  }
  const { tokens, owners } = placeTokens(nodes, options.vnodes);
  const walk = preferenceWalker(owners, topologyOf(nodes, options.replication));
  const { arcSets, replicaSets } = assignSets(nodes, owners, walk);
  const arcOf = arcFinder(tokens);
  return {
    epoch: options.epoch,
    nodes,
    vnodes: options.vnodes,
    replication: { ...options.replication },
    replicaSets,
    tokens,
    arcSets,
    replicasOf: (token) => {
      const set = replicaSets[arcSets[arcOf(token)]!];
      if (set === undefined) throw new RangeError('the ring has no nodes');
      return set;
    },
  };
}

function placeTokens(nodes: readonly RingNode[], vnodes: number) {
  const count = nodes.length * vnodes;
  const unsorted = new BigUint64Array(count);
  const high = new Uint32Array(count);
  const order = new Uint32Array(count);
  for (let i = 0; i < count; i++) {
    unsorted[i] = vnodeToken(nodes[Math.floor(i / vnodes)]!.nodeId, i % vnodes);
    high[i] = Number(unsorted[i]! >> 32n);
    order[i] = i;
  }
  order.sort((a, b) => {
    const difference = high[a]! - high[b]!;
    if (difference !== 0) return difference;
    const [left, right] = [unsorted[a]!, unsorted[b]!];
    return left < right ? -1 : left > right ? 1 : a - b;
  });
  const tokens = new BigUint64Array(count);
  const owners = new Uint16Array(count);
  for (let i = 0; i < count; i++) {
    tokens[i] = unsorted[order[i]!]!;
    owners[i] = Math.floor(order[i]! / vnodes);
  }
  return { tokens, owners };
}

function topologyOf(nodes: readonly RingNode[], replication: Readonly<Record<string, number>>): Topology {
  const names = Object.keys(replication);
  const datacenterOf = Int32Array.from(nodes, (node) => names.indexOf(node.datacenter));
  const rackNames = new Map<string, number>();
  const rackOf = Int32Array.from(nodes, ({ datacenter, rack }) => {
    const name = JSON.stringify([datacenter, rack]);
    const index = rackNames.get(name) ?? rackNames.size;
    rackNames.set(name, index);
    return index;
  });
  const wanted: number[] = [];
  const racks: number[] = [];
  for (const name of names) {
    const local = nodes.filter((node) => node.datacenter === name);
    wanted.push(Math.min(replication[name]!, local.length));
    racks.push(new Set(local.map((node) => node.rack)).size);
  }
  return { datacenterOf, rackOf, wanted, racks };
}

function assignSets(nodes: readonly RingNode[], owners: Uint16Array, walk: (from: number) => number[]) {
  const arcSets = new Uint32Array(owners.length);
  const replicaSets: ReplicaSet[] = [];
  const known = new Map<string, ReplicaSet>();
  for (let i = 0; i < owners.length; i++) {
    const list = walk(i);
    const name = String.fromCharCode(...list);
    let set = known.get(name);
    if (set === undefined) {
      set = { index: replicaSets.length, nodeIds: list.map((node) => nodes[node]!.nodeId) };
      replicaSets.push(set);
      known.set(name, set);
    }
    arcSets[i] = set.index;
  }
  return { arcSets, replicaSets };
}

/** Finds the arc of a token: binary search on the high halves, within one slice of the circle. */
function arcFinder(tokens: BigUint64Array): (token: bigint) => number {
  const count = tokens.length;
  const high = Uint32Array.from(tokens, (token) => Number(token >> 32n));
  // About one slice per token: a search then looks at a few tokens only, whatever the size of the ring.
  const bits = Math.max(1, Math.ceil(Math.log2(count + 1)));
  const shift = 32 - bits;
  const firstOfSlice = new Uint32Array(2 ** bits + 1).fill(count);
  for (let i = count - 1; i >= 0; i--) firstOfSlice[high[i]! >>> shift] = i;
  for (let slice = 2 ** bits - 1; slice >= 0; slice--) {
    firstOfSlice[slice] = Math.min(firstOfSlice[slice]!, firstOfSlice[slice + 1]!);
  }
  return (token) => {
    const wanted = Number(token >> 32n);
    let low = firstOfSlice[wanted >>> shift]!;
    let end = firstOfSlice[(wanted >>> shift) + 1]!;
    while (low < end) {
      const middle = (low + end) >>> 1;
      if (high[middle]! < wanted) low = middle + 1;
      else end = middle;
    }
    while (low < count && high[low] === wanted && tokens[low]! < token) low++;
    return low === count ? 0 : low;
  };
}
