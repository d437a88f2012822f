import type { CallOptions } from '../../proto/calls.js';
import { TallyringError } from '../../proto/errors.js';
import type { Commit } from './commit.js';
import type { DeadLetter, DeadLetterKey, DeadLetters, Replay, StoredDeadLetter } from './dead-letters.js';
import { DEAD_LETTERS_END, deadLetterKey } from './keyspace.js';
import { letterWrite, parseStoredLetter } from './records.js';
import type { LogStore } from './store.js';

const MAX_TEXT_LENGTH = 1_000;
const PAGE_BYTES = 1024 * 1024;

export interface DeadLetterParts {
  store: LogStore;
  limits: { maxDeadLetters: number; maxLettersPerCall: number; maxRecordBytes: number };
  /** Letters that are held. */
  count(): number;
  checkPartition(partition: number): void;
  /** Makes writes part of the next batch; resolves when it is durable. */
  commit(job: { bytes: number; apply(commit: Commit): void }, options: CallOptions): Promise<void>;
}

/** The dead letters of the embedded log, in its own store. Changes go one after the other: each reads first. */
export class DeadLetterStore implements DeadLetters {
  readonly #parts: DeadLetterParts;
  #last: Promise<unknown> = Promise.resolve();

  constructor(parts: DeadLetterParts) {
    this.#parts = parts;
  }

  put(letters: readonly DeadLetter[], options: CallOptions): Promise<void> {
    return this.#inTurn(async () => {
      this.#checkCount(letters.length);
      for (const letter of letters) this.#check(letter);
      const keys = letters.map(({ partition, offset }) => deadLetterKey(partition, offset));
      const stored = await this.#parts.store.getMany(keys);
      const fresh = new Map<string, { key: Buffer; letter: DeadLetter }>();
      letters.forEach((letter, i) => {
        const name = `${letter.partition}:${letter.offset}`;
        if (stored[i] === undefined && !fresh.has(name)) fresh.set(name, { key: keys[i]!, letter });
      });
      if (fresh.size === 0) return;
      this.#checkRoom(fresh.size);
      const writes = [...fresh.values()].map(({ key, letter }) =>
        letterWrite(key, { ...letter, message: letter.message.slice(0, MAX_TEXT_LENGTH) }, undefined),
      );
      const bytes = writes.reduce((sum, { value }) => sum + value!.length, 0);
      const apply = (commit: Commit) => {
        commit.writes.push(...writes);
        commit.newLetters += writes.length;
      };
      await this.#parts.commit({ bytes, apply }, options);
    });
  }

  async list(
    after: DeadLetterKey | undefined,
    limit: number,
    _options: CallOptions,
  ): Promise<StoredDeadLetter[]> {
    this.#checkCount(limit);
    const from = after === undefined ? deadLetterKey(0, 0) : deadLetterKey(after.partition, after.offset + 1);
    const scan = { limit, fillCache: false, maxBytes: PAGE_BYTES };
    const records = await this.#parts.store.scan(from, DEAD_LETTERS_END, scan);
    return records.map(({ key, value }) => parseStoredLetter(key, value));
  }

  mark({ partition, offset }: DeadLetterKey, replay: Replay, options: CallOptions): Promise<void> {
    return this.#inTurn(async () => {
      const key = deadLetterKey(partition, offset);
      const [value] = await this.#parts.store.getMany([key]);
      if (value === undefined) {
        throw new TallyringError('INVALID_ARGUMENT', `there is no dead letter ${partition}:${offset}`);
      }
      const write = letterWrite(key, parseStoredLetter(key, value), replay);
      const apply = (commit: Commit) => void commit.writes.push(write);
      await this.#parts.commit({ bytes: write.value!.length, apply }, options);
    });
  }

  #inTurn<T>(run: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(run);
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  #check({ partition, offset, reason, payload }: DeadLetter): void {
    this.#parts.checkPartition(partition);
    const { maxRecordBytes } = this.#parts.limits;
    const wrong =
      !Number.isSafeInteger(offset) || offset < 0
        ? `offset ${offset} is none`
        : payload.length > maxRecordBytes
          ? `its payload has more than ${maxRecordBytes} bytes`
          : reason.length > MAX_TEXT_LENGTH
            ? `its reason has more than ${MAX_TEXT_LENGTH} characters`
            : undefined;
    if (wrong) throw new TallyringError('INVALID_ARGUMENT', `dead letter ${partition}:${offset}: ${wrong}`);
  }

  #checkCount(count: number): void {
    const { maxLettersPerCall } = this.#parts.limits;
    if (Number.isInteger(count) && count >= 0 && count <= maxLettersPerCall) return;
    throw new TallyringError(
      'INVALID_ARGUMENT',
      `${count} dead letters in one call; at most ${maxLettersPerCall} (maxLettersPerCall)`,
    );
  }

  #checkRoom(more: number): void {
    const { maxDeadLetters } = this.#parts.limits;
    if (this.#parts.count() + more <= maxDeadLetters) return;
    throw new TallyringError(
      'OVERLOADED',
      `the log holds ${this.#parts.count()} dead letters: find out why records do not count, and raise maxDeadLetters`,
    );
  }
}
