import type { WaitLimits } from '../ports.js';

/** A partition of a log, or whatever has offsets: it gives the same records for the same offsets, for ever. */
export interface LogSource<R> {
  /** Identity of the log: offsets of another one mean something else. */
  readonly logId: string;
  /** [start, end): what can be read now. */
  bounds(options: WaitLimits): Promise<{ start: number; end: number }>;
  /**
   * Records from an offset on, in order; waits up to `waitMs` while there is none. Throws FAILED_PRECONDITION
   * or DATA_LOSS where they do not exist (any more): the partition stops then.
   */
  read(from: number, options: SourceReadOptions): Promise<SourcePage<R>>;
  /**
   * Tells records apart: always the same of the same record. With it a log that was cut, and that took other
   * records at the same offsets since, stops the partition; without it what it took is not counted, silently.
   */
  digest?(record: R): string;
  /** Told now and then: what lies before this offset is not needed any more for counting. */
  release?(before: number, options: WaitLimits): Promise<void>;
}

export interface SourceReadOptions extends WaitLimits {
  waitMs: number;
}

export interface SourcePage<R> {
  /** Each with its offset, growing; gaps are fine. */
  records: readonly { offset: number; record: R }[];
  /** Where to read on. */
  next: number;
  /** Where the source ended when it was read: more is there at once while `next` is below. */
  end: number;
}

/** What a record adds. */
export interface Counted {
  key: string;
  eventType: string;
  /** Within ±2^42; 1 when absent. */
  by?: number | undefined;
  /** Epoch milliseconds. */
  timestampMs: number;
}

/**
 * Decides what records count: by the records alone, never by a clock, a configuration or chance, since a
 * successor must decide the same. `version` and `lookBack` stand in the checkpoint.
 */
export interface CountingRule<R> {
  /** Of this code: greater whenever it decides otherwise. */
  readonly version: number;
  /** How many offsets before a record it looks at. */
  readonly lookBack: number;
  /** A fresh run over records in order, by a version and look-back that the checkpoint names. */
  begin(rule: { version: number; lookBack: number }): CountingRun<R>;
}

export interface CountingRun<R> {
  /** A record that is only looked back at. */
  pass(offset: number, record: R): void;
  /** What the record adds; undefined when it does not count. */
  count(offset: number, record: R): Counted | undefined;
  /**
   * Called when a batch is cut, with what must have happened before it may be committed, e.g. that rejected
   * records are kept elsewhere: repeated until it resolves, and perhaps again by a successor.
   */
  cut?(): ((options: WaitLimits) => Promise<void>) | undefined;
}

/** A rule for records that are judged each by itself. */
export function countEach<R>(version: number, count: (record: R) => Counted | undefined): CountingRule<R> {
  const run: CountingRun<R> = { pass() {}, count: (_offset, record) => count(record) };
  return { version, lookBack: 0, begin: () => run };
}
