import type { Rule } from '../../../client/log-driven/checkpoint.js';
import type { Release } from '../pipeline/checkpoint-watch.js';
import type { HeldCheckpoint } from '../pipeline/steps.js';
import type { Violation } from './violation.js';

/**
 * What owners were told of a partition's checkpoint, in the order of its versions:
 * - `committed` never falls, and moves only to the end of a batch that stood there before;
 * - the log is told to forget nothing that whoever took over then would look at.
 */
export function checkCheckpoints(held: readonly HeldCheckpoint[], releases: readonly Release[]): Violation[] {
  const violations: Violation[] = [];
  for (const partition of new Set(held.map((one) => one.partition))) {
    const own = held.filter((one) => one.partition === partition);
    violations.push(...checkOrder(own));
    for (const release of releases) {
      if (release.partition === partition) violations.push(...checkRelease(own, release));
    }
  }
  return violations;
}

function checkOrder(held: readonly HeldCheckpoint[]): Violation[] {
  const violations: Violation[] = [];
  const ordered = [...held].sort((a, b) => a.epoch - b.epoch || a.write - b.write);
  for (const [i, { process, checkpoint }] of ordered.entries()) {
    const before = ordered[i - 1]?.checkpoint;
    if (before === undefined || checkpoint.committed === before.committed) continue;
    const told = `${process}: ${before.committed} (pending ${before.end}), then ${checkpoint.committed}`;
    if (checkpoint.committed < before.committed)
      violations.push({ check: 'committed never falls', detail: told });
    else if (checkpoint.committed !== before.end)
      violations.push({ check: 'a batch is intended before it is committed', detail: told });
  }
  return violations;
}

function checkRelease(held: readonly HeldCheckpoint[], { before, known }: Release): Violation[] {
  const needed = held
    .slice(0, known)
    .map(({ checkpoint }) => neededFrom(checkpoint.rules, checkpoint.committed));
  const most = Math.max(0, ...needed);
  if (before <= most) return [];
  const detail = `released up to ${before}, needed from ${most}`;
  return [{ check: 'nothing is released that a successor needs', detail }];
}

function neededFrom(rules: readonly Rule[], committed: number): number {
  const { lookBack, lookBackFrom } = rules.at(-1)!;
  return Math.max(lookBackFrom, committed - lookBack);
}
