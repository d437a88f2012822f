import type { Flush, FlushCell } from '../../counter/producer.js';
import type { Shard } from '../../counter/shard.js';
import type { Granularity } from '../../counter/window.js';
import type { TallyringError } from '../../proto/errors.js';

/** What an owner does with the cluster besides its register. All of it goes on until it succeeds or is aborted. */
export interface ShardStore {
  readonly rollups: readonly Granularity[];
  /** A fresh producerId, younger than `above`. */
  mint(above: Buffer | undefined, waiting: Waiting): Promise<Buffer>;
  /** The shards that this producer has of the cells, read at QUORUM, in order. */
  readShards(
    cells: readonly FlushCell[],
    producerId: Buffer,
    waiting: Waiting,
  ): Promise<(Shard | undefined)[]>;
  /** Resolves when a quorum holds every shard; takes `spreadMs` for it when there is much, so that load is even. */
  write(flush: Flush, waiting: Waiting, spreadMs: number): Promise<void>;
}

export interface Waiting {
  signal: AbortSignal;
  /** Told why an attempt failed; the next one follows. */
  onTrouble(error: TallyringError): void;
}
