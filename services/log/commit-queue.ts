import type { Clock } from '../../ports/clock.js';
import { TallyringError } from '../../proto/errors.js';
import type { Commit } from './commit.js';

/** Something that wants to be part of a synced batch. */
export interface CommitJob {
  /** What it counts toward the limits; 0 for the log's own. */
  readonly bytes: number;
  /** On the monotonic clock; what waited longer is dropped. */
  readonly deadlineMs: number;
  apply(commit: Commit): void;
  resolve(): void;
  reject(error: TallyringError): void;
}

export interface CommitQueueOptions {
  clock: Clock;
  maxPendingBytes: number;
  maxCommitBytes: number;
  /** Commits one group. A rejection is the store's first write error: the queue fails for good. */
  run(jobs: readonly CommitJob[]): Promise<void>;
  onFailure(cause: Error): void;
}

/**
 * Group commit: one batch in flight, all that arrives meanwhile forms the next. After a failed write LevelDB
 * acknowledges later synced writes and forgets them, so the first one ends the log: none is acknowledged after.
 */
export class CommitQueue {
  readonly #options: CommitQueueOptions;
  #waiting: CommitJob[] = [];
  #pendingBytes = 0;
  #running = false;
  #failure: Error | undefined;
  #closed = false;
  #idle: (() => void)[] = [];

  constructor(options: CommitQueueOptions) {
    this.#options = options;
  }

  /** Bytes that wait or are on their way to the disk. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /** Throws what ended the log, or UNAVAILABLE when it is closing. */
  checkOpen(): void {
    if (this.#failure !== undefined) throw stoppedError(this.#failure, false);
    if (this.#closed) throw new TallyringError('UNAVAILABLE', 'the log is closing');
  }

  /** Queues a job. Throws OVERLOADED when too many bytes wait, or as checkOpen; nothing is applied then. */
  push(job: CommitJob): void {
    this.checkOpen();
    const bytes = this.#pendingBytes + job.bytes;
    if (job.bytes > 0 && bytes > this.#options.maxPendingBytes && this.#pendingBytes > 0) {
      throw new TallyringError(
        'OVERLOADED',
        `${this.#pendingBytes} bytes already wait for the log's disk; slow down`,
      );
    }
    this.#pendingBytes = bytes;
    this.#waiting.push(job);
    if (!this.#running) void this.#drain();
  }

  /** Takes nothing more, and resolves when all that was taken is durable. */
  close(): Promise<void> {
    this.#closed = true;
    if (!this.#running) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  async #drain(): Promise<void> {
    this.#running = true;
    // Let all that arrives in the same turn join the first group.
    await undefined;
    while (this.#waiting.length > 0 && this.#failure === undefined) await this.#commit(this.#takeGroup());
    this.#running = false;
    for (const resolve of this.#idle.splice(0)) resolve();
  }

  async #commit(group: readonly CommitJob[]): Promise<void> {
    try {
      if (group.length > 0) await this.#options.run(group);
    } catch (error) {
      this.#fail(error as Error, group);
      return;
    }
    for (const job of group) this.#pendingBytes -= job.bytes;
    for (const job of group) job.resolve();
  }

  #fail(cause: Error, group: readonly CommitJob[]): void {
    this.#failure = cause;
    this.#options.onFailure(cause);
    for (const job of group) job.reject(stoppedError(cause, true));
    for (const job of this.#waiting.splice(0)) job.reject(stoppedError(cause, false));
    this.#pendingBytes = 0;
  }

  #takeGroup(): CommitJob[] {
    const nowMs = this.#options.clock.monotonicMs();
    const group: CommitJob[] = [];
    let bytes = 0;
    let taken = 0;
    for (const job of this.#waiting) {
      if (group.length > 0 && bytes + job.bytes > this.#options.maxCommitBytes) break;
      taken++;
      if (job.deadlineMs <= nowMs) {
        this.#pendingBytes -= job.bytes;
        job.reject(expiredError());
        continue;
      }
      bytes += job.bytes;
      group.push(job);
    }
    this.#waiting = this.#waiting.slice(taken);
    return group;
  }
}

function expiredError(): TallyringError {
  const text = 'the log was busy until the deadline; nothing was appended';
  return new TallyringError('WRITE_TIMEOUT', text, { mayHaveApplied: false, retryable: true });
}

function stoppedError(cause: Error, mayHaveApplied: boolean): TallyringError {
  return new TallyringError(
    'STORE_FAILED',
    `the log stopped at its first write error (${cause.message}); free space or repair the disk, then restart it`,
    { cause, mayHaveApplied },
  );
}
