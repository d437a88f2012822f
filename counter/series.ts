import type { Int64 } from './int64.js';
import type { Granularity } from './window.js';

/** All cells of one (key, eventType) at one producer: what becomes dirty, is flushed and acknowledged as a whole. */
export interface Series {
  readonly key: string;
  readonly eventType: string;
  /** Cache of the key's token, filled by whoever needs it first. */
  token: bigint | undefined;
}

/** The producer's cumulative shard of one cell. It exists from its first event on, so min and max are there. */
export class OwnCell {
  readonly granularity: Granularity;
  readonly window: number;
  /** The id that this cell was opened under; it never changes. */
  readonly producerId: Buffer;
  /** A number: 2^53 events of one producer take 285 years at a million a second. */
  count = 1;
  sum: Int64;
  min: Int64;
  max: Int64;
  /** Sequence of the first flush that can hold the newest event. */
  changedAt: number;
  /** Sequence of the newest flush with this cell that was acknowledged at QUORUM; 0 before. */
  quorumAt = 0;

  constructor(
    place: { granularity: Granularity; window: number; producerId: Buffer },
    value: Int64,
    at: number,
  ) {
    this.granularity = place.granularity;
    this.window = place.window;
    this.producerId = place.producerId;
    this.sum = value;
    this.min = value;
    this.max = value;
    this.changedAt = at;
  }
}

/** A series with the producer's bookkeeping. Granularities are indexes into the producer's rollups. */
export class OwnSeries implements Series {
  readonly key: string;
  readonly eventType: string;
  token: bigint | undefined = undefined;
  /** Per granularity the cell used last: events mostly fall into the same window as the one before. */
  readonly recent: (OwnCell | undefined)[];
  /** Per granularity all open cells by window, once there was more than one. */
  readonly #windows: (Map<number, OwnCell> | undefined)[];
  /** Cells with events that are not acknowledged, those under former ids included. */
  unacknowledged: OwnCell[] = [];
  /** Sequence of the first flush that can hold the newest event. */
  changedAt = 0;
  /** Everything added before the takeFlush of this sequence is acknowledged. */
  acknowledgedAt = 0;
  /** Sequence of the newest flush that took this series. */
  takenAt = 0;
  /** Whether it waits in the producer's queue of dirty series. */
  queued = false;

  constructor(key: string, eventType: string, granularities: number) {
    this.key = key;
    this.eventType = eventType;
    this.recent = new Array<OwnCell | undefined>(granularities).fill(undefined);
    this.#windows = new Array<Map<number, OwnCell> | undefined>(granularities).fill(undefined);
  }

  /** The open cell of a window. */
  find(granularity: number, window: number): OwnCell | undefined {
    const recent = this.recent[granularity];
    if (recent?.window === window) return recent;
    return this.#windows[granularity]?.get(window);
  }

  open(granularity: number, cell: OwnCell): void {
    const recent = this.recent[granularity];
    let windows = this.#windows[granularity];
    if (windows === undefined && recent !== undefined) {
      windows = new Map([[recent.window, recent]]);
      this.#windows[granularity] = windows;
    }
    windows?.set(cell.window, cell);
    this.recent[granularity] = cell;
  }

  /** Number of open cells, all under the newest id. */
  get openCells(): number {
    let cells = 0;
    for (let i = 0; i < this.recent.length; i++) {
      cells += this.#windows[i]?.size ?? (this.recent[i] === undefined ? 0 : 1);
    }
    return cells;
  }

  /** Forgets up to `atMost` open cells that `drop` accepts; gives back how many. */
  dropOpen(drop: (cell: OwnCell) => boolean, atMost: number): number {
    let dropped = 0;
    for (let i = 0; i < this.recent.length; i++) {
      const recent = this.recent[i];
      const windows = this.#windows[i];
      const cells = windows?.values() ?? (recent === undefined ? [] : [recent]);
      for (const cell of cells) {
        if (dropped >= atMost) return dropped;
        if (!drop(cell)) continue;
        windows?.delete(cell.window);
        if (this.recent[i] === cell) this.recent[i] = undefined;
        dropped++;
      }
    }
    return dropped;
  }

  /** Closes every open cell: later events open new ones. What is unacknowledged stays to be flushed. */
  closeAll(): void {
    this.recent.fill(undefined);
    this.#windows.fill(undefined);
  }

  /** Takes an acknowledgement; gives back the cells that became clean by it. */
  acknowledge(sequence: number): OwnCell[] {
    if (sequence <= this.acknowledgedAt) return [];
    this.acknowledgedAt = sequence;
    const clean: OwnCell[] = [];
    let kept = 0;
    for (const cell of this.unacknowledged) {
      if (cell.changedAt > sequence) this.unacknowledged[kept++] = cell;
      else clean.push(cell);
    }
    this.unacknowledged.length = kept;
    return clean;
  }
}
