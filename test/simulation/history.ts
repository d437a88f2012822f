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
  /** Validation must refuse it: it counts nowhere, whatever became of it. */
  impossible?: boolean;
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

/** Levels of which any two share a replica: they ask more than half of all of them. */
export function overlappingLevels(replication: Readonly<Record<string, number>>): Set<ConsistencyLevel> {
  const perDatacenter = Object.values(replication);
  const total = perDatacenter.reduce((sum, replicas) => sum + replicas, 0);
  const majority = (replicas: number) => Math.floor(replicas / 2) + 1;
  const asked: Partial<Record<ConsistencyLevel, number>> = {
    TWO: 2,
    THREE: 3,
    QUORUM: majority(total),
    ALL: total,
    EACH_QUORUM: perDatacenter.reduce((sum, replicas) => sum + majority(replicas), 0),
  };
  if (perDatacenter.length === 1) asked.LOCAL_QUORUM = majority(total);
  const levels = Object.keys(asked) as ConsistencyLevel[];
  return new Set(levels.filter((level) => asked[level]! <= total && asked[level]! * 2 > total));
}

/** Of three replicas, in whichever datacenters. */
export const OVERLAPPING: ReadonlySet<ConsistencyLevel> = overlappingLevels({ dc1: 2, dc2: 1 });
