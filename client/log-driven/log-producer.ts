import { addInt64, type Int64 } from '../../counter/int64.js';
import { type Flush, type FlushCell, Producer } from '../../counter/producer.js';
import type { Shard } from '../../counter/shard.js';
import { checkEventType, checkKey } from '../../counter/validate.js';
import type { Granularity } from '../../counter/window.js';
import { TallyringError } from '../../proto/errors.js';
import type { Counted } from './source.js';

/** Greatest magnitude of one value; with MAX_BATCH_RECORDS of them a batch adds at most 2^62 to any sum. */
export const MAX_VALUE = 2 ** 42;
export const MAX_BATCH_RECORDS = 2 ** 20;
/** A producer whose shard reached this is given up before the next batch, which so stays within int64. */
const MAX_SHARD_SUM = 2n ** 62n;

export interface LogProducerOptions {
  rollups: readonly Granularity[];
  producerId: Buffer;
  /** Most cells in memory. */
  maxCells: number;
}

/**
 * The cumulative shards of one producerId, driven by a log: their sequence is the end of the batch that changed
 * them last. Evicts nothing one by one; a fresh one takes its place between two batches.
 */
export class LogProducer {
  readonly producerId: Buffer;
  readonly #producer: Producer;
  readonly #rollups: number;
  #isNearOverflow = false;

  constructor({ rollups, producerId, maxCells }: LogProducerOptions) {
    this.producerId = producerId;
    this.#rollups = rollups.length;
    this.#producer = new Producer({ rollups, producerId, maxCells });
  }

  get cells(): number {
    return this.#producer.cells;
  }

  /** Whether the next record may be added: its cells fit. */
  get hasRoom(): boolean {
    return this.#producer.cells + this.#rollups <= this.#producer.maxCells;
  }

  /** Whether another producer must count the next batch. */
  get isNearOverflow(): boolean {
    return this.#isNearOverflow;
  }

  /** Throws INVALID_ARGUMENT for what no rule may give: then the rule is wrong, and nothing was added. */
  add({ key, eventType, by = 1, timestampMs }: Counted): void {
    if (!Number.isInteger(by) || Math.abs(by) > MAX_VALUE || !Number.isInteger(timestampMs)) {
      throw new TallyringError(
        'INVALID_ARGUMENT',
        `a rule gave value ${by} and time ${timestampMs}: both are integers, the value within ±2^42`,
      );
    }
    this.#producer.add(checkKey(key), checkEventType(eventType), by === 0 ? 0 : by, timestampMs);
  }

  /** What changed since the last cut, as shards of this sequence; undefined when nothing did. */
  cut(sequence: number): Flush | undefined {
    const flush = this.#producer.takeFlush(Number.POSITIVE_INFINITY);
    if (flush === undefined) return undefined;
    for (const { shard } of flush.cells) {
      shard.sequence = sequence;
      if (typeof shard.sum === 'bigint' && isBeyond(shard.sum)) this.#isNearOverflow = true;
    }
    return flush;
  }

  /** All of a cut is acknowledged. */
  settle(flush: Flush): void {
    this.#producer.settle(flush, { failed: new Set(), quorum: true });
  }
}

function isBeyond(sum: bigint): boolean {
  return sum >= MAX_SHARD_SUM || sum <= -MAX_SHARD_SUM;
}

/**
 * The shard that a predecessor wrote or was about to write for a batch that ends at `end`: what it had before,
 * if that is older, and the batch's own part. One that has the batch already stays as it is.
 */
export function completeShard(held: Shard | undefined, { shard: part }: FlushCell, end: number): Shard {
  if (held === undefined) return { ...part, sequence: end };
  if (held.sequence >= end) return held;
  return {
    sequence: end,
    count: sumOf(held.count, part.count),
    sum: sumOf(held.sum, part.sum),
    min: held.min === null || part.min! < held.min ? part.min : held.min,
    max: held.max === null || part.max! > held.max ? part.max : held.max,
  };
}

function sumOf(a: Int64, b: Int64): Int64 {
  const sum = addInt64(a, b);
  if (sum !== undefined) return sum;
  throw new TallyringError(
    'OUT_OF_RANGE',
    'a pending batch leaves int64: its predecessor cannot have counted it',
  );
}
