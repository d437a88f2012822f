import type { Series } from '../counter/series.js';
import type { ConsistencyLevel } from '../proto/level.js';
import type { SeriesName } from './errors.js';
import type { FlushLevels } from './levels.js';

/** Somebody waits until a flush of at least this sequence is acknowledged at this level. */
export interface Claim {
  readonly sequence: number;
  readonly level: ConsistencyLevel;
  /** Called once: acknowledged, or never to be (the client closed). */
  done(error?: Error): void;
}

/** Who waits for which series. Events of `count()` have no claims. */
export class Claims {
  readonly #bySeries = new Map<Series, Claim[]>();
  readonly #levels: FlushLevels;
  #count = 0;

  constructor(levels: FlushLevels) {
    this.#levels = levels;
  }

  get count(): number {
    return this.#count;
  }

  get seriesCount(): number {
    return this.#bySeries.size;
  }

  add(series: Series, claim: Claim): void {
    const claims = this.#bySeries.get(series);
    if (claims === undefined) this.#bySeries.set(series, [claim]);
    else claims.push(claim);
    this.#count++;
  }

  /** A flush of this sequence was acknowledged at this level for this series. */
  acknowledge(series: Series, sequence: number, level: ConsistencyLevel): void {
    const claims = this.#bySeries.get(series);
    if (claims === undefined) return;
    const met = (claim: Claim) => claim.sequence <= sequence && this.#levels.implies(level, claim.level);
    const left = claims.filter((claim) => !met(claim));
    if (left.length === claims.length) return;
    this.#count -= claims.length - left.length;
    if (left.length === 0) this.#bySeries.delete(series);
    else this.#bySeries.set(series, left);
    for (const claim of claims) if (met(claim)) claim.done();
  }

  /** Levels that are waited for, those of claims up to a sequence only. */
  levelsOf(series: Series, upTo = Infinity): Set<ConsistencyLevel> {
    const levels = new Set<ConsistencyLevel>();
    for (const claim of this.#bySeries.get(series) ?? []) {
      if (claim.sequence <= upTo) levels.add(claim.level);
    }
    return levels;
  }

  /** Series that are waited for, the first `atMost`. */
  names(atMost: number): SeriesName[] {
    const names: SeriesName[] = [];
    for (const { key, eventType } of this.#bySeries.keys()) {
      if (names.length >= atMost) break;
      names.push({ key, eventType });
    }
    return names;
  }

  /** Ends every claim with an error. */
  rejectAll(error: Error): void {
    const all = [...this.#bySeries.values()];
    this.#bySeries.clear();
    this.#count = 0;
    for (const claims of all) for (const claim of claims) claim.done(error);
  }
}
