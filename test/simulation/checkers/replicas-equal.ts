import { decodeEntryKey, type Entry, tokenOfEntry } from '../../../proto/entry.js';
import type { Violation } from './violation.js';

/**
 * Once everything is healed, every entry stands on exactly N nodes, the same bytes on each, and all entries
 * of a token on the same nodes. Knows nothing of the ring's code.
 */
export function checkReplicasEqual(
  stores: ReadonlyMap<string, readonly Entry[]>,
  replicas: number,
): Violation[] {
  const holders = new Map<string, { entry: Entry; nodes: string[]; differs: boolean }>();
  for (const [node, entries] of stores) {
    for (const entry of entries) {
      const name = entry.key.toString('latin1');
      const seen = holders.get(name);
      if (!seen) {
        holders.set(name, { entry, nodes: [node], differs: false });
        continue;
      }
      seen.nodes.push(node);
      if (!seen.entry.value.equals(entry.value)) seen.differs = true;
    }
  }
  const violations: Violation[] = [];
  const nodesOfToken = new Map<bigint, string>();
  for (const { entry, nodes, differs } of holders.values()) {
    const token = tokenOfEntry(entry.key);
    const list = nodes.sort().join(' ');
    const others = nodesOfToken.get(token) ?? list;
    nodesOfToken.set(token, others);
    if (!differs && nodes.length === replicas && list === others) continue;
    const { key, eventType, granularity, window, producerId } = decodeEntryKey(entry.key);
    violations.push({
      check: 'replicas equal',
      detail:
        `${key}/${eventType}/${granularity}/${window} of ${producerId} is on [${list}], ` +
        `${differs ? 'with different bytes' : `others of its token on [${others}], N = ${replicas}`}`,
    });
  }
  return violations;
}
