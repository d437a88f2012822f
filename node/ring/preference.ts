/** The nodes, datacenters and racks of a ring as small integers, so that a walk needs no strings. */
export interface Topology {
  /** By node: index of its datacenter; -1 where the datacenter has no replicas. */
  datacenterOf: Int32Array;
  /** By node: index of its rack, unique over all datacenters. */
  rackOf: Int32Array;
  /** By datacenter: replicas wanted (never more than its nodes), and its racks. */
  wanted: number[];
  racks: number[];
}

/**
 * Returns a function that walks clockwise from a position of the ring and gives the preference list, after
 * Cassandra's NetworkTopologyStrategy: per datacenter distinct nodes, those of a rack not seen yet first. A
 * node of a seen rack is skipped, and skipped ones are taken in their order once every rack was seen. The
 * datacenters stay interleaved as the walk met them.
 *
 * @param owners node index of each ring position, in token order.
 */
export function preferenceWalker(owners: Uint16Array, topology: Topology): (from: number) => number[] {
  const { datacenterOf, rackOf, wanted, racks } = topology;
  const total = wanted.reduce((sum, replicas) => sum + replicas, 0);
  // A node or rack was met in this walk when its mark is the walk's number: nothing to clear between walks.
  const nodeMark = new Uint32Array(datacenterOf.length);
  const rackMark = new Uint32Array(rackOf.length);
  const missing = new Int32Array(wanted.length);
  const newRacks = new Int32Array(wanted.length);
  let walk = 0;

  return (from) => {
    walk++;
    missing.set(wanted);
    newRacks.set(racks);
    const list: number[] = [];
    let skipped: number[] = [];
    for (let step = 0, at = from; step < owners.length && list.length < total; step++, at++) {
      if (at === owners.length) at = 0;
      const node = owners[at]!;
      const datacenter = datacenterOf[node]!;
      if (nodeMark[node] === walk || datacenter < 0 || missing[datacenter] === 0) continue;
      nodeMark[node] = walk;
      const rack = rackOf[node]!;
      if (rackMark[rack] === walk && newRacks[datacenter]! > 0) {
        skipped.push(node);
        continue;
      }
      list.push(node);
      missing[datacenter]!--;
      if (rackMark[rack] === walk) continue;
      rackMark[rack] = walk;
      if (--newRacks[datacenter]! > 0 || skipped.length === 0) continue;
      const rest: number[] = [];
      for (const candidate of skipped) {
        if (datacenterOf[candidate] !== datacenter) rest.push(candidate);
        else if (missing[datacenter]! > 0) {
          list.push(candidate);
          missing[datacenter]!--;
        }
      }
      skipped = rest;
    }
    return list;
  };
}
