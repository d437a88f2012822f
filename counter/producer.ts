import { TallyringError } from '../proto/errors.js';
import { DirtyQueue } from './dirty-queue.js';
import { type Flush, type FlushOutcome, type TakenCell, takeCell } from './flush.js';
import { addInt64, type Int64 } from './int64.js';
import { OwnCell, type OwnSeries, type Series } from './series.js';
import { SeriesIndex } from './series-index.js';
import { checkValue } from './validate.js';
import { GRANULARITIES, type Granularity } from './window.js';
import { WindowCursor } from './window-cursor.js';

export type { Flush, FlushCell, FlushOutcome } from './flush.js';
export type { Series } from './series.js';

export interface ProducerOptions {
  /** The granularities that the cluster keeps; order and repetitions do not matter. */
  rollups: readonly Granularity[];
  /** 16 bytes, used by nobody else ever. */
  producerId: Buffer;
  /** Most cells kept in memory. */
  maxCells: number;
}

interface Event {
  key: string;
  eventType: string;
  value: Int64;
}

/**
 * The only writer of its shards: adds events to the cumulative state of each cell and hands that state out
 * in flushes of growing sequence. Pure; the hottest code there is, so the usual add allocates nothing.
 *
 * It never writes one (cell, producerId) from two states: a cell is only ever opened under the newest id,
 * and opened once under it, because
 * - a roll closes all cells: later events open new ones under the new id, while what is not acknowledged
 *   yet is flushed unchanged under its old id until it is, and then dropped;
 * - an eviction forbids opening any cell until the next roll. So: have a fresh id at hand, evict, roll.
 *   (A roll by itself drops all acknowledged cells, whatever the level; evict only to keep the others.)
 */
export class Producer {
  readonly maxCells: number;
  readonly #rollups: readonly Granularity[];
  readonly #series: SeriesIndex;
  readonly #dirty = new DirtyQueue();
  #cells = 0;
  #producerId: Buffer;
  #nextSequence = 1;
  #needsFreshId = false;
  readonly #cursor: WindowCursor;

  constructor(options: ProducerOptions) {
    this.#rollups = GRANULARITIES.filter((each) => options.rollups.includes(each));
    if (this.#rollups.length === 0) {
      throw new TallyringError('INVALID_ARGUMENT', 'a producer needs a granularity');
    }
    this.#cursor = new WindowCursor(this.#rollups);
    this.#series = new SeriesIndex(this.#rollups.length);
    this.maxCells = options.maxCells;
    this.#producerId = options.producerId;
  }

  /** Cells in memory, those under former ids included. */
  get cells(): number {
    return this.#cells;
  }

  /** Series that the next takeFlush may take. */
  get dirtySeries(): number {
    return this.#dirty.length;
  }

  get producerId(): Buffer {
    return this.#producerId;
  }

  /** The sequence that the next takeFlush will use. It goes on over rolls. */
  get nextSequence(): number {
    return this.#nextSequence;
  }

  /** Whether cells were evicted since the last roll: until then no cell can be opened. */
  get needsFreshId(): boolean {
    return this.#needsFreshId;
  }

  /**
   * Adds one event (checked by counter/validate.ts) to its cell of every granularity, or to none: throws
   * OUT_OF_RANGE when one of the producer's own sums would leave int64, OVERLOADED when a cell would have
   * to be opened and may not (maxCells, needsFreshId).
   */
  add(key: string, eventType: string, value: Int64, timestampMs: number): Series {
    this.#cursor.moveTo(timestampMs);
    const series = this.#series.find(key, eventType);
    if (series === undefined || typeof value !== 'number') {
      return this.#addSlowly(series, { key, eventType, value });
    }
    const { recent } = series;
    const windows = this.#cursor.indexes;
    for (let i = 0; i < windows.length; i++) {
      const cell = recent[i];
      if (
        cell === undefined ||
        cell.window !== windows[i] ||
        typeof cell.sum !== 'number' ||
        !Number.isSafeInteger(cell.sum + value)
      ) {
        return this.#addSlowly(series, { key, eventType, value });
      }
    }
    for (let i = 0; i < windows.length; i++) {
      const cell = recent[i] as OwnCell;
      cell.sum = (cell.sum as number) + value;
      this.#count(series, cell, value);
    }
    this.#markDirty(series);
    return series;
  }

  /** As `add`, for what is rarer: new series or cells, another window than last time, values beyond 2^53. */
  #addSlowly(known: OwnSeries | undefined, event: Event): Series {
    const value = checkValue(event.value);
    const windows = this.#cursor.indexes;
    const sums: Int64[] = [];
    let missing = 0;
    for (let i = 0; i < windows.length; i++) {
      const cell = known?.find(i, windows[i]!);
      if (cell === undefined) missing++;
      const sum = addInt64(cell?.sum ?? 0, value);
      if (sum === undefined) throw overflow(event, this.#rollups[i]!);
      sums.push(sum);
    }
    if (missing > 0) this.#refuseOpening(missing);
    const series = known ?? this.#series.open(event.key, event.eventType);
    for (let i = 0; i < windows.length; i++) {
      const window = windows[i]!;
      const cell = series.find(i, window);
      if (cell === undefined) {
        this.#openCell(series, i, value);
        continue;
      }
      series.recent[i] = cell;
      cell.sum = sums[i]!;
      this.#count(series, cell, value);
    }
    this.#markDirty(series);
    return series;
  }

