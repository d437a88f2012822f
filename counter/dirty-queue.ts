import type { OwnSeries } from './series.js';

/** Dirty series in order of becoming so. Each is in it at most once (`queued`). */
export class DirtyQueue {
  readonly #waiting: OwnSeries[] = [];
  #head = 0;

  get length(): number {
    return this.#waiting.length - this.#head;
  }

  push(series: OwnSeries): void {
    if (series.queued) return;
    series.queued = true;
    this.#waiting.push(series);
  }

  /** Takes series out in order while `wantsMore` says so; those that `only` refuses keep their place. */
  take(
    wantsMore: () => boolean,
    visit: (series: OwnSeries) => void,
    only?: (series: OwnSeries) => boolean,
  ): void {
    const passed: OwnSeries[] = [];
    let at = this.#head;
    while (at < this.#waiting.length && wantsMore()) {
      const series = this.#waiting[at++]!;
      if (only !== undefined && !only(series)) {
        passed.push(series);
        continue;
      }
      series.queued = false;
      visit(series);
    }
    for (let i = passed.length - 1; i >= 0; i--) this.#waiting[--at] = passed[i]!;
    this.#head = at;
    this.#compact();
  }

  /** Lets go of what was taken, at a cost of less than one move per series taken. */
  #compact(): void {
    if (this.#head * 2 <= this.#waiting.length) return;
    this.#waiting.copyWithin(0, this.#head);
    this.#waiting.length -= this.#head;
    this.#head = 0;
  }
}
