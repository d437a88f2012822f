import type { CallOptions } from '../../proto/calls.js';

/**
 * The partitioned event log (DESIGN §11): appends are durable when they are answered, a partition is read from
 * an offset, in the order of its offsets. One interface for every implementation; the conformance suite holds
 * them to it.
 *
 * Errors: DATA_LOSS for an offset before the start (trimmed), or a damaged record; FAILED_PRECONDITION for an
 * offset beyond the end, and for a log that is not the one that was opened (another `logId`); OVERLOADED for a
 * full log; UNAVAILABLE and WRITE_TIMEOUT as everywhere, `mayHaveApplied` saying what is known.
 */
export interface EventLog {
  /** The log that was opened; an answer of any other one is refused. */
  readonly description: LogDescription;
  /** Appends to some partitions, each in one run of offsets, and resolves when all of it is durable. */
  append(appends: readonly PartitionAppend[], options: CallOptions): Promise<AppendedRun[]>;
  /** The records from an offset on; waits up to `waitMs` while there is none. */
  read(partition: number, from: number, options: LogReadOptions): Promise<LogPage>;
  /** Where a partition starts and ends. */
  bounds(partition: number, options: CallOptions): Promise<PartitionBounds>;
  /**
   * Tells that processing needs nothing before this offset any more: retention (by age and size) never passes
   * it. It never falls.
   */
  release(partition: number, before: number, options: CallOptions): Promise<void>;
  close(): Promise<void>;
}

export interface LogDescription {
  /** Random identity of the log: one that was set up anew has another. */
  logId: string;
  partitions: number;
}

export interface PartitionAppend {
  partition: number;
  /** Encoded events (services/event.ts); the log does not look into them. */
  records: readonly Buffer[];
}

export interface AppendedRun {
  partition: number;
  firstOffset: number;
}

export interface LogReadOptions extends CallOptions {
  /** About as many bytes as a page may have: one record at least. */
  maxBytes: number;
  waitMs: number;
}

export interface LogRecord {
  offset: number;
  /** When the log took it, by the log's clock: part of the record, the same for every reader. Never falls. */
  appendedAtMs: number;
  payload: Buffer;
}

export interface LogPage extends PartitionBounds {
  records: LogRecord[];
  /** Where to read on: behind the last record. Offsets may have gaps (Kafka). */
  next: number;
}

/** [start, end): what is retained, up to the high watermark. Readers see only what is durable. */
export interface PartitionBounds {
  start: number;
  end: number;
}
