import { GRANULARITIES, type Granularity, windowIndex, windowStartMs } from '../../../counter/window.js';
import type { CellAddress } from '../../../proto/entry.js';
import { addTo, type CellSum } from './cell-sum.js';
import type { Horizon } from './horizon.js';
import type { TrueSeries } from './truth.js';

/** A cell and what the log says it is. */
export interface TrueCell {
  cell: CellAddress;
  truth: CellSum;
}

export interface SeriesPlan {
  key: string;
  eventType: string;
  /** Cells that can be compared. */
  whole: TrueCell[];
  /** Cells that may have events which are gone. */
  notWhole: CellAddress[];
}

/** Granularities from the finest to the coarsest. */
export function finestFirst(rollups: readonly Granularity[]): Granularity[] {
  return GRANULARITIES.filter((each) => rollups.includes(each)).reverse();
}

/** The window of a coarser granularity that a window lies in. */
export function windowOver(coarse: Granularity, fine: Granularity, window: number): number {
  return windowIndex(coarse, windowStartMs(fine, window));
}

/** All cells of a series that the log speaks of. */
export function planSeries(
  { key, eventType, windows }: TrueSeries,
  granularities: readonly Granularity[],
  horizon: Horizon,
): SeriesPlan {
  const plan: SeriesPlan = { key, eventType, whole: [], notWhole: [] };
  const finest = granularities[0]!;
  for (const granularity of granularities) {
    const sums = new Map<number, CellSum>();
    for (const [window, sum] of windows) {
      const over = windowOver(granularity, finest, window);
      const held = sums.get(over);
      if (held === undefined) sums.set(over, { ...sum });
      else addTo(held, sum);
    }
    for (const [window, truth] of sums) {
      const cell = { key, eventType, granularity, window };
      if (horizon.isWhole(granularity, window)) plan.whole.push({ cell, truth });
      else plan.notWhole.push(cell);
    }
  }
  return plan;
}
