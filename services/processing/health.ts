import type { LogCounterStatus } from '../../client/log-driven/log-counter.js';
import type { InstanceCounts } from './instance.js';
import { RECOUNT_NAME } from './recount/name.js';

export interface PartitionHealth {
  partition: number;
  state: LogCounterStatus['state'];
  committed: number | undefined;
  end: number | undefined;
  lag: number | undefined;
  /** Who has it, where this instance does not. */
  holder: string | undefined;
  error: string | undefined;
}

export interface ProcessingHealth extends InstanceCounts {
  name: string;
  /** Whether it takes events: it does as long as the log does. */
  serving: boolean;
  /** Whether it counts all of its share: false while it starts, or waits for a partition. */
  counting: boolean;
  /** What it is at, or what holds it up. */
  message: string;
  /** Events in the log that are not counted yet; null while it does not own all of its partitions. */
  lag: number | null;
  /** Instances that share the pipeline. */
  members: readonly string[];
  partitions: PartitionHealth[];
}

export interface HealthFacts {
  name: string;
  counts: InstanceCounts;
  members: readonly string[];
  memberError: Error | undefined;
  statuses: ReadonlyMap<number, LogCounterStatus>;
  /** Where the log's partitions end, as far as is known. */
  ends: ReadonlyMap<number, number>;
}

export function healthOf(facts: HealthFacts): ProcessingHealth {
  const partitions = [...facts.statuses]
    .sort(([a], [b]) => a - b)
    .map(([partition, { state, committed, end, holder, error }]): PartitionHealth => {
      const known = Math.max(end ?? 0, facts.ends.get(partition) ?? 0);
      const lag = committed === undefined ? undefined : Math.max(0, known - committed);
      // That another one took it over is no trouble, and the next look tells who.
      const trouble = error?.code === 'FENCED' ? undefined : error?.message;
      return { partition, state, committed, end: known, lag, holder, error: trouble };
    });
  const ownsEach = partitions.every(({ state }) => state === 'owner');
  const ownsAll = partitions.length > 0 && ownsEach;
  const lag = ownsAll ? partitions.reduce((sum, each) => sum + (each.lag ?? 0), 0) : null;
  const { name, counts, members, memberError } = facts;
  return {
    name,
    serving: true,
    counting: members.length > 0 && memberError === undefined && ownsEach,
    message: messageOf(facts, partitions),
    ...counts,
    lag,
    members,
    partitions,
  };
}

function messageOf(
  { name, memberError, members }: HealthFacts,
  partitions: readonly PartitionHealth[],
): string {
  const stopped = partitions.find(({ state }) => state === 'stopped');
  if (stopped !== undefined) return `partition ${stopped.partition} is stopped: ${stopped.error}`;
  const troubled = partitions
    .filter(({ state, error }) => state === 'owner' && error !== undefined)
    .sort((a, b) => (b.lag ?? 0) - (a.lag ?? 0))[0];
  if (troubled !== undefined) {
    const { partition, lag = 0, error } = troubled;
    const behind = lag === 0 ? '' : `, ${lag} ${lag === 1 ? 'event' : 'events'} behind`;
    return `partition ${partition} waits and tries again${behind}: ${error}`;
  }
  if (memberError !== undefined)
    return `cannot tell the other instances that it lives: ${memberError.message}`;
  if (partitions.length === 0) return members.length > 0 ? 'owns no partition' : 'starting';
  const owned = partitions.filter(({ state }) => state === 'owner').length;
  if (owned < partitions.length) {
    const others = partitions.filter(({ state }) => state !== 'owner');
    const kept = others.find(({ error }) => error !== undefined) ?? others.find(({ holder }) => holder);
    return `owns ${owned} of its ${partitions.length} partitions${kept === undefined ? '' : whyKept(kept, name)}`;
  }
  return `counts ${owned} partitions`;
}

function whyKept({ partition, holder, error }: PartitionHealth, name: string): string {
  if (error !== undefined) return `; partition ${partition}: ${error}`;
  if (holder === RECOUNT_NAME) return `; partition ${partition} is being recounted, and its events wait`;
  return `; ${holder === name ? `the former ${name}` : holder} has partition ${partition} still`;
}
