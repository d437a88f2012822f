import { TallyringError } from '../../proto/errors.js';
import type { ConsistencyLevel } from '../../proto/level.js';

/** So many answers of this datacenter's replicas, or of any when it names none. */
export interface Clause {
  datacenter: string | undefined;
  required: number;
}

/** What a level asks of a key's replicas: all clauses. */
export type Requirement = readonly Clause[];

const quorumOf = (replicas: number): number => Math.floor(replicas / 2) + 1;

const FIXED: Partial<Record<ConsistencyLevel, number>> = { ONE: 1, TWO: 2, THREE: 3 };

/**
 * The answers that `level` requires where `replication` is the number of replicas per datacenter. Throws
 * INVALID_ARGUMENT when there are fewer replicas than the level requires.
 */
export function requirementOf(
  level: ConsistencyLevel,
  replication: Readonly<Record<string, number>>,
  localDatacenter: string,
): Requirement {
  const total = Object.values(replication).reduce((sum, replicas) => sum + replicas, 0);
  const local = replication[localDatacenter] ?? 0;
  switch (level) {
    case 'QUORUM':
      return [{ datacenter: undefined, required: quorumOf(total) }];
    case 'ALL':
      return [{ datacenter: undefined, required: total }];
    case 'LOCAL_ONE':
    case 'LOCAL_QUORUM':
      if (local === 0) throw aboveReplication(level, `no replica in datacenter ${localDatacenter}`);
      return [{ datacenter: localDatacenter, required: level === 'LOCAL_ONE' ? 1 : quorumOf(local) }];
    case 'EACH_QUORUM':
      return Object.entries(replication).map(([datacenter, replicas]) => ({
        datacenter,
        required: quorumOf(replicas),
      }));
    default: {
      const required = FIXED[level]!;
      if (required > total) throw aboveReplication(level, `there are ${total} replicas of a key`);
      return [{ datacenter: undefined, required }];
    }
  }
}

function aboveReplication(level: ConsistencyLevel, why: string): TallyringError {
  return new TallyringError('INVALID_ARGUMENT', `consistency level ${level} cannot be met: ${why}`);
}

/**
 * Whether two sets of answers at these levels always share a replica with QUORUM's: an acknowledgement that
 * a QUORUM read must see.
 */
export function impliesQuorum(
  level: ConsistencyLevel,
  replication: Readonly<Record<string, number>>,
): boolean {
  const counts = Object.values(replication);
  const total = counts.reduce((sum, replicas) => sum + replicas, 0);
  if (level === 'QUORUM' || level === 'ALL') return true;
  if (level === 'EACH_QUORUM') return counts.reduce((sum, n) => sum + quorumOf(n), 0) >= quorumOf(total);
  return (FIXED[level] ?? 0) >= quorumOf(total);
}

/** Levels that one answer satisfies; the only ones at which a recovering replica may answer a read. */
export function isOne(level: ConsistencyLevel): boolean {
  return level === 'ONE' || level === 'LOCAL_ONE';
}

/** Sum of the clauses: the number of answers that a level requires in all. */
export function requiredOf(requirement: Requirement): number {
  return requirement.reduce((sum, clause) => sum + clause.required, 0);
}

/**
 * How many of these replicas (by datacenter) count toward the requirement; those beyond what a clause of
 * several requires do not make up for another clause.
 */
export function countedOf(requirement: Requirement, datacenters: readonly string[]): number {
  const counts = requirement.map(({ datacenter, required }) => {
    const count = datacenters.filter((name) => datacenter === undefined || name === datacenter).length;
    return requirement.length === 1 ? count : Math.min(count, required);
  });
  return counts.reduce((sum, count) => sum + count, 0);
}

/** Whether these replicas (by datacenter) can meet the requirement. */
export function canMeet(requirement: Requirement, datacenters: readonly string[]): boolean {
  return requirement.every(
    ({ datacenter, required }) =>
      datacenters.filter((name) => datacenter === undefined || name === datacenter).length >= required,
  );
}
