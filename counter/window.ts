/** What a cell covers. The codes are part of the disk and wire formats. */
export const GRANULARITIES = ['total', 'day', 'hour', 'minute'] as const;
export type Granularity = (typeof GRANULARITIES)[number];

const WINDOW_MS: Record<Granularity, number> = {
  total: Infinity,
  day: 86_400_000,
  hour: 3_600_000,
  minute: 60_000,
};

export const GRANULARITY_CODE: Record<Granularity, number> = { total: 0, day: 1, hour: 2, minute: 3 };

export function isGranularity(text: string): text is Granularity {
  return Object.hasOwn(GRANULARITY_CODE, text);
}

/** Length of one window in milliseconds; Infinity for `total`. */
export function windowMs(granularity: Granularity): number {
  return WINDOW_MS[granularity];
}

/**
 * The number of the window that holds `timestampMs`: windows are numbered from the Unix epoch, in UTC, so
 * the window starts at index × windowMs. `total` has the one window 0.
 */
export function windowIndex(granularity: Granularity, timestampMs: number): number {
  return granularity === 'total' ? 0 : Math.floor(timestampMs / WINDOW_MS[granularity]);
}

/** Start of a window in epoch milliseconds (0 for `total`, which has no start). */
export function windowStartMs(granularity: Granularity, index: number): number {
  return granularity === 'total' ? 0 : index * WINDOW_MS[granularity];
}
