import type { Clock, TimerHandle, Timers } from '../../ports/clock.js';
import type { Logger } from '../../ports/logger.js';
import type { CallOptions } from '../../proto/calls.js';
import { TallyringError } from '../../proto/errors.js';
import { checkBlock, gapError, lastOffsetOf, recordsOf } from './block.js';
import { Commit } from './commit.js';
import { type CommitJob, CommitQueue } from './commit-queue.js';
import type { LogConfig } from './config.js';
import { DeadLetterStore } from './dead-letter-store.js';
import type { DeadLetters } from './dead-letters.js';
import { checkAppendSize, checkFrame, encodeFrame, type Frame } from './frame.js';
import { blockKey } from './keyspace.js';
import type {
  AppendedRun,
  EventLog,
  LogDescription,
  LogPage,
  LogReadOptions,
  PartitionAppend,
  PartitionBounds,
} from './log.js';
import { type OpenedLog, openLog } from './opening.js';
import { type Partition, trimmedError } from './partition.js';
import { stateWrite } from './records.js';
import { trimAboveBytes } from './retention.js';
import type { LogStore } from './store.js';
import { Trimmer } from './trimmer.js';
import { WaitingReads } from './waiting-reads.js';

export type LogLimits = Omit<LogConfig, 'host' | 'port' | 'metricsPort' | 'dataDir' | 'partitions'>;

export interface LogCoreParts {
  store: LogStore;
  description: LogDescription;
  limits: LogLimits;
  clock: Clock;
  timers: Timers;
  logger: Logger;
  /** After every batch that became durable. */
  onCommit?(facts: { records: number; seconds: number }): void;
  /** The first write error: the log answers nothing any more. */
  onFailure?(cause: Error): void;
}

/** Whole blocks from the one that holds the offset that was asked for. */
export interface BlockPage extends PartitionBounds {
  blocks: Buffer[];
}

/** Blocks of one page at most, however small they are. */
const MAX_PAGE_BLOCKS = 1_024;

/** Opens the log that a store holds (createLog made it) and checks it. */
export async function openLogCore(parts: LogCoreParts): Promise<LogCore> {
  const opened = await openLog(parts.store, parts.description);
  for (const loss of opened.losses) parts.logger.error({}, loss);
  return new LogCore(parts, opened);
}

/** The embedded log over a store: no I/O, clock or timer of its own. */
export class LogCore implements EventLog {
  readonly description: LogDescription;
  readonly deadLetters: DeadLetters;
  readonly #parts: LogCoreParts;
  readonly #partitions: readonly Partition[];
  readonly #queue: CommitQueue;
  readonly #waiting: WaitingReads;
  readonly #trimmer: Trimmer;
  #lastAppendedAtMs: number;
  #deadLetterCount: number;
  #generationBytes = 0;
  #retentionTimer: TimerHandle | undefined;

