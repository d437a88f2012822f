import type { Granularity } from '../../../counter/window.js';
import type { ConsistencyLevel } from '../../../proto/level.js';
import { type History, type IncrementRecord, OVERLAPPING, type ReadRecord } from '../history.js';
import { cellName, cellsOf } from './cells.js';
import { getOrMake } from './grouping.js';
import type { Violation } from './violation.js';

/** Levels of which any two share a replica (history.ts). */
export type Overlapping = ReadonlySet<ConsistencyLevel>;

/**
 * A quorum read lies between what a quorum had acknowledged before it began and what was attempted before
 * it ended; any read stays below what was attempted. Of the increments in between any part may be in it: so
 * its sum lies between that with all negative ones of them and that with all positive ones.
 */
export function checkReadBounds(
  history: History,
  rollups: readonly Granularity[],
  overlapping: Overlapping = OVERLAPPING,
): Violation[] {
  const violations: Violation[] = [];
  const byCell = incrementsByCell(history, rollups);
  for (const read of history.reads) {
    if (read.value === undefined || read.ended === undefined) continue;
    const bounds = { leastCount: 0, mostCount: 0, leastSum: 0, mostSum: 0 };
    for (const increment of byCell.get(nameOf(read)) ?? []) {
      if (increment.began >= read.ended || increment.outcome === 'not applied') continue;
      const sure = mustBeSeen(increment, read, overlapping);
      const { value } = increment;
      bounds.mostCount++;
      if (sure) bounds.leastCount++;
      if (sure || value > 0) bounds.mostSum += value;
      if (sure || value < 0) bounds.leastSum += value;
    }
    const { count, sum } = read.value;
    const countFits = count >= bounds.leastCount && count <= bounds.mostCount;
    if (countFits && sum >= bounds.leastSum && sum <= bounds.mostSum) continue;
    violations.push({
      check: 'read bounds',
      detail:
        `${describe(read)}: count ${count} not in [${bounds.leastCount}, ${bounds.mostCount}] ` +
        `or sum ${sum} not in [${bounds.leastSum}, ${bounds.mostSum}]`,
    });
  }
  return violations;
}

function mustBeSeen(increment: IncrementRecord, read: ReadRecord, overlapping: Overlapping): boolean {
  if (increment.outcome !== 'acknowledged' || increment.ended === undefined) return false;
  if (increment.ended > read.began) return false;
  return overlapping.has(increment.level) && overlapping.has(read.level);
}

/**
 * Of two quorum reads of a cell, one after the other, the later counts no fewer events; nor is its sum less
 * where no value is negative.
 */
export function checkMonotonicReads(history: History, overlapping: Overlapping = OVERLAPPING): Violation[] {
  const violations: Violation[] = [];
  const shrinking = new Set(
    history.increments.filter(({ value }) => value < 0).map(({ key, eventType }) => `${key}/${eventType}`),
  );
  const byCell = new Map<string, ReadRecord[]>();
  for (const read of history.reads) {
    if (read.value === undefined || !overlapping.has(read.level)) continue;
    getOrMake(byCell, nameOf(read), () => [] as ReadRecord[]).push(read);
  }
  for (const reads of byCell.values()) {
    const growOnly = !shrinking.has(`${reads[0]!.key}/${reads[0]!.eventType}`);
    for (const later of reads) {
      const { count, sum } = later.value!;
      const isBehind = ({ value }: ReadRecord) => value!.count > count || (growOnly && value!.sum > sum);
      const earlier = reads.find((one) => one.ended! < later.began && isBehind(one));
      if (!earlier) continue;
      violations.push({
        check: 'quorum reads never go backwards',
        detail:
          `${describe(later)} tells count ${count}, sum ${sum} after ${describe(earlier)} ` +
          `told ${earlier.value!.count}, ${earlier.value!.sum}`,
      });
    }
  }
  return violations;
}

function incrementsByCell(history: History, rollups: readonly Granularity[]): Map<string, IncrementRecord[]> {
  const byCell = new Map<string, IncrementRecord[]>();
  for (const increment of history.increments) {
    for (const name of cellsOf(increment, rollups)) {
      getOrMake(byCell, name, () => [] as IncrementRecord[]).push(increment);
    }
  }
  return byCell;
}

function nameOf(read: ReadRecord): string {
  return cellName(read.key, read.eventType, read.granularity, read.window);
}

function describe(read: ReadRecord): string {
  return `${read.client}'s read of ${nameOf(read)} at ${read.level} (${read.beganMs.toFixed(1)}–${read.endedMs?.toFixed(1)} ms)`;
}
