import type { Int64 } from './int64.js';
import type { Shard } from './shard.js';

/** The shards of one cell by producerId. */
export type Shards = ReadonlyMap<string, Shard>;

function compare(a: Int64 | null, b: Int64 | null): number {
  if (a === b) return 0;
  if (a === null) return -1;
  if (b === null) return 1;
  return a < b ? -1 : a > b ? 1 : 0;
}

/**
 * Which of two shards of the same cell and producer wins: positive when `a` does, 0 when they are equal.
 * The greater sequence. What differs at an equal sequence is a bug of some producer; then the greater count
 * wins, and the other fields make the order total, so that all replicas still agree.
 */
export function compareShards(a: Shard, b: Shard): number {
  return (
    a.sequence - b.sequence ||
    compare(a.count, b.count) ||
    compare(a.sum, b.sum) ||
    compare(a.min, b.min) ||
    compare(a.max, b.max)
  );
}

/** Two different states of one producer under one sequence: must never be. */
export interface ShardConflict {
  producerId: string;
  kept: Shard;
  dropped: Shard;
}

/**
 * Union by producerId, the greater sequence wins: commutative, associative and idempotent. Changes neither
 * argument.
 */
export function mergeShards(
  a: Shards,
  b: Shards,
  onConflict?: (conflict: ShardConflict) => void,
): Map<string, Shard> {
  const merged = new Map(a);
  for (const [producerId, theirs] of b) {
    const ours = merged.get(producerId);
    const order = ours === undefined ? -1 : compareShards(ours, theirs);
    if (order < 0) merged.set(producerId, theirs);
    if (ours !== undefined && order !== 0 && ours.sequence === theirs.sequence) {
      const [kept, dropped] = order > 0 ? [ours, theirs] : [theirs, ours];
      onConflict?.({ producerId, kept, dropped });
    }
  }
  return merged;
}
