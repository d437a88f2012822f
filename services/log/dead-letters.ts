import type { CallOptions } from '../../proto/calls.js';

/**
 * Records of the log that do not count, each with the reason: keyed by (partition, offset), so that one that is
 * put again is the same. Kept beside the log, whichever implementation that is.
 */
export interface DeadLetters {
  /** Resolves when all are durable. Those that are there already stay as they are. */
  put(letters: readonly DeadLetter[], options: CallOptions): Promise<void>;
  /** In order of (partition, offset), after a key. A page may have fewer than `limit`: the end is an empty one. */
  list(after: DeadLetterKey | undefined, limit: number, options: CallOptions): Promise<StoredDeadLetter[]>;
  /** Notes how far a replay of a letter is; durable when it resolves. */
  mark(key: DeadLetterKey, replay: Replay, options: CallOptions): Promise<void>;
}

export interface DeadLetterKey {
  partition: number;
  offset: number;
}

export interface DeadLetter extends DeadLetterKey {
  appendedAtMs: number;
  /** A stable word, e.g. MALFORMED, TOO_FAR_AHEAD. */
  reason: string;
  /** What is wrong, for people. */
  message: string;
  payload: Buffer;
}

/**
 * `began` is noted before the append, with the end of the partition that it goes to: a replay that was cut off
 * looks from there on whether its record was appended.
 */
export type Replay = { state: 'began'; partition: number; end: number } | { state: 'done' };

export interface StoredDeadLetter extends DeadLetter {
  replay?: Replay | undefined;
}
