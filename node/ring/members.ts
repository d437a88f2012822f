import type { Ring } from './ring.js';

/** Preference lists with the same members, whatever their order: one group. */
export interface MemberGroups {
  /** Group of a replica set, by its index. */
  groupOf: readonly number[];
  /** Members of each group, sorted. */
  members: readonly (readonly string[])[];
}

const known = new WeakMap<Ring, MemberGroups>();

/**
 * Who replicates together: what a write's messages and the hash tree are grouped by. In a cluster of as many
 * nodes as replicas there is one group, however the preference lists are ordered.
 */
export function memberGroups(ring: Ring): MemberGroups {
  let groups = known.get(ring);
  if (groups === undefined) {
    groups = group(ring);
    known.set(ring, groups);
  }
  return groups;
}

function group(ring: Ring): MemberGroups {
  const byName = new Map<string, number>();
  const groupOf: number[] = [];
  const members: string[][] = [];
  for (const { index, nodeIds } of ring.replicaSets) {
    const sorted = [...nodeIds].sort();
    const name = sorted.join('\n');
    let found = byName.get(name);
    if (found === undefined) {
      found = members.push(sorted) - 1;
      byName.set(name, found);
    }
    groupOf[index] = found;
  }
  return { groupOf, members };
}
