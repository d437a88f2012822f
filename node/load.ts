/** Calls per second between two looks, as gossip tells it. */
export class Load {
  #calls = 0;
  #atMs = Number.NEGATIVE_INFINITY;

  /** `calls`: all so far. `nowMs`: monotonic. */
  perSecond(calls: number, nowMs: number): number {
    const seconds = (nowMs - this.#atMs) / 1_000;
    const rate = seconds > 0 ? Math.round((calls - this.#calls) / seconds) : 0;
    this.#calls = calls;
    this.#atMs = nowMs;
    return rate;
  }
}
