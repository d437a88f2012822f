import { type Entry, tokenOfEntry } from '../../proto/entry.js';
import { memberGroups } from '../ring/members.js';
import type { Ring } from '../ring/ring.js';
import type { TallyReplica } from './tally.js';

/** The items of one request that the same nodes replicate, by their index in the request. */
export interface Group {
  id: number;
  replicas: readonly TallyReplica[];
  indexes: number[];
}

/** Groups items by who replicates their token. */
export function groupByReplicas(ring: Ring, tokens: Iterable<bigint>): Group[] {
  const { groupOf } = memberGroups(ring);
  const groups = new Map<number, Group>();
  let i = 0;
  for (const token of tokens) {
    const id = groupOf[ring.replicasOf(token).index]!;
    const group = groups.get(id);
    if (group === undefined) groups.set(id, { id, replicas: replicasOfGroup(ring, id), indexes: [i] });
    else group.indexes.push(i);
    i++;
  }
  return [...groups.values()];
}

/** The same for entries, at no cost where every key has the same replicas. */
export function groupEntries(ring: Ring, entries: readonly Entry[]): Group[] {
  if (memberGroups(ring).members.length > 1) {
    return groupByReplicas(
      ring,
      entries.map((entry) => tokenOfEntry(entry.key)),
    );
  }
  return [{ id: 0, replicas: replicasOfGroup(ring, 0), indexes: Array.from(entries, (_, i) => i) }];
}

function replicasOfGroup(ring: Ring, id: number): TallyReplica[] {
  return withDatacenter(ring, memberGroups(ring).members[id]!);
}

export function withDatacenter(ring: Ring, nodeIds: readonly string[]): TallyReplica[] {
  return nodeIds.map((nodeId) => ({ nodeId, datacenter: datacenterOf(ring, nodeId) }));
}

export function datacenterOf(ring: Ring, nodeId: string): string {
  return ring.nodes.find((node) => node.nodeId === nodeId)?.datacenter ?? '';
}
