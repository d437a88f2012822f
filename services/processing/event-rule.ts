import type { Counted, CountingRule, CountingRun } from '../../client/log-driven/source.js';
import type { WaitLimits } from '../../client/ports.js';
import { asTallyringError } from '../../proto/errors.js';
import { checkEventTime, decodeRecord, type EventRecord } from '../event.js';
import type { DeadLetter } from '../log/dead-letters.js';
import type { LogRecord } from '../log/log.js';
import { DedupWindow } from './dedup-window.js';

/** Raised whenever another record would count, or in other cells. */
export const RULE_VERSION = 1;

export interface EventRuleParts {
  partition: number;
  /** How many records before it are searched for a record's id. */
  dedupWindow: number;
  /** Keeps what does not count; called before the batch is committed, with the same letters again if need be. */
  reject(letters: readonly DeadLetter[], options: WaitLimits): Promise<void>;
  /** Told of every event that counts, for what need not be exact. */
  onCounted(event: EventRecord): void;
  onDuplicate(): void;
}

/**
 * Which records of the event log count: those that decode, whose time is not too far ahead of the log's
 * own, and whose id does not stand among the `dedupWindow` records before. Nothing else decides.
 */
export class EventRule implements CountingRule<LogRecord> {
  readonly version = RULE_VERSION;
  readonly lookBack: number;
  readonly #parts: EventRuleParts;

  constructor(parts: EventRuleParts) {
    this.#parts = parts;
    this.lookBack = parts.dedupWindow;
  }

  begin({ lookBack }: { version: number; lookBack: number }): CountingRun<LogRecord> {
    return new EventRun(this.#parts, lookBack);
  }
}

class EventRun implements CountingRun<LogRecord> {
  readonly #parts: EventRuleParts;
  readonly #seen: DedupWindow;
  #rejected: DeadLetter[] = [];

  constructor(parts: EventRuleParts, lookBack: number) {
    this.#parts = parts;
    this.#seen = new DedupWindow(lookBack);
  }

  pass(offset: number, { payload }: LogRecord): void {
    try {
      const { recordId } = decodeRecord(payload);
      if (recordId !== undefined) this.#seen.note(offset, recordId);
    } catch {
      // Rejected when it was counted.
    }
  }

  count(offset: number, record: LogRecord): Counted | undefined {
    let event: EventRecord;
    try {
      event = decodeRecord(record.payload);
      if (event.recordId !== undefined && this.#seen.note(offset, event.recordId)) {
        this.#parts.onDuplicate();
        return undefined;
      }
      checkEventTime(event.timestampMs, record.appendedAtMs);
    } catch (error) {
      this.#reject(record, error);
      return undefined;
    }
    this.#parts.onCounted(event);
    return {
      key: event.videoId,
      eventType: event.eventType,
      by: event.value,
      timestampMs: event.timestampMs,
    };
  }

  #reject({ offset, appendedAtMs, payload }: LogRecord, thrown: unknown): void {
    const { code, message } = asTallyringError(thrown);
    const { partition } = this.#parts;
    this.#rejected.push({ partition, offset, appendedAtMs, reason: code, message, payload });
  }

  cut(): ((options: WaitLimits) => Promise<void>) | undefined {
    if (this.#rejected.length === 0) return undefined;
    const letters = this.#rejected;
    this.#rejected = [];
    return (options) => this.#parts.reject(letters, options);
  }
}
