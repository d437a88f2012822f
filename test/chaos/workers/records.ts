import { closeSync, openSync, writeSync } from 'node:fs';
import type { Granularity } from '../../../counter/window.js';
import type { ErrorCode } from '../../../proto/errors.js';
import type { ConsistencyLevel } from '../../../proto/level.js';

/**
 * What one client process did and was told, line by line in a file of its own. A line is handed to the system
 * before the operation begins, so that a process that is killed leaves all that it attempted. Times are
 * nanoseconds of the machine's monotonic clock, which all processes share, since the run's start.
 */

/** `i`: an increment began. `e`: it ended. `r`: a read; null where it did not end or failed. */
export type RecordLine =
  | ['i', number, number, string, string, number, number, ConsistencyLevel]
  | ['e', number, number, EndOutcome, ErrorCode | null]
  | [
      'r',
      number,
      number | null,
      string,
      string,
      Granularity,
      number,
      ConsistencyLevel,
      number | null,
      number | null,
      ErrorCode | null,
    ];
export type EndOutcome = 'acknowledged' | 'not applied' | 'in doubt';

export interface Tally {
  acknowledged: number;
  notApplied: number;
  inDoubt: number;
  reads: number;
  failedReads: number;
  errors: Record<string, number>;
}

export function emptyTally(): Tally {
  return { acknowledged: 0, notApplied: 0, inDoubt: 0, reads: 0, failedReads: 0, errors: {} };
}

export interface AttemptedIncrement {
  key: string;
  eventType: string;
  value: number;
  timestampMs: number;
  level: ConsistencyLevel;
}

export interface AttemptedRead {
  key: string;
  eventType: string;
  granularity: Granularity;
  window: number;
  level: ConsistencyLevel;
}

export class Recorder {
  readonly tally = emptyTally();
  readonly #file: number;
  readonly #startNs: bigint;
  readonly #openReads = new Map<AttemptedRead, number>();
  #next = 0;

  constructor(path: string, startNs: bigint) {
    this.#file = openSync(path, 'w');
    this.#startNs = startNs;
  }

  /** Operations so far. */
  get operations(): number {
    return this.#next + this.tally.reads + this.tally.failedReads;
  }

  increment({ key, eventType, value, timestampMs, level }: AttemptedIncrement): number {
    const id = this.#next++;
    this.#write(['i', id, this.#nowNs(), key, eventType, value, timestampMs, level]);
    return id;
  }

  incrementEnded(id: number, outcome: EndOutcome, error?: ErrorCode): void {
    this.#write(['e', id, this.#nowNs(), outcome, error ?? null]);
    if (outcome === 'acknowledged') this.tally.acknowledged++;
    else if (outcome === 'in doubt') this.tally.inDoubt++;
    else this.tally.notApplied++;
    this.#count(error);
  }

  read(attempted: AttemptedRead): void {
    this.#openReads.set(attempted, this.#nowNs());
  }

  readEnded(attempted: AttemptedRead, answer: { count: number; sum: number } | { error: ErrorCode }): void {
    const began = this.#openReads.get(attempted)!;
    this.#openReads.delete(attempted);
    this.#writeRead(attempted, began, { ended: this.#nowNs(), ...answer });
    if ('error' in answer) {
      this.tally.failedReads++;
      this.#count(answer.error);
    } else this.tally.reads++;
  }

  /** Notes the reads that never ended, too. */
  close(): void {
    for (const [attempted, began] of this.#openReads) this.#writeRead(attempted, began, { ended: null });
    closeSync(this.#file);
  }

  #writeRead(
    { key, eventType, granularity, window, level }: AttemptedRead,
    began: number,
    end: { ended: number | null; count?: number; sum?: number; error?: ErrorCode },
  ): void {
    const { ended, count = null, sum = null, error = null } = end;
    this.#write(['r', began, ended, key, eventType, granularity, window, level, count, sum, error]);
  }

  #count(error: ErrorCode | undefined): void {
    if (error !== undefined) this.tally.errors[error] = (this.tally.errors[error] ?? 0) + 1;
  }

  #nowNs(): number {
    return Number(process.hrtime.bigint() - this.#startNs);
  }

  #write(line: RecordLine): void {
    writeSync(this.#file, `${JSON.stringify(line)}\n`);
  }
}
