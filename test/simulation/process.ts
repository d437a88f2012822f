import type { TimerHandle, Timers } from '../../ports/clock.js';

/**
 * One incarnation of an operating system process. Its timers and what the network delivers reach it only
 * while it runs: a paused process gets them when it resumes, a killed one never, so that nothing of it
 * leaks into its successor.
 */
export class SimProcess implements Timers {
  readonly name: string;
  alive = true;
  paused = false;
  readonly #timers: Timers;
  #inbox: (() => void)[] = [];
  /** Timers that fell due while it was paused. */
  #due: (() => void)[] = [];

  constructor(name: string, timers: Timers) {
    this.name = name;
    this.#timers = timers;
  }

  after(delayMs: number, callback: () => void): TimerHandle {
    let cancelled = false;
    const run = () => {
      if (!cancelled) callback();
    };
    const handle = this.#timers.after(delayMs, () => this.#take(this.#due, run));
    return {
      cancel() {
        cancelled = true;
        handle.cancel();
      },
    };
  }

  /** Runs the callback of something that arrived: now, at the resume when paused, never when dead. */
  deliver(callback: () => void): void {
    this.#take(this.#inbox, callback);
  }

  #take(waiting: (() => void)[], callback: () => void): void {
    if (!this.alive) return;
    if (this.paused) waiting.push(callback);
    else callback();
  }

  kill(): void {
    this.alive = false;
    this.#inbox = [];
    this.#due = [];
  }

  pause(): void {
    this.paused = true;
  }

  /**
   * What arrived meanwhile is handled in its order, each as an event of its own; then the timers that fell due.
   * Node does the same when it wakes: it was waiting for messages, so an answer may be seen before the deadline
   * that it missed.
   */
  resume(): void {
    if (!this.alive || !this.paused) return;
    this.paused = false;
    const waiting = [...this.#inbox.splice(0), ...this.#due.splice(0)];
    for (const [i, callback] of waiting.entries()) this.#timers.after(i * 1e-6, () => this.deliver(callback));
  }
}
