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

  constructor(name: string, timers: Timers) {
    this.name = name;
    this.#timers = timers;
  }

  after(delayMs: number, callback: () => void): TimerHandle {
    let cancelled = false;
    const handle = this.#timers.after(delayMs, () =>
      this.deliver(() => {
        if (!cancelled) callback();
      }),
    );
    return {
      cancel() {
        cancelled = true;
        handle.cancel();
      },
    };
  }

  /** Runs the callback now, at the resume when paused, never when dead. */
  deliver(callback: () => void): void {
    if (!this.alive) return;
    if (this.paused) this.#inbox.push(callback);
    else callback();
  }

  kill(): void {
    this.alive = false;
    this.#inbox = [];
  }

  pause(): void {
    this.paused = true;
  }

  /** What came meanwhile is handled in its order, each as an event of its own. */
  resume(): void {
    if (!this.alive || !this.paused) return;
    this.paused = false;
    for (const [i, callback] of this.#inbox.splice(0).entries()) {
      this.#timers.after(i * 1e-6, () => this.deliver(callback));
    }
  }
}
