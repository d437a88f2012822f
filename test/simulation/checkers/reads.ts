import type { Granularity } from '../../../counter/window.js';
import { type History, type IncrementRecord, OVERLAPPING, type ReadRecord } from '../history.js';
import { cellName, cellsOf } from './cells.js';
import { getOrMake } from './grouping.js';
import type { Violation } from './violation.js';

/**
 * A quorum read lies between what a quorum had acknowledged before it began and what was attempted before
 * it ended; any read stays below what was attempted. Counts always; sums where no value is negative.
 */
export function checkReadBounds(history: History, rollups: readonly Granularity[]): Violation[] {
  const violations: Violation[] = [];
  const byCell = incrementsByCell(history, rollups);
  for (const read of history.reads) {
    if (read.value === undefined || read.ended === undefined) continue;
    const increments = byCell.get(nameOf(read)) ?? [];
    const bounds = { leastCount: 0, mostCount: 0, leastSum: 0, mostSum: 0 };
    for (const increment of increments) {
      if (increment.began < read.ended && increment.outcome !== 'not applied') {
        bounds.mostCount++;
        bounds.mostSum += increment.value;
      }
      if (!mustBeSeen(increment, read)) continue;
      bounds.leastCount++;
      bounds.leastSum += increment.value;
    }
    const { count, sum } = read.value;
    const growOnly = increments.every((increment) => increment.value >= 0);
    const countFits = count >= bounds.leastCount && count <= bounds.mostCount;
    if (countFits && (!growOnly || (sum >= bounds.leastSum && sum <= bounds.mostSum))) continue;
    violations.push({
      check: 'read bounds',
      detail:
        `${describe(read)}: count ${count} not in [${bounds.leastCount}, ${bounds.mostCount}] ` +
        `or sum ${sum} not in [${bounds.leastSum}, ${bounds.mostSum}]`,
    });
  }
  return violations;
}

function mustBeSeen(increment: IncrementRecord, read: ReadRecord): boolean {
  if (increment.outcome !== 'acknowledged' || increment.ended === undefined) return false;
  if (increment.ended > read.began) return false;
  return OVERLAPPING.has(increment.level) && OVERLAPPING.has(read.level);
}

/** Of two quorum reads of a cell, one after the other, the later counts no fewer events. */
export function checkMonotonicReads(history: History): Violation[] {
  const violations: Violation[] = [];
  const byCell = new Map<string, ReadRecord[]>();
  for (const read of history.reads) {
    if (read.value === undefined || !OVERLAPPING.has(read.level)) continue;
    getOrMake(byCell, nameOf(read), () => [] as ReadRecord[]).push(read);
  }
  for (const reads of byCell.values()) {
    for (const later of reads) {
      const earlier = reads.find((one) => one.ended! < later.began && one.value!.count > later.value!.count);
      if (!earlier) continue;
      violations.push({
        check: 'quorum reads never go backwards',
        detail: `${describe(later)} counts ${later.value!.count} after ${describe(earlier)} counted ${earlier.value!.count}`,
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
