import { TallyringError } from '../../proto/errors.js';
import type { EngineWrite } from './engine.js';

/**
 * The queue before the disk: one group in flight; all that arrives meanwhile forms the next. What a group
 * does is decided when its turn comes (`run`), so it sees everything that earlier groups wrote.
 *
 * Every write of the store passes here, unsynced ones too, so that the engine never has two in flight: after
 * a failed append LevelDB acknowledges later synced writes and loses them, so none may overtake the news.
 */

/** Entries or own writes that want to be part of a synced batch. */
export interface CommitJob {
  readonly bytes: number;
  /** Number of entries and writes, for the cap of a group. */
  readonly size: number;
  /** Must be a group of its own, e.g. because it reads before it decides what to write. */
  readonly alone: boolean;
  resolve(): void;
  reject(error: Error): void;
}

/**
 * A group closes at this many entries: what a group comes to is decided in one go, while reads wait (measured on a
 * slow machine beside writes: p99 of reads 78 to 100 ms instead of 124 to 233 with 2,048).
 */
export const MAX_GROUP_ENTRIES = 512;

export interface CommitQueueOptions<J extends CommitJob> {
  maxPendingBytes: number;
  /** Commits one group. A rejection is the store's first write error: the queue fails for good. */
  run(jobs: readonly J[]): Promise<void>;
  /** Called once, at the first failure; gives the error that all jobs are rejected with from then on. */
  onFailure(error: Error): Error;
}

export class CommitQueue<J extends CommitJob> {
  readonly #options: CommitQueueOptions<J>;
  #waiting: J[] = [];
  #pendingBytes = 0;
  #running = false;
  #failure: Error | undefined;
  #idle: (() => void)[] = [];

  constructor(options: CommitQueueOptions<J>) {
    this.#options = options;
  }

  /** Queues a job. Throws OVERLOADED when too many bytes wait, or the store's failure; nothing is applied then. */
  push(job: J): void {
    if (this.#failure !== undefined) throw this.#failure;
    const bytes = this.#pendingBytes + job.bytes;
    // One job is always taken by an idle store, however small the limit. What counts nothing is the store's own,
    // bounded by whoever writes it: it must get through a queue that is full, or a busy node never comes up.
    if (job.bytes > 0 && bytes > this.#options.maxPendingBytes && this.#pendingBytes > 0) {
      throw new TallyringError(
        'OVERLOADED',
        `${this.#pendingBytes} bytes already wait to be merged; slow down`,
      );
    }
    this.#pendingBytes = bytes;
    this.#waiting.push(job);
    if (!this.#running) void this.#drain();
  }

  /** Resolves when nothing waits and nothing is in flight. */
  idle(): Promise<void> {
    if (!this.#running) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  /** Rejects all that waits, and all that comes. */
  fail(error: Error): void {
    if (this.#failure !== undefined) return;
    const failure = this.#options.onFailure(error);
    this.#failure = failure;
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#pendingBytes = 0;
    for (const job of waiting) job.reject(failure);
  }

  async #drain(): Promise<void> {
    this.#running = true;
    // Let all that arrives in the same turn join the first group.
    await undefined;
    while (this.#waiting.length > 0 && this.#failure === undefined) await this.#commit(this.#takeGroup());
    this.#running = false;
    const idle = this.#idle;
    this.#idle = [];
    for (const resolve of idle) resolve();
  }

  async #commit(group: readonly J[]): Promise<void> {
    try {
      await this.#options.run(group);
    } catch (error) {
      this.fail(error as Error);
      for (const job of group) job.reject(this.#failure!);
      return;
    }
    for (const job of group) this.#pendingBytes -= job.bytes;
    // Failed elsewhere (a read) meanwhile: what this engine says is no longer believed.
    for (const job of group) {
      if (this.#failure === undefined) job.resolve();
      else job.reject(this.#failure);
    }
  }

  #takeGroup(): readonly J[] {
    const waiting = this.#waiting;
    let count = 0;
    let size = 0;
    while (count < waiting.length && size < MAX_GROUP_ENTRIES) {
      if (waiting[count]!.alone && count > 0) break;
      size += waiting[count]!.size;
      count++;
      if (waiting[count - 1]!.alone) break;
    }
    this.#waiting = waiting.slice(count);
    return count === waiting.length ? waiting : waiting.slice(0, count);
  }
}

/** Bytes that writes put into the engine's log, at least. */
export function payloadBytes(writes: readonly EngineWrite[]): number {
  let bytes = 0;
  for (const { key, value } of writes) bytes += key.length + (value?.length ?? 0);
  return bytes;
}
