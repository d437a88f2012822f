import type { Counted } from '../../../client/log-driven/source.js';
import type { Granularity } from '../../../counter/window.js';
import { windowIndex } from '../../../counter/window.js';
import { tokenOf } from '../../../proto/entry.js';
import { addTo, type CellSum, sumOfOne } from './cell-sum.js';

/** What a partition's log says of one (key, eventType), by the finest windows. */
export interface TrueSeries {
  key: string;
  eventType: string;
  token: bigint;
  windows: Map<number, CellSum>;
}

export interface TruthOptions {
  /** The finest granularity that the cluster keeps. */
  finest: Granularity;
  /** Most cells in memory; a single key may have more. */
  maxCells: number;
  /** Keys are taken by their tokens, from this one on. */
  from: bigint;
  /** This key alone. */
  key?: string | undefined;
}

/** Every token is below it. */
export const END_OF_TOKENS = 2n ** 64n;

/**
 * Adds up what a log says, for a range of keys: all that come, until there are too many cells; then the range ends
 * earlier, and what lies beyond is for the next pass over the log. Pure.
 */
export class Truth {
  readonly #options: TruthOptions;
  readonly #series = new Map<string, TrueSeries>();
  #cells = 0;
  #to = END_OF_TOKENS;

  constructor(options: TruthOptions) {
    this.#options = options;
  }

  /** The first token that this pass does not cover; END_OF_TOKENS when nothing is left. */
  get to(): bigint {
    return this.#to;
  }

  get cells(): number {
    return this.#cells;
  }

  /** By their tokens. */
  inOrder(): TrueSeries[] {
    return [...this.#series.values()].sort((a, b) => (a.token < b.token ? -1 : a.token > b.token ? 1 : 0));
  }

  add({ key, eventType, by = 1, timestampMs }: Counted): void {
    if (this.#options.key !== undefined && key !== this.#options.key) return;
    const name = `${key}\0${eventType}`;
    const series = this.#series.get(name) ?? this.#open(name, key, eventType);
    if (series === undefined) return;
    const window = windowIndex(this.#options.finest, timestampMs);
    const one = sumOfOne(by === 0 ? 0 : by);
    const held = series.windows.get(window);
    if (held !== undefined) {
      addTo(held, one);
      return;
    }
    series.windows.set(window, one);
    this.#cells++;
    if (this.#cells > this.#options.maxCells) this.#narrow();
  }

  #open(name: string, key: string, eventType: string): TrueSeries | undefined {
    const token = tokenOf(key);
    if (token < this.#options.from || token >= this.#to) return undefined;
    const series: TrueSeries = { key, eventType, token, windows: new Map() };
    this.#series.set(name, series);
    return series;
  }

  /** Keeps the keys with the lowest tokens that make up half of the cells, one token at least. */
  #narrow(): void {
    let kept = 0;
    let last: bigint | undefined;
    for (const { token, windows } of this.inOrder()) {
      if (token !== last && last !== undefined && kept + windows.size > this.#options.maxCells / 2) {
        this.#cutAt(token);
        return;
      }
      kept += windows.size;
      last = token;
    }
  }

  #cutAt(token: bigint): void {
    this.#to = token;
    for (const [name, series] of this.#series) {
      if (series.token < token) continue;
      this.#series.delete(name);
      this.#cells -= series.windows.size;
    }
  }
}
