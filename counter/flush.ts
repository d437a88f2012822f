import type { OwnCell, OwnSeries, Series } from './series.js';
import type { Shard } from './shard.js';
import type { Granularity } from './window.js';

/** One shard of a flush, as it was when the flush was taken. */
export interface FlushCell {
  series: Series;
  granularity: Granularity;
  window: number;
  /** The id that the cell was opened under: the newest, or a former one after a roll. */
  producerId: Buffer;
  shard: Shard;
}

export interface Flush {
  /** Sequence of all its shards. */
  sequence: number;
  /** Grouped by series, in the order of `series`. */
  cells: readonly FlushCell[];
  series: readonly Series[];
}

export interface FlushOutcome {
  /** Series of the flush that did not reach the level; all others are acknowledged. */
  failed: ReadonlySet<Series>;
  /** Whether the acknowledgement means QUORUM or more, as eviction needs. */
  quorum: boolean;
}

/** What the producer itself needs to know of a flushed cell. */
export interface TakenCell extends FlushCell {
  series: OwnSeries;
  cell: OwnCell;
}

/** Copies a cell: later adds do not change it. */
export function takeCell(series: OwnSeries, cell: OwnCell, sequence: number): TakenCell {
  const { granularity, window, producerId, count, sum, min, max } = cell;
  return { series, granularity, window, producerId, shard: { sequence, count, sum, min, max }, cell };
}
