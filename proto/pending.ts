import type { Clock, TimerHandle, Timers } from '../ports/clock.js';

/** A request that waits for its numbered reply. */
export interface Pending {
  /** On the monotonic clock. */
  deadlineMs: number;
}

/**
 * Requests in flight on a stream, by number. One timer for all of them, armed for the earliest deadline:
 * requests mostly have the same timeout, so that it fires once per timeout and not once per request. A
 * reply after its deadline counts as none, even when the process was paused and the timer did not fire.
 */
export class PendingReplies<P extends Pending> {
  readonly #byId = new Map<number, P>();
  readonly #clock: Clock;
  readonly #timers: Timers;
  readonly #onExpired: (pending: P) => void;
  #lastId = 0;
  #armedForMs = Infinity;
  #timer: TimerHandle | undefined;

  constructor(options: { clock: Clock; timers: Timers; onExpired: (pending: P) => void }) {
    this.#clock = options.clock;
    this.#timers = options.timers;
    this.#onExpired = options.onExpired;
  }

  get size(): number {
    return this.#byId.size;
  }

  /** Takes a request in and returns its number, a uint32 that is not 0. */
  add(pending: P): number {
    do this.#lastId = this.#lastId >= 0xffff_ffff ? 1 : this.#lastId + 1;
    while (this.#byId.has(this.#lastId));
    this.#byId.set(this.#lastId, pending);
    if (pending.deadlineMs < this.#armedForMs) this.#arm(pending.deadlineMs);
    return this.#lastId;
  }

  /** The request that a reply is for; `undefined` when it is not waited for (any more). */
  take(id: number): P | undefined {
    const pending = this.#byId.get(id);
    if (!pending) return undefined;
    this.#byId.delete(id);
    if (this.#clock.monotonicMs() < pending.deadlineMs) return pending;
    this.#onExpired(pending);
    return undefined;
  }

  /** All that wait, which are then forgotten. */
  drain(): P[] {
    const all = [...this.#byId.values()];
    this.#byId.clear();
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#armedForMs = Infinity;
    return all;
  }

  #arm(deadlineMs: number): void {
    this.#timer?.cancel();
    this.#armedForMs = deadlineMs;
    const delayMs = Math.max(1, Math.ceil(deadlineMs - this.#clock.monotonicMs()));
    this.#timer = this.#timers.after(delayMs, () => this.#sweep());
  }

  #sweep(): void {
    const nowMs = this.#clock.monotonicMs();
    const expired: P[] = [];
    let next = Infinity;
    for (const [id, pending] of this.#byId) {
      if (pending.deadlineMs <= nowMs) {
        this.#byId.delete(id);
        expired.push(pending);
      } else if (pending.deadlineMs < next) next = pending.deadlineMs;
    }
    this.#timer = undefined;
    this.#armedForMs = Infinity;
    if (next < Infinity) this.#arm(next);
    for (const pending of expired) this.#onExpired(pending);
  }
}
