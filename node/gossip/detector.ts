/** log10(e): φ = −log10 of the probability that a beat is still to come, with exponential arrivals. */
const PHI_FACTOR = 1 / Math.LN10;

export interface DetectorOptions {
  /** φ above which an endpoint is convicted. */
  threshold: number;
  /** Arrival intervals kept per endpoint. */
  windowSize: number;
  /** Time between two beats of a healthy endpoint. */
  beatIntervalMs: number;
  /** A pause of this process longer than this convicts nobody, and nor does as long a time after it. */
  maxLocalPauseMs: number;
}

/** The last arrival intervals of one endpoint, in a ring. */
interface Arrivals {
  lastMs: number;
  intervals: Float64Array;
  count: number;
  at: number;
  sum: number;
}

/**
 * Phi-accrual failure detection (Hayashibara et al. 2004) in the exponential form of Cassandra's
 * FailureDetector: φ = 0.434 · (time since the last beat) / (mean interval). With one beat a second φ passes
 * 8 after 18.4 s. Pure: the caller tells the monotonic time in milliseconds.
 */
export class FailureDetector {
  readonly #options: DetectorOptions;
  readonly #arrivals = new Map<string, Arrivals>();
  #lastCheckMs: number | undefined;
  #trustUntilMs = Number.NEGATIVE_INFINITY;

  constructor(options: DetectorOptions) {
    this.#options = options;
  }

  /** A beat of an endpoint was heard, or its node is presumed up from now on. */
  report(nodeId: string, nowMs: number): void {
    const { windowSize, beatIntervalMs } = this.#options;
    // As Cassandra: the first interval is an estimate of twice the beat, and longer ones (the endpoint was
    // away) do not enter the mean.
    const longestMs = 2 * beatIntervalMs;
    const known = this.#arrivals.get(nodeId);
    if (known === undefined) {
      const intervals = new Float64Array(windowSize);
      intervals[0] = longestMs;
      this.#arrivals.set(nodeId, { lastMs: nowMs, intervals, count: 1, at: 1 % windowSize, sum: longestMs });
      return;
    }
    const interval = nowMs - known.lastMs;
    known.lastMs = nowMs;
    if (interval > longestMs) return;
    known.sum += interval - known.intervals[known.at]!;
    known.intervals[known.at] = interval;
    known.at = (known.at + 1) % windowSize;
    known.count = Math.min(known.count + 1, windowSize);
  }

  /** Forgets the endpoint's past: its node restarted. */
  reset(nodeId: string): void {
    this.#arrivals.delete(nodeId);
  }

  /** Suspicion of an endpoint now; 0 for one never reported. */
  phi(nodeId: string, nowMs: number): number {
    const known = this.#arrivals.get(nodeId);
    if (known === undefined) return 0;
    const mean = Math.max(known.sum / known.count, 1e-3);
    return (PHI_FACTOR * (nowMs - known.lastMs)) / mean;
  }

  /** Milliseconds since the endpoint's last beat; Infinity for one never reported. */
  silenceMs(nodeId: string, nowMs: number): number {
    const known = this.#arrivals.get(nodeId);
    return known === undefined ? Infinity : nowMs - known.lastMs;
  }

  /**
   * Those above the threshold; to be called every round. When the last call is longer ago than
   * maxLocalPauseMs, this process was paused and it is its own ears that were shut: nobody is convicted
   * until the others had as long to be heard again.
   */
  suspects(nowMs: number): string[] {
    const { threshold, maxLocalPauseMs } = this.#options;
    const last = this.#lastCheckMs ?? nowMs;
    this.#lastCheckMs = nowMs;
    if (nowMs - last > maxLocalPauseMs) this.#trustUntilMs = nowMs + maxLocalPauseMs;
    if (nowMs < this.#trustUntilMs) return [];
    return [...this.#arrivals.keys()].filter((nodeId) => this.phi(nodeId, nowMs) > threshold);
  }
}
