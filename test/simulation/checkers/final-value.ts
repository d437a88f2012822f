import { foldValues, type Shard } from '../../../counter/shard.js';
import type { Granularity } from '../../../counter/window.js';
import { decodeEntryKey, decodeShard, type Entry, KIND, kindOfEntry } from '../../../proto/entry.js';
import type { IncrementRecord } from '../history.js';
import { cellName, cellsOf } from './cells.js';
import { getOrMake } from './grouping.js';
import type { Violation } from './violation.js';

interface Bounds {
  leastCount: number;
  mostCount: number;
  leastSum: number;
  mostSum: number;
}

const noBounds = (): Bounds => ({ leastCount: 0, mostCount: 0, leastSum: 0, mostSum: 0 });

/**
 * Every cell ends as what was acknowledged plus a part of what was in doubt. With SDK producers whose
 * process lived nothing is in doubt: what the application counted is exactly what stands there.
 * `stores` are the entries of each node; the cells are their merge, made here by hand.
 */
export function checkFinalValues(
  increments: readonly IncrementRecord[],
  stores: ReadonlyMap<string, readonly Entry[]>,
  rollups: readonly Granularity[],
): Violation[] {
  const violations: Violation[] = [];
  const expected = boundsOf(increments, rollups);
  const found = mergedCells(stores);
  for (const name of new Set([...expected.keys(), ...found.keys()])) {
    const bounds = expected.get(name) ?? noBounds();
    const { count, sum } = found.get(name) ?? { count: 0, sum: 0 };
    const countFits = count >= bounds.leastCount && count <= bounds.mostCount;
    if (countFits && sum >= bounds.leastSum && sum <= bounds.mostSum) continue;
    violations.push({
      check: 'final value',
      detail:
        `${name}: count ${count} not in [${bounds.leastCount}, ${bounds.mostCount}] ` +
        `or sum ${sum} not in [${bounds.leastSum}, ${bounds.mostSum}]`,
    });
  }
  return violations;
}

function boundsOf(
  increments: readonly IncrementRecord[],
  rollups: readonly Granularity[],
): Map<string, Bounds> {
  const all = new Map<string, Bounds>();
  for (const increment of increments) {
    if (increment.outcome === 'not applied') continue;
    const { producer, outcome, value } = increment;
    const sure = outcome === 'acknowledged' || (producer === 'sdk' && outcome === 'waiting');
    for (const name of cellsOf(increment, rollups)) {
      const bounds = getOrMake(all, name, noBounds);
      bounds.mostCount++;
      if (sure) bounds.leastCount++;
      if (sure || value > 0) bounds.mostSum += value;
      if (sure || value < 0) bounds.leastSum += value;
    }
  }
  return all;
}

/** Greater sequence wins per shard, Σ over shards: a naive twin of the merge. */
export function mergedCells(stores: ReadonlyMap<string, readonly Entry[]>) {
  const shards = new Map<string, Map<string, Shard>>();
  const newest = new Map<string, Entry>();
  for (const entries of stores.values()) {
    for (const entry of entries) {
      const name = entry.key.toString('latin1');
      if (kindOfEntry(entry.key) !== KIND.shard) continue;
      const held = newest.get(name);
      if (held?.value.equals(entry.value)) continue;
      if (held && decodeShard(held.value).sequence >= decodeShard(entry.value).sequence) continue;
      newest.set(name, entry);
    }
  }
  for (const { key, value } of newest.values()) {
    const address = decodeEntryKey(key);
    const name = cellName(address.key, address.eventType, address.granularity, address.window);
    const cell = getOrMake(shards, name, () => new Map<string, Shard>());
    cell.set(address.producerId, decodeShard(value));
  }
  return new Map([...shards].map(([name, cell]) => [name, foldValues(cell.values())!]));
}
