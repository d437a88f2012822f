import type { Timers } from '../../ports/clock.js';
import { TallyringError } from '../../proto/errors.js';

export interface WaitOptions {
  waitMs: number;
  signal?: AbortSignal | undefined;
}

/** Readers at the end of a partition, until something is appended to it, their time is over or they give up. */
export class WaitingReads {
  readonly #timers: Timers;
  readonly #limit: number;
  readonly #byPartition = new Map<number, Set<() => void>>();
  #count = 0;

  constructor(timers: Timers, limit: number) {
    this.#timers = timers;
    this.#limit = limit;
  }

  get count(): number {
    return this.#count;
  }

  /** Resolves when it is worth looking again. Throws OVERLOADED when too many wait, or the signal's reason. */
  wait(partition: number, { waitMs, signal }: WaitOptions): Promise<void> {
    if (this.#count >= this.#limit) {
      const text = `${this.#count} reads already wait for records (maxWaitingReads); try again later`;
      return Promise.reject(new TallyringError('OVERLOADED', text));
    }
    const waiting = this.#byPartition.get(partition) ?? new Set();
    this.#byPartition.set(partition, waiting);
    this.#count++;
    return new Promise((resolve, reject) => {
      const end = () => {
        if (!waiting.delete(wake)) return false;
        this.#count--;
        timer.cancel();
        signal?.removeEventListener('abort', abort);
        return true;
      };
      const wake = () => {
        if (end()) resolve();
      };
      const abort = () => {
        if (end()) reject(signal!.reason as Error);
      };
      const timer = this.#timers.after(waitMs, wake);
      waiting.add(wake);
      signal?.addEventListener('abort', abort, { once: true });
    });
  }

  wake(partition: number): void {
    for (const wake of [...(this.#byPartition.get(partition) ?? [])]) wake();
  }

  wakeAll(): void {
    for (const partition of this.#byPartition.keys()) this.wake(partition);
  }
}
