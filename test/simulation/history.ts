import type { CellValue } from '../../counter/shard.js';
import type { Granularity } from '../../counter/window.js';
import type { ErrorData } from '../../proto/errors.js';
import type { ConsistencyLevel } from '../../proto/level.js';
import type { RegisterOperation } from './register-owners.js';

/**
 * What the clients of a run did and were told, as plain data for the checkers. `began` and `ended` are
 * positions in the order of all that happened; an operation that never ended has none.
 */

export interface Span {
  began: number;
  ended: number | undefined;
  beganMs: number;
  endedMs: number | undefined;
}

/** counted: an SDK took it and lives. lost: its process died before the acknowledgement. */
export type IncrementOutcome = 'waiting' | 'acknowledged' | 'not applied' | 'in doubt' | 'lost';

export interface IncrementRecord extends Span {
  client: string;
  /** sdk: exactly once. plain: what is in doubt may or may not be counted. */
  producer: 'sdk' | 'plain';
  key: string;
  eventType: string;
  value: number;
  timestampMs: number;
  level: ConsistencyLevel;
  outcome: IncrementOutcome;
  error?: ErrorData;
}

export interface ReadRecord extends Span {
  client: string;
  key: string;
  eventType: string;
  granularity: Granularity;
  window: number;
  level: ConsistencyLevel;
  value?: CellValue;
  error?: ErrorData;
}

export class History {
  readonly increments: IncrementRecord[] = [];
  readonly reads: ReadRecord[] = [];
  readonly registers: RegisterOperation[] = [];
  readonly #nowMs: () => number;
  #order = 0;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** The next position in the order of all that happens. */
  next(): number {
    return this.#order++;
  }

  began(): Span {
    return { began: this.next(), ended: undefined, beganMs: this.#nowMs(), endedMs: undefined };
  }

  ended(record: Span): void {
    record.ended = this.next();
    record.endedMs = this.#nowMs();
  }

  /** Operations that still wait for an answer. */
  *unsettled(): Generator<IncrementRecord | ReadRecord | RegisterOperation> {
    for (const record of this.increments) if (record.ended === undefined) yield record;
    for (const record of this.reads) if (record.ended === undefined) yield record;
    for (const record of this.registers) if (record.ended === undefined) yield record;
  }
}

/** Levels of which any two overlap in a replica, with three replicas in all. */
export const OVERLAPPING: ReadonlySet<ConsistencyLevel> = new Set([
  'TWO',
  'THREE',
  'QUORUM',
  'ALL',
  'EACH_QUORUM',
]);
