import { OwnSeries } from './series.js';

/**
 * A producer's series by eventType, then key: event types are few, so a map for each of them costs less
 * memory than one for each key.
 */
export class SeriesIndex {
  readonly #byType = new Map<string, Map<string, OwnSeries>>();
  readonly #granularities: number;

  constructor(granularities: number) {
    this.#granularities = granularities;
  }

  find(key: string, eventType: string): OwnSeries | undefined {
    return this.#byType.get(eventType)?.get(key);
  }

  open(key: string, eventType: string): OwnSeries {
    let byKey = this.#byType.get(eventType);
    if (byKey === undefined) {
      byKey = new Map();
      this.#byType.set(eventType, byKey);
    }
    const series = new OwnSeries(key, eventType, this.#granularities);
    byKey.set(key, series);
    return series;
  }

  /** Forgets a series that has no cells left. */
  dropIfEmpty(series: OwnSeries): void {
    if (series.unacknowledged.length > 0 || series.openCells > 0) return;
    const byKey = this.#byType.get(series.eventType);
    byKey?.delete(series.key);
    if (byKey?.size === 0) this.#byType.delete(series.eventType);
  }

  /** All series; those already visited may be dropped meanwhile. */
  *[Symbol.iterator](): Generator<OwnSeries> {
    for (const byKey of this.#byType.values()) yield* byKey.values();
  }
}
