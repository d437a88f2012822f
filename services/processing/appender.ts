import { backoffMs } from '../../client/backoff.js';
import { type Clock, sleep, type Timers } from '../../ports/clock.js';
import type { Random } from '../../ports/random.js';
import { asTallyringError, TallyringError } from '../../proto/errors.js';
import type { EventLog, PartitionAppend } from '../log/log.js';

/**
 * The way from requests into the log: a large request is one append; of small ones the first goes at once, and those
 * that come soon after it together, for an append costs log and processing more than the records of many requests.
 * Resolves when the log has a request's records durably.
 */

export interface AppenderLimits {
  /** Longest that an append may take, attempts included. */
  appendTimeoutMs: number;
  /** Between two appends of small requests: those that come meanwhile go together. */
  appendCollectMs: number;
  /** Requests whose append is not answered yet, and bytes of their records; beyond it OVERLOADED. */
  maxRequestsInFlight: number;
  maxBytesInFlight: number;
}

export interface AppenderParts {
  log: Pick<EventLog, 'append'>;
  limits: AppenderLimits;
  clock: Clock;
  timers: Timers;
  random: Random;
}

/** A larger request goes alone. */
const SMALL_RECORDS = 512;
const SMALL_BYTES = 256 * 1024;
/** As much is collected, and a small request more. */
const COLLECTED_RECORDS = 1_024;
const COLLECTED_BYTES = 1024 * 1024;

interface Size {
  records: number;
  bytes: number;
}

/** Small requests that wait to go together. */
interface Group {
  readonly byPartition: Map<number, Buffer[]>;
  readonly size: Size;
  readonly done: Promise<void>;
  /** Sends it, once. */
  close(): void;
}

export class Appender {
  readonly #parts: AppenderParts;
  #collecting: Group | undefined;
  /** When the last group was sent, on the monotonic clock. */
  #sentMs = Number.NEGATIVE_INFINITY;
  #requests = 0;
  #bytes = 0;

  constructor(parts: AppenderParts) {
    this.#parts = parts;
  }

  get load(): { requests: number; bytes: number } {
    return { requests: this.#requests, bytes: this.#bytes };
  }

  async append(appends: readonly PartitionAppend[]): Promise<void> {
    const size = sizeOf(appends);
    const { records, bytes } = size;
    if (records === 0) return;
    this.#admit(bytes);
    try {
      const isSmall = records <= SMALL_RECORDS && bytes <= SMALL_BYTES;
      await (isSmall ? this.#collect(appends, size) : this.#send(appends));
    } finally {
      this.#requests--;
      this.#bytes -= bytes;
    }
  }

  #admit(bytes: number): void {
    const { maxRequestsInFlight, maxBytesInFlight } = this.#parts.limits;
    if (this.#requests >= maxRequestsInFlight || this.#bytes + bytes > maxBytesInFlight) {
      throw new TallyringError(
        'OVERLOADED',
        `${this.#requests} requests with ${this.#bytes} bytes wait for the log (limits: ${maxRequestsInFlight} and ${maxBytesInFlight}); nothing of this one was taken, send it again a little later`,
        { mayHaveApplied: false },
      );
    }
    this.#requests++;
    this.#bytes += bytes;
  }

  #collect(appends: readonly PartitionAppend[], { records, bytes }: Size): Promise<void> {
    this.#collecting ??= this.#openGroup();
    const group = this.#collecting;
    for (const { partition, records } of appends) {
      const collected = group.byPartition.get(partition);
      if (collected === undefined) group.byPartition.set(partition, [...records]);
      else collected.push(...records);
    }
    group.size.records += records;
    group.size.bytes += bytes;
    if (group.size.records >= COLLECTED_RECORDS || group.size.bytes >= COLLECTED_BYTES) group.close();
    return group.done;
  }

  #openGroup(): Group {
    const { clock, timers, limits } = this.#parts;
    const byPartition = new Map<number, Buffer[]>();
    let send = () => {};
    const closed = new Promise<void>((resolve) => {
      send = resolve;
    });
    const done = closed.then(() =>
      this.#send([...byPartition].map(([partition, records]) => ({ partition, records }))),
    );
    const close = () => {
      if (this.#collecting === group) this.#collecting = undefined;
      this.#sentMs = clock.monotonicMs();
      timer.cancel();
      send();
    };
    const group: Group = { byPartition, size: { records: 0, bytes: 0 }, done, close };
    const waitMs = this.#sentMs + limits.appendCollectMs - clock.monotonicMs();
    const timer = timers.after(Math.max(0, waitMs), close);
    return group;
  }

  /** Tries again only while it is certain that nothing was appended: whoever may not know that asks the caller. */
  async #send(appends: readonly PartitionAppend[]): Promise<void> {
    const { log, limits, clock, timers, random } = this.#parts;
    const deadline = clock.monotonicMs() + limits.appendTimeoutMs;
    for (let failures = 1; ; failures++) {
      try {
        await log.append(appends, { timeoutMs: Math.max(1, deadline - clock.monotonicMs()) });
        return;
      } catch (thrown) {
        const error = asTallyringError(thrown);
        const pauseMs = backoffMs(failures, random);
        // A full log does not get emptier in a moment: the caller should know at once.
        const isWorthIt = error.code === 'UNAVAILABLE' && !error.mayHaveApplied;
        if (!isWorthIt || clock.monotonicMs() + pauseMs >= deadline) throw error;
        await sleep(timers, pauseMs);
      }
    }
  }
}

function sizeOf(appends: readonly PartitionAppend[]): Size {
  const size: Size = { records: 0, bytes: 0 };
  for (const { records } of appends) {
    size.records += records.length;
    for (const record of records) size.bytes += record.length;
  }
  return size;
}
