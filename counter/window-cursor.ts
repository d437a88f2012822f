import { TallyringError } from '../proto/errors.js';
import { type Granularity, windowIndex, windowMs } from './window.js';

/** The windows of the newest event, kept because the next one mostly falls into the same. */
export class WindowCursor {
  /** Per granularity the window's index. */
  readonly indexes: number[];
  readonly #granularities: readonly Granularity[];
  /** The finest window: all timestamps in it share the coarser ones, too. */
  readonly #finestMs: number;
  #fromMs = 0;
  #toMs = 0;

  /** `granularities` from the coarsest to the finest, at least one. */
  constructor(granularities: readonly Granularity[]) {
    this.#granularities = granularities;
    this.indexes = granularities.map(() => 0);
    this.#finestMs = windowMs(granularities.at(-1)!);
  }

  /** Throws INVALID_ARGUMENT, and stays, when the timestamp is not finite. */
  moveTo(timestampMs: number): void {
    if (timestampMs >= this.#fromMs && timestampMs < this.#toMs) return;
    if (!Number.isFinite(timestampMs)) {
      throw new TallyringError('INVALID_ARGUMENT', `timestamp ${timestampMs} is no time`);
    }
    for (let i = 0; i < this.#granularities.length; i++) {
      this.indexes[i] = windowIndex(this.#granularities[i]!, timestampMs);
    }
    const unbounded = this.#finestMs === Infinity;
    this.#fromMs = unbounded ? -Infinity : this.indexes.at(-1)! * this.#finestMs;
    this.#toMs = unbounded ? Infinity : this.#fromMs + this.#finestMs;
  }
}
