import type { Timers } from '../ports/clock.js';

export interface Hedge {
  timers: Timers;
  /** How long the first one may take before another is asked too. */
  afterMs: number;
  budget: HedgeBudget;
  /** Asks another one; undefined when there is none. */
  another(): Promise<unknown> | undefined;
}

/** What may be asked twice at once after a quiet time. */
const MOST_SAVED = 10;

/**
 * How many calls may be asked twice: a share of all of them. Without a bound a cluster that is slow for its load would
 * get twice the load for being slow, and stay so.
 */
export class HedgeBudget {
  readonly #share: number;
  #saved = 0;

  /** @param share of all calls, in [0, 1]. */
  constructor(share: number) {
    this.#share = share;
  }

  /** One more call. */
  earn(): void {
    this.#saved = Math.min(MOST_SAVED, this.#saved + this.#share);
  }

  /** Whether one may be asked twice now. */
  spend(): boolean {
    if (this.#saved < 1) return false;
    this.#saved--;
    return true;
  }
}

/**
 * Asks one, and when it takes long another one too, as far as the budget goes; the first answer of either stands (Dean
 * and Barroso, "The Tail at Scale", 2013). Rejects with the first one's error when neither answers.
 */
export async function hedged<T>(first: Promise<T>, { timers, afterMs, budget, another }: Hedge): Promise<T> {
  budget.earn();
  let isLate = false;
  let tell = () => {};
  const waited = new Promise<void>((resolve) => {
    tell = resolve;
  });
  const timer = timers.after(afterMs, () => {
    isLate = true;
    tell();
  });
  first.then(tell, tell);
  await waited;
  timer.cancel();
  if (!isLate || !budget.spend()) return first;
  const second = another() as Promise<T> | undefined;
  if (second === undefined) return first;
  return Promise.any([first, second]).catch(() => first);
}
