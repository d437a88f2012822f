import { type Clock, sleep, type Timers } from '../../ports/clock.js';
import type { Random } from '../../ports/random.js';
import { asTallyringError, type TallyringError } from '../../proto/errors.js';
import { backoffMs } from '../backoff.js';
import type { Waiting } from './shard-store.js';
import type { LogSource, SourcePage } from './source.js';

export interface RecordReaderParts<R> {
  source: LogSource<R>;
  clock: Clock;
  timers: Timers;
  random: Random;
  /** Of one read. */
  timeoutMs: number;
  waiting: Waiting;
}

/** Reads a source record by record; what fails for the moment is tried again. */
export class RecordReader<R> {
  readonly #parts: RecordReaderParts<R>;
  #page: SourcePage<R>;
  #at = 0;

  constructor(parts: RecordReaderParts<R>, from: number) {
    this.#parts = parts;
    this.#page = { records: [], next: from, end: from };
  }

  /** Everything before this offset was taken, or does not exist. */
  get position(): number {
    return this.#page.records[this.#at]?.offset ?? this.#page.next;
  }

  /** Whether the source had more than it gave. */
  get isBehind(): boolean {
    return this.#page.next < this.#page.end;
  }

  /** The end of the source when it was read last. */
  get end(): number {
    return this.#page.end;
  }

  /** The next record that is here already. */
  peek(): { offset: number; record: R } | undefined {
    return this.#page.records[this.#at];
  }

  take(): void {
    this.#at++;
  }

  /** Gets more, unless something is here; waits up to `waitMs` for it. */
  async more(waitMs: number): Promise<void> {
    if (this.peek() !== undefined) return;
    const { source, timeoutMs, waiting } = this.#parts;
    const { signal } = waiting;
    this.#page = await persist(this.#parts, () =>
      source.read(this.#page.next, { waitMs, timeoutMs: timeoutMs + waitMs, signal }),
    );
    this.#at = 0;
  }

  /** Everything up to an offset that is known to exist. */
  async *upTo(end: number): AsyncGenerator<{ offset: number; record: R }> {
    while (this.position < end) {
      const next = this.peek();
      if (next === undefined) {
        await this.more(0);
        continue;
      }
      this.take();
      yield next;
    }
  }
}

/** Repeats a call while its errors are of the moment. */
export async function persist<T>(
  { timers, random, waiting }: { timers: Timers; random: Random; waiting: Waiting },
  call: () => Promise<T>,
): Promise<T> {
  for (let failures = 0; ; ) {
    waiting.signal.throwIfAborted();
    try {
      return await call();
    } catch (thrown) {
      waiting.signal.throwIfAborted();
      const error = asTallyringError(thrown);
      if (!isPassing(error)) throw error;
      waiting.onTrouble(error);
    }
    await sleep(timers, backoffMs(++failures, random));
  }
}

/** Whether the same may go well the next time. */
export function isPassing(error: TallyringError): boolean {
  return error.retryable || error.code === 'WRITE_TIMEOUT' || error.code === 'READ_TIMEOUT';
}
