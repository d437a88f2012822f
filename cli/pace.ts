/** Spreads events evenly: how long to wait so that the rate is kept, from the start on. */
export interface Pace {
  /** Milliseconds until event number `taken` (counted from 0) is due; 0 when it is. */
  waitMs(taken: number, elapsedMs: number): number;
  /** Events that may be taken without looking at the clock again. */
  readonly burst: number;
}

/** What was missed while the cluster was slow is caught up over at most this long, not in one burst. */
const CATCH_UP_MS = 1_000;

/** A pace of `eventsPerSecond`, as fast as possible when undefined. */
export function createPace(eventsPerSecond: number | undefined): Pace {
  if (eventsPerSecond === undefined) return { waitMs: () => 0, burst: 1024 };
  const perMs = eventsPerSecond / 1000;
  // Moves on when the source or the cluster falls behind.
  let debtMs = 0;
  return {
    burst: Math.max(1, Math.floor(eventsPerSecond / 100)),
    waitMs(taken, elapsedMs) {
      const behindMs = elapsedMs - debtMs - taken / perMs;
      if (behindMs > CATCH_UP_MS) debtMs += behindMs - CATCH_UP_MS;
      return Math.max(0, -behindMs);
    },
  };
}
