import { PRODUCER_ID_BYTES } from '../../proto/entry.js';

/** Cells over the limit that are remembered; beyond it the first found stay. */
const MAX_FULL_CELLS = 10_000;

/**
 * Counts the shards of each cell while the scrub passes over the store in key order, and remembers the cells
 * that have too many: there no new producer is let in (DESIGN §2), known ones go on.
 */
export class ShardCensus {
  readonly #limit: number;
  #full = new Set<string>();
  #found = new Set<string>();
  #cell = '';
  #shards = 0;
  #most = 0;
  /** The most shards of any cell, as of the last whole pass. */
  mostShards = 0;

  constructor(maxShardsPerCell: number) {
    this.#limit = maxShardsPerCell;
  }

  /** The next shard's key of the pass. */
  see(shardKey: Buffer): void {
    const cell = cellOf(shardKey);
    if (cell !== this.#cell) {
      this.#cell = cell;
      this.#shards = 0;
    }
    this.#shards++;
    this.#most = Math.max(this.#most, this.#shards);
    if (this.#shards < this.#limit || this.#found.size >= MAX_FULL_CELLS) return;
    this.#found.add(cell);
    this.#full.add(cell);
  }

  /** A pass is over: what it did not find full is not full any more. */
  endPass(): void {
    this.#full = this.#found;
    this.#found = new Set();
    this.mostShards = this.#most;
    [this.#cell, this.#shards, this.#most] = ['', 0, 0];
  }

  isFull(shardKey: Buffer): boolean {
    return this.#full.size > 0 && this.#full.has(cellOf(shardKey));
  }
}

/** A shard's key without its producer. */
function cellOf(shardKey: Buffer): string {
  return shardKey.toString('latin1', 0, shardKey.length - PRODUCER_ID_BYTES);
}
