import { TallyringError } from '../proto/errors.js';

/** Names a series in errors. */
export interface SeriesName {
  key: string;
  eventType: string;
}

/** Series that an error lists by name at most. */
export const MAX_NAMED_SERIES = 100;

/**
 * The increment was taken and will be counted exactly once while the client stays open; only the wait for
 * its acknowledgement ended (timeout or abort). Calling again would count a second event.
 */
export class PendingError extends TallyringError {
  override readonly name = 'PendingError';
  readonly counted = 'pending';
  /** Resolves when the increment is acknowledged; rejects only if the client is closed before that. */
  readonly settled: Promise<void>;

  constructor(why: string, settled: Promise<void>, cause: unknown) {
    super(
      'PENDING',
      `${why}; the increment was taken and the client goes on writing it: do not call again, await \`settled\``,
      { cause, mayHaveApplied: true, retryable: false },
    );
    this.settled = settled;
    // Whoever does not look at `settled` must not die of its rejection.
    settled.catch(() => {});
  }
}

/** The client closed before these series were acknowledged: their newest increments are in doubt. */
export class UnacknowledgedError extends TallyringError {
  override readonly name = 'UnacknowledgedError';
  /** At most MAX_NAMED_SERIES of them. */
  readonly series: readonly SeriesName[];
  readonly seriesCount: number;

  constructor(series: readonly SeriesName[], seriesCount: number, cause: unknown) {
    const shown = series.slice(0, 5).map(({ key, eventType }) => `${JSON.stringify(key)} ${eventType}`);
    const more = seriesCount > shown.length ? ` and ${seriesCount - shown.length} more` : '';
    super(
      'WRITE_TIMEOUT',
      `closed with ${seriesCount} series not acknowledged, their newest increments are in doubt: ` +
        `${shown.join(', ')}${more}; compare them with what the cluster says before counting again`,
      { cause, mayHaveApplied: true, retryable: false },
    );
    this.series = series;
    this.seriesCount = seriesCount;
  }
}

export function closedError(): TallyringError {
  return new TallyringError('CLOSED', 'this client is closed; nothing was counted');
}
