/** Wall time and monotonic time. Wall time may jump; durations and deadlines use the monotonic clock only. */
export interface Clock {
  /** Milliseconds since the Unix epoch. */
  wallMs(): number;
  /** Milliseconds since an arbitrary point; never goes back. Keeps running while the process is paused. */
  monotonicMs(): number;
}

export interface TimerHandle {
  cancel(): void;
}

export interface Timers {
  /** Calls `callback` once after `delayMs`. Real timers must not keep the process alive. */
  after(delayMs: number, callback: () => void): TimerHandle;
}

/** A promise of a point in time `delayMs` from now. */
export function sleep(timers: Timers, delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    timers.after(delayMs, resolve);
  });
}
