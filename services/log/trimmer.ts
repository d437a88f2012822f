import type { Clock } from '../../ports/clock.js';
import type { Logger } from '../../ports/logger.js';
import { checkBlock } from './block.js';
import type { Commit } from './commit.js';
import type { LogConfig } from './config.js';
import { blockKey } from './keyspace.js';
import type { Partition } from './partition.js';
import { stateWrite } from './records.js';
import { blocksToDrop, trimAboveBytes } from './retention.js';
import type { LogStore } from './store.js';

/** Blocks that one batch deletes at most, and bytes of them that are read to decide. */
const STEP = { limit: 256, fillCache: false, maxBytes: 4 * 1024 * 1024 };
const TRIM_TIMEOUT_MS = 60_000;

export interface TrimmerParts {
  store: LogStore;
  clock: Clock;
  logger: Logger;
  limits: { retention: LogConfig['retention'] };
  partitions: readonly Partition[];
  enqueue(job: { bytes: number; apply(commit: Commit): void }, timeoutMs: number): Promise<void>;
}

/** Deletes the oldest released blocks when they are too old or the log too large, in small steps. */
export class Trimmer {
  readonly #parts: TrimmerParts;
  #running = false;
  #again = false;

  constructor(parts: TrimmerParts) {
    this.#parts = parts;
  }

  get retainedBytes(): number {
    let sum = 0;
    for (const partition of this.#parts.partitions) sum += partition.retainedBytes;
    return sum;
  }

  /** Begins to trim what may go; when it is at it already, it looks once more at the end. */
  trim(): void {
    this.#again = true;
    if (this.#running) return;
    this.#running = true;
    this.#run().then(
      () => {
        this.#running = false;
      },
      (error: Error) => {
        this.#running = false;
        this.#parts.logger.warn({ error: error.message }, 'old records could not be trimmed');
      },
    );
  }

  async #run(): Promise<void> {
    while (this.#again) {
      this.#again = false;
      for (const partition of this.#oldestFirst()) {
        while (await this.#step(partition));
      }
    }
  }

  #oldestFirst(): Partition[] {
    return this.#parts.partitions
      .filter(({ oldest, damage }) => oldest !== undefined && damage === undefined)
      .sort((a, b) => a.oldest!.appendedAtMs - b.oldest!.appendedAtMs);
  }

  /** Whether there may be more to drop in the partition. */
  async #step(partition: Partition): Promise<boolean> {
    const { store, clock, limits, enqueue } = this.#parts;
    const { ageMs, maxBytes } = limits.retention;
    const { number, released, end, oldest } = partition;
    const facts = {
      released,
      end,
      nowMs: clock.wallMs(),
      ageMs,
      excessBytes: this.retainedBytes - trimAboveBytes(maxBytes),
    };
    // Most of the time nothing may go, and the oldest block's head tells that without reading it.
    const head = { ...oldest!, partition: number, count: 1, firstOffset: oldest!.lastOffset };
    if (blocksToDrop([{ head, bytes: 0 }], facts) === 0) return false;
    const records = await store.scan(blockKey(number, partition.start), blockKey(number, end), STEP);
    const blocks = records.map(({ value }) => ({ head: checkBlock(value), bytes: value.length }));
    // The one that becomes the oldest must be among those that were read.
    const count = Math.min(blocksToDrop(blocks, facts), blocks.length - 1);
    if (count <= 0) return false;
    const next = blocks[count]!.head;
    const apply = (commit: Commit) => {
      partition.start = next.firstOffset;
      partition.oldest = {
        lastOffset: next.firstOffset + next.count - 1,
        appendedAtMs: next.appendedAtMs,
        position: next.position,
      };
      for (const { key } of records.slice(0, count)) commit.writes.push({ key, value: undefined });
      commit.writes.push(stateWrite(number, partition));
    };
    await enqueue({ bytes: 0, apply }, TRIM_TIMEOUT_MS);
    return true;
  }
}