  constructor(parts: LogCoreParts, opened: OpenedLog) {
    const { description, limits, clock, timers } = parts;
    this.description = description;
    this.#parts = parts;
    this.#partitions = opened.partitions;
    this.#lastAppendedAtMs = opened.lastAppendedAtMs;
    this.#deadLetterCount = opened.deadLetters;
    this.#waiting = new WaitingReads(timers, limits.maxWaitingReads);
    this.#queue = new CommitQueue({
      clock,
      maxPendingBytes: limits.maxPendingBytes,
      maxCommitBytes: limits.maxCommitBytes,
      run: (jobs) => this.#commit(jobs),
      onFailure: (cause) => this.#failed(cause),
    });
    const enqueue = (job: Pick<CommitJob, 'bytes' | 'apply'>, timeoutMs: number) =>
      this.#enqueue(job, timeoutMs);
    this.#trimmer = new Trimmer({ ...parts, partitions: this.#partitions, enqueue });
    this.deadLetters = new DeadLetterStore({
      store: parts.store,
      limits,
      count: () => this.#deadLetterCount,
      checkPartition: (number) => void this.#partitionOf(number),
      commit: (job, { timeoutMs }) => enqueue(job, timeoutMs),
    });
    this.#planRetention();
  }

  get stats() {
    return {
      waitingReads: this.#waiting.count,
      pendingBytes: this.#queue.pendingBytes,
      deadLetters: this.#deadLetterCount,
      damaged: this.#partitions.filter(({ damage }) => damage !== undefined).length,
      partitions: this.#partitions.map((partition) => partition.stats),
    };
  }

  append(appends: readonly PartitionAppend[], options: CallOptions): Promise<AppendedRun[]> {
    const frames = appends.map(({ partition, records }) => encodeFrame(partition, records));
    return this.appendFrames(frames, options);
  }

  /** `append` of records that are framed already; the log keeps no reference to the bytes after it resolves. */
  async appendFrames(frames: readonly Frame[], { timeoutMs, signal }: CallOptions): Promise<AppendedRun[]> {
    signal?.throwIfAborted();
    const bytes = frames.reduce((sum, frame) => sum + frame.bytes.length, 0);
    this.#checkAppend(frames, bytes);
    const runs: AppendedRun[] = [];
    const apply = (commit: Commit) => {
      for (const frame of frames) {
        runs.push({ partition: frame.partition, firstOffset: commit.append(frame) });
      }
    };
    await this.#enqueue({ bytes, apply }, timeoutMs);
    return runs;
  }

  async read(partition: number, from: number, options: LogReadOptions): Promise<LogPage> {
    const { blocks, start, end } = await this.readBlocks(partition, from, options);
    const records = recordsOf(blocks, { partition, from, maxBytes: options.maxBytes });
    return { records, next: from + records.length, start, end };
  }

  /** `read` without decoding: what travels to readers in other processes. */
  async readBlocks(number: number, from: number, options: LogReadOptions): Promise<BlockPage> {
    const { limits } = this.#parts;
    this.#queue.checkOpen();
    const partition = this.#partitionOf(number);
    checkSafe('offset', from);
    partition.checkOffset(from);
    if (from === partition.end && options.waitMs > 0) {
      const waitMs = Math.min(options.waitMs, options.timeoutMs, limits.maxWaitMs);
      await this.#waiting.wait(number, { waitMs, signal: options.signal });
      this.#queue.checkOpen();
    }
    const { end } = partition;
    if (from >= end) return { blocks: [], start: partition.start, end };
    const maxBytes = Math.min(options.maxBytes, limits.maxReadBytes);
    const blocks = await this.#scanBlocks(partition, { from, end, maxBytes });
    return { blocks, start: partition.start, end };
  }

  async bounds(number: number, _options: CallOptions): Promise<PartitionBounds> {
    this.#queue.checkOpen();
    const { start, end } = this.#partitionOf(number);
    return { start, end };
  }

  async release(number: number, before: number, { timeoutMs }: CallOptions): Promise<void> {
    this.#queue.checkOpen();
    const partition = this.#partitionOf(number);
    checkSafe('offset', before);
    if (before > partition.end) partition.checkOffset(before);
    if (before <= partition.released) return;
    const apply = (commit: Commit) => {
      // Decided when its turn comes: another release may have come before.
      partition.released = Math.max(partition.released, before);
      commit.writes.push(stateWrite(number, partition));
    };
    await this.#enqueue({ bytes: 0, apply }, timeoutMs);
    this.#trimmer.trim();
  }

  /** Takes no more calls, answers the reads that wait, and makes durable what was taken. */
  drain(): Promise<void> {
    this.#retentionTimer?.cancel();
    const drained = this.#queue.close();
    this.#waiting.wakeAll();
    return drained;
  }

  /** Drains, and closes the store. */
  async close(): Promise<void> {
    await this.drain();
    await this.#parts.store.close();
  }

  #checkAppend(frames: readonly Frame[], bytes: number): void {
    const { maxAppendBytes, maxRecordBytes, retention } = this.#parts.limits;
    this.#queue.checkOpen();
    checkAppendSize(bytes, maxAppendBytes);
    for (const frame of frames) {
      this.#partitionOf(frame.partition);
      if (frame.count === 0) throw new TallyringError('INVALID_ARGUMENT', 'an append has no records');
      checkFrame(frame, maxRecordBytes);
    }
    const needed = this.#trimmer.retainedBytes + this.#queue.pendingBytes + bytes;
    if (needed <= retention.maxBytes) return;
    this.#trimmer.trim();
    throw new TallyringError(
      'OVERLOADED',
      `the log is full (retention.maxBytes ${retention.maxBytes}) of records that processing has not released: ` +
        'find out what holds processing up, or raise the limit',
    );
  }

  async #scanBlocks(
    partition: Partition,
    { from, end, maxBytes }: { from: number; end: number; maxBytes: number },
  ): Promise<Buffer[]> {
    const { number } = partition;
    const scan = { limit: MAX_PAGE_BLOCKS, fillCache: false, maxBytes };
    const records = await this.#parts.store.scan(blockKey(number, from), blockKey(number, end), scan);
    if (from < partition.start) throw trimmedError(partition, from);
    const blocks: Buffer[] = [];
    let bytes = 0;
    let expected = from;
    for (const { value } of records) {
      bytes += value.length;
      if (bytes > maxBytes && blocks.length > 0) break;
      const head = checkBlock(value);
      if (head.firstOffset > expected) throw gapError(number, expected);
      expected = lastOffsetOf(head) + 1;
      blocks.push(value);
    }
    if (blocks.length === 0) throw gapError(number, from);
    return blocks;
  }

  #enqueue(job: Pick<CommitJob, 'bytes' | 'apply'>, timeoutMs: number): Promise<void> {
    const deadlineMs = this.#parts.clock.monotonicMs() + timeoutMs;
    return new Promise((resolve, reject) => this.#queue.push({ ...job, deadlineMs, resolve, reject }));
  }

  async #commit(jobs: readonly CommitJob[]): Promise<void> {
    const { store, clock, limits, onCommit } = this.#parts;
    const startedMs = clock.monotonicMs();
    // Never falls, whatever the clock does: readers judge records by it.
    const appendedAtMs = Math.max(this.#lastAppendedAtMs, Math.floor(clock.wallMs()));
    const commit = new Commit({
      partitions: this.#partitions,
      appendedAtMs,
      maxBlockBytes: limits.maxBlockBytes,
      deadLetters: this.#deadLetterCount,
    });
    for (const job of jobs) job.apply(commit);
    commit.finish();
    await store.write(commit.writes, true);
    this.#lastAppendedAtMs = appendedAtMs;
    this.#deadLetterCount += commit.newLetters;
    this.#countGeneration(commit);
    for (const { number } of commit.publish()) this.#waiting.wake(number);
    onCommit?.({ records: commit.records, seconds: (clock.monotonicMs() - startedMs) / 1_000 });
    if (this.#trimmer.retainedBytes > trimAboveBytes(limits.retention.maxBytes)) this.#trimmer.trim();
  }

  #countGeneration({ writes }: Commit): void {
    for (const { key, value } of writes) this.#generationBytes += key.length + (value?.length ?? 0);
    if (this.#generationBytes <= this.#parts.limits.writeBufferBytes) return;
    this.#generationBytes = 0;
    for (const partition of this.#partitions) partition.mark();
  }

  #planRetention(): void {
    const { timers, limits } = this.#parts;
    this.#retentionTimer = timers.after(limits.retention.intervalMs, () => {
      this.#trimmer.trim();
      this.#planRetention();
    });
  }

  #failed(cause: Error): void {
    this.#parts.logger.error({ error: cause.message }, 'the log failed to write and stopped');
    this.#retentionTimer?.cancel();
    this.#waiting.wakeAll();
    this.#parts.onFailure?.(cause);
  }

  #partitionOf(number: number): Partition {
    const partition = this.#partitions[number];
    if (partition === undefined) {
      const text = `the log has partitions 0 to ${this.#partitions.length - 1}, not ${number}`;
      throw new TallyringError('INVALID_ARGUMENT', text);
    }
    if (partition.damage !== undefined) throw partition.damage;
    return partition;
  }
}

function checkSafe(what: string, value: number): void {
  if (Number.isSafeInteger(value) && value >= 0) return;
  throw new TallyringError('INVALID_ARGUMENT', `${value} is no ${what}`);
}
