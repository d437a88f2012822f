/** A time of a hybrid clock: epoch milliseconds, and a count within them. */
export interface HybridTime {
  timeMs: number;
  logical: number;
}

/** Positive where a is the later one. */
export function compareTimes(a: HybridTime, b: HybridTime): number {
  return a.timeMs - b.timeMs || a.logical - b.logical;
}

/**
 * A hybrid logical clock (Kulkarni et al., "Logical Physical Clocks", 2014): each time that it gives is later than
 * all that it gave or was shown before, and near the wall clock. Pure: who uses it says what the wall clock shows.
 */
export class HybridClock {
  readonly #maxAheadMs: number;
  #last: HybridTime = { timeMs: 0, logical: 0 };

  /** `maxAheadMs`: how far ahead of the wall clock it follows others. */
  constructor({ maxAheadMs }: { maxAheadMs: number }) {
    this.#maxAheadMs = maxAheadMs;
  }

  /** The next time. */
  tick(wallMs: number): HybridTime {
    const { timeMs, logical } = this.#last;
    this.#last = wallMs > timeMs ? { timeMs: wallMs, logical: 0 } : { timeMs, logical: logical + 1 };
    return { ...this.#last };
  }

  /**
   * Goes on from a time of another clock. False, and nothing changes, when that one is too far ahead to be
   * followed: then what is written now is not later than it.
   */
  observe(seen: HybridTime, wallMs: number): boolean {
    if (seen.timeMs > wallMs + this.#maxAheadMs) return false;
    if (compareTimes(seen, this.#last) > 0) this.#last = { timeMs: seen.timeMs, logical: seen.logical };
    return true;
  }
}