  /** The rest of adding to a cell, after its sum. */
  #count(series: OwnSeries, cell: OwnCell, value: Int64): void {
    cell.count++;
    if (value < cell.min) cell.min = value;
    if (value > cell.max) cell.max = value;
    if (cell.changedAt === this.#nextSequence) return;
    if (cell.changedAt <= series.acknowledgedAt) series.unacknowledged.push(cell);
    cell.changedAt = this.#nextSequence;
  }

  #markDirty(series: OwnSeries): void {
    if (series.changedAt === this.#nextSequence) return; // in the queue since then
    series.changedAt = this.#nextSequence;
    this.#dirty.push(series);
  }

  #refuseOpening(missing: number): void {
    if (this.#needsFreshId) {
      throw new TallyringError(
        'OVERLOADED',
        'cells were evicted, and new ones wait for a fresh producerId; roll to one, then add again',
      );
    }
    if (this.#cells + missing <= this.maxCells) return;
    throw new TallyringError(
      'OVERLOADED',
      `the producer holds ${this.#cells} cells of at most ${this.maxCells}; flush them and roll to a fresh ` +
        'producerId, or allow more',
    );
  }

  #openCell(series: OwnSeries, granularity: number, value: Int64): void {
    const place = {
      granularity: this.#rollups[granularity]!,
      window: this.#cursor.indexes[granularity]!,
      producerId: this.#producerId,
    };
    const cell = new OwnCell(place, value, this.#nextSequence);
    series.open(granularity, cell);
    series.unacknowledged.push(cell);
    this.#cells++;
  }

  /**
   * All unacknowledged cells of dirty series, whole series in order of becoming dirty, until there are
   * `maxCells`; a series that `only` refuses keeps its place. A series in flight is taken again only when
   * events were added to it since. Later adds do not change the flush. Undefined when there is nothing.
   */
  takeFlush(maxCells: number, only?: (series: Series) => boolean): Flush | undefined {
    const cells: TakenCell[] = [];
    const series: OwnSeries[] = [];
    const sequence = this.#nextSequence;
    const visit = (next: OwnSeries) => {
      next.takenAt = sequence;
      series.push(next);
      for (const cell of next.unacknowledged) cells.push(takeCell(next, cell, sequence));
    };
    this.#dirty.take(() => cells.length < maxCells, visit, only);
    if (series.length === 0) return undefined;
    this.#nextSequence++;
    return { sequence, cells, series };
  }

  /**
   * The outcome of a flush, once for each, in any order. A series is clean when nothing was added since the
   * newest acknowledged flush that took it. One that failed becomes dirty again, unless a newer flush took
   * it meanwhile: that one holds the same and decides.
   */
  settle(flush: Flush, outcome: FlushOutcome): void {
    if (outcome.quorum) {
      // Per cell: a flush takes only what was not acknowledged before, at whatever level.
      for (const { series, cell } of flush.cells as readonly TakenCell[]) {
        if (!outcome.failed.has(series)) cell.quorumAt = Math.max(cell.quorumAt, flush.sequence);
      }
    }
    for (const series of flush.series as readonly OwnSeries[]) {
      if (!outcome.failed.has(series)) this.#acknowledge(series, flush.sequence);
      else if (series.takenAt === flush.sequence) this.#dirty.push(series);
    }
  }

  #acknowledge(series: OwnSeries, sequence: number): void {
    let closed = 0;
    for (const cell of series.acknowledge(sequence)) if (cell.producerId !== this.#producerId) closed++;
    if (closed === 0) return;
    this.#cells -= closed;
    this.#series.dropIfEmpty(series);
  }

  /**
   * Goes over to a fresh id, which must be greater than the one before. Acknowledged cells are dropped; the
   * others take no more events and are flushed under their old id until they are acknowledged, also when
   * the same cell is open under the new id meanwhile.
   */
  roll(producerId: Buffer): void {
    if (producerId.length !== this.#producerId.length || producerId.compare(this.#producerId) <= 0) {
      throw new TallyringError('INTERNAL', 'a producer rolls only to a younger producerId');
    }
    this.#producerId = producerId;
    this.#needsFreshId = false;
    this.#cells = 0;
    for (const series of this.#series) {
      series.closeAll();
      this.#cells += series.unacknowledged.length;
      this.#series.dropIfEmpty(series);
    }
  }

  /**
   * Drops up to `atMost` cells whose events are all acknowledged at QUORUM, and gives back how many. If any
   * was, no cell can be opened until the next roll (needsFreshId).
   */
  evict(atMost: number): number {
    let evicted = 0;
    for (const series of this.#series) {
      if (evicted >= atMost) break;
      const dropped = series.dropOpen((cell) => cell.quorumAt >= cell.changedAt, atMost - evicted);
      if (dropped === 0) continue;
      evicted += dropped;
      this.#series.dropIfEmpty(series);
    }
    this.#cells -= evicted;
    if (evicted > 0) this.#needsFreshId = true;
    return evicted;
  }
}

function overflow(event: Event, granularity: Granularity): TallyringError {
  return new TallyringError(
    'OUT_OF_RANGE',
    `${event.eventType} of ${event.key}: adding ${event.value} would take the ${granularity} sum of this producer ` +
      'out of int64; nothing was counted',
  );
}
