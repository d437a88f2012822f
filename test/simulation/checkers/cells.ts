import { type Granularity, windowIndex } from '../../../counter/window.js';
import type { IncrementRecord } from '../history.js';

/** A cell's name in checkers and their reports. */
export function cellName(key: string, eventType: string, granularity: Granularity, window: number): string {
  return `${key}/${eventType}/${granularity}/${window}`;
}

/** The cells that an increment counts in: none when it must be refused. */
export function cellsOf(increment: IncrementRecord, rollups: readonly Granularity[]): string[] {
  const { key, eventType, timestampMs } = increment;
  if (increment.impossible) return [];
  return rollups.map((granularity) =>
    cellName(key, eventType, granularity, windowIndex(granularity, timestampMs)),
  );
}
