import { periodOf, rowPrefix, tokenOf, windowPrefix } from '../../proto/entry.js';
import type { RowQuery } from '../../proto/peer-message.js';
import type { KeyRange } from '../storage/store.js';

/**
 * The key ranges of a row's windows [fromWindow, toWindow): one per period that they touch. Empty where
 * the query covers no window.
 */
export function rowRanges(query: RowQuery): KeyRange[] {
  const { granularity, fromWindow, toWindow } = query;
  if (toWindow <= fromWindow) return [];
  const token = tokenOf(query.key);
  const [first, last] = [periodOf(granularity, fromWindow), periodOf(granularity, toWindow - 1)];
  const ranges: KeyRange[] = [];
  for (let period = first; period <= last; period++) {
    const row = rowPrefix(query, period, token);
    // Windows of other periods do not exist under this prefix, so the query's own bounds serve for all.
    ranges.push({ from: windowPrefix(row, fromWindow), to: windowPrefix(row, toWindow) });
  }
  return ranges;
}

/** How many ranges `rowRanges` would give, at no cost: the bound on a query's work. */
export function periodsOf({ granularity, fromWindow, toWindow }: RowQuery): number {
  if (toWindow <= fromWindow) return 0;
  return periodOf(granularity, toWindow - 1) - periodOf(granularity, fromWindow) + 1;
}
