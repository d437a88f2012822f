import type { Timers } from '../ports/clock.js';

const NOTHING = () => {};

/**
 * One after another, in the order of asking. Nobody's delay is everybody's: who has waited as long as it may goes on
 * beside whoever has the turn.
 */
export class Turns {
  readonly #timers: Timers;
  readonly #waiting = new Set<() => void>();
  #isTaken = false;

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  /**
   * Resolves with what is to be called, once, when done: as soon as it is the caller's turn.
   *
   * @param atMostMs how long to wait for that.
   */
  take(atMostMs: number): Promise<() => void> {
    if (!this.#isTaken) {
      this.#isTaken = true;
      return Promise.resolve(this.#pass);
    }
    if (atMostMs <= 0) return Promise.resolve(NOTHING);
    return new Promise((resolve) => {
      const begin = () => {
        timer.cancel();
        this.#waiting.delete(begin);
        resolve(this.#pass);
      };
      const timer = this.#timers.after(atMostMs, () => {
        this.#waiting.delete(begin);
        resolve(NOTHING);
      });
      this.#waiting.add(begin);
    });
  }

  readonly #pass = (): void => {
    const [next] = this.#waiting;
    if (next === undefined) this.#isTaken = false;
    else next();
  };
}
