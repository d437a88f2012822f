import { TallyringError } from '../../proto/errors.js';
import { MAX_BATCH_RECORDS } from './log-producer.js';

/** Bounds of counting one partition of a log. */
export interface LogDrivenLimits {
  /** How long events are added up in memory before they are flushed; a flush that takes longer is waited for. */
  flushIntervalMs: number;
  /** Most records and about the most changed cells of one batch; beyond it nothing is read until the flush is done. */
  maxBatchRecords: number;
  maxBatchCells: number;
  /** Cells that a producer keeps in memory; with three quarters of them it makes place for a fresh one. */
  maxCells: number;
  /** An owner shows this often that it lives. */
  heartbeatMs: number;
  /** One attempt of one call to the store or the log. */
  attemptTimeoutMs: number;
  /**
   * How long a checkpoint must stand still before a candidate takes over: once to twice as long, by chance; doubles
   * with every take-over that another one undid soon, up to eight times. Several heartbeats at least.
   */
  takeOverAfterMs: number;
}

export const DEFAULT_LOG_DRIVEN_LIMITS: Readonly<LogDrivenLimits> = Object.freeze({
  flushIntervalMs: 1_000,
  maxBatchRecords: 200_000,
  maxBatchCells: 100_000,
  maxCells: 200_000,
  heartbeatMs: 1_000,
  attemptTimeoutMs: 2_000,
  takeOverAfterMs: 3_000,
});

/** Fills in the defaults. Throws INVALID_ARGUMENT for what cannot be. */
export function logDrivenLimits(given: Partial<LogDrivenLimits>): LogDrivenLimits {
  const limits = { ...DEFAULT_LOG_DRIVEN_LIMITS };
  for (const name of Object.keys(limits) as (keyof LogDrivenLimits)[]) {
    const value = given[name];
    if (value === undefined) continue;
    if (!Number.isSafeInteger(value) || value <= 0)
      refuse(`${name} must be a positive integer, not ${value}`);
    limits[name] = value;
  }
  if (limits.maxBatchRecords > MAX_BATCH_RECORDS) {
    refuse(`maxBatchRecords is at most ${MAX_BATCH_RECORDS}: more could take a counter out of int64`);
  }
  if (limits.maxBatchCells > limits.maxCells) refuse('maxBatchCells cannot be above maxCells');
  if (limits.takeOverAfterMs < 2 * limits.heartbeatMs) refuse('takeOverAfterMs is at least two heartbeats');
  return limits;
}

function refuse(message: string): never {
  throw new TallyringError('INVALID_ARGUMENT', message);
}
