const WINDOW = 128;
const RECOMPUTE_EVERY = 16;

/**
 * How long a replica's answers take: the p99 of its last answers says when a read is sent to one more
 * replica. A plain window: few samples, adapts within seconds.
 */
export class Latency {
  readonly #samples = new Float64Array(WINDOW);
  #count = 0;
  #p99: number;

  /** `initialMs` stands until the first answers came. */
  constructor(initialMs: number) {
    this.#p99 = initialMs;
  }

  get p99Ms(): number {
    return this.#p99;
  }

  record(ms: number): void {
    this.#samples[this.#count % WINDOW] = ms;
    this.#count++;
    if (this.#count % RECOMPUTE_EVERY !== 0) return;
    const sorted = this.#samples.slice(0, Math.min(this.#count, WINDOW)).sort();
    this.#p99 = sorted[Math.ceil(sorted.length * 0.99) - 1]!;
  }
}
