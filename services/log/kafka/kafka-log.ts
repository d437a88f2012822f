import type { Clock, Timers } from '../../../ports/clock.js';
import type { CallOptions } from '../../../proto/calls.js';
import { TallyringError } from '../../../proto/errors.js';
import type { KafkaLogConfig } from '../config.js';
import type { DeadLetters } from '../dead-letters.js';
import type {
  AppendedRun,
  EventLog,
  LogDescription,
  LogPage,
  LogReadOptions,
  LogRecord,
  PartitionAppend,
  PartitionBounds,
} from '../log.js';
import type { KafkaAdmin, KafkaBatch, KafkaFetched, KafkaMessage, KafkaProducer } from './client.js';
import { withDeadline } from './deadline.js';
import { fromKafkaError } from './errors.js';
import type { Fetcher } from './fetcher.js';
import type { Topic } from './topic.js';

export interface KafkaLogParts {
  config: KafkaLogConfig;
  topic: Topic;
  admin: KafkaAdmin;
  producer: KafkaProducer;
  fetcher: Fetcher;
  deadLetters: DeadLetters;
  clock: Clock;
  timers: Timers;
  /** Closes the client's connections. */
  close(): Promise<void>;
}

/** Kafka's words for the start and the end (the high watermark) of a partition. */
const EARLIEST = -2n;
const LATEST = -1n;
const ACKS_ALL = -1;
const LOG_APPEND_TIME = 8;
/** What Kafka adds to a record, about. */
const RECORD_OVERHEAD_BYTES = 16;

/**
 * The log on a Kafka topic. Owners of partitions are decided by the checkpoint register, so no consumer group is
 * involved; a retried append is appended again, and the reader drops it by its record id, so that Kafka's
 * idempotent producer is not needed, which could not know of retries through another process anyway.
 */
export class KafkaLog implements EventLog {
  readonly description: LogDescription;
  readonly deadLetters: DeadLetters;
  readonly #parts: KafkaLogParts;
  readonly #released = new Map<number, number>();
  readonly #trimmedMs = new Map<number, number>();
  #pendingBytes = 0;
  #closed = false;

  constructor(parts: KafkaLogParts) {
    this.#parts = parts;
    this.description = { logId: parts.topic.id, partitions: parts.topic.partitions };
    this.deadLetters = parts.deadLetters;
  }

  async append(appends: readonly PartitionAppend[], options: CallOptions): Promise<AppendedRun[]> {
    const { topic, producer, timers } = this.#parts;
    const bytes = this.#checkAppend(appends);
    options.signal?.throwIfAborted();
    this.#pendingBytes += bytes;
    let state: 'asking' | 'sent' | 'over' = 'asking';
    const send = async () => {
      await topic.check();
      if (state === 'over')
        throw new TallyringError('WRITE_TIMEOUT', 'it is over', { mayHaveApplied: false });
      state = 'sent';
      // A partition that is named twice gets one batch, in which its runs follow each other.
      const messages = appends.flatMap(({ partition, records }) =>
        records.map((value): KafkaMessage => ({ topic: topic.name, partition, value })),
      );
      return await producer.send({ messages, acks: ACKS_ALL });
    };
    const mayHaveApplied = () => state === 'sent';
    try {
      const { offsets = [] } = await withDeadline(send(), options, { timers, writes: true, mayHaveApplied });
      return runsOf(appends, new Map(offsets.map(({ partition, offset }) => [partition, Number(offset)])));
    } catch (error) {
      const writes = mayHaveApplied();
      state = 'over';
      if (options.signal?.aborted) throw error;
      topic.forget();
      producer.clearMetadata();
      throw fromKafkaError(error, { writes, parts: appends.length });
    } finally {
      this.#pendingBytes -= bytes;
    }
  }

  async read(partition: number, from: number, options: LogReadOptions): Promise<LogPage> {
    const { fetcher, config } = this.#parts;
    this.#checkPartition(partition);
    checkOffset(from);
    const maxBytes = Math.max(1, Math.min(options.maxBytes, config.maxReadBytes));
    const fetched = await fetcher.fetch(partition, from, { ...options, maxBytes });
    if (fetched !== undefined) return pageOf(fetched, from, maxBytes);
    const bounds = await this.bounds(partition, options);
    throw outsideError(partition, from, bounds);
  }

  async bounds(partition: number, options: CallOptions): Promise<PartitionBounds> {
    this.#checkPartition(partition);
    return await this.#admin(options, false, async () => {
      const [start, end] = await Promise.all([
        this.#offsetAt(partition, EARLIEST),
        this.#offsetAt(partition, LATEST),
      ]);
      return { start, end };
    });
  }

  /** Deletes what is old enough, now and then: Kafka itself must not, it knows nothing of what was released. */
  async release(partition: number, before: number, options: CallOptions): Promise<void> {
    const { clock, config } = this.#parts;
    this.#checkPartition(partition);
    checkOffset(before);
    const released = Math.max(before, this.#released.get(partition) ?? 0);
    const nowMs = clock.monotonicMs();
    const due = nowMs - (this.#trimmedMs.get(partition) ?? -Infinity) >= config.retention.intervalMs;
    if (released === this.#released.get(partition) && !due) return;
    const { start, end } = await this.bounds(partition, options);
    if (before > end) throw outsideError(partition, before, { start, end });
    this.#released.set(partition, released);
    if (!due) return;
    this.#trimmedMs.set(partition, nowMs);
    await this.#admin(options, true, async () => {
      const young = await this.#offsetAt(partition, BigInt(clock.wallMs() - config.retention.ageMs));
      // -1: no record is as young as that.
      const offset = Math.min(released, young < 0 ? end : young);
      if (offset <= start) return;
      const partitions = [{ partition, offset: BigInt(offset) }];
      await this.#parts.admin.deleteRecords({ topics: [{ name: this.#parts.topic.name, partitions }] });
    });
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#parts.close();
  }

  /** First offset from a time on, -1 when there is none. */
  async #offsetAt(partition: number, timestamp: bigint): Promise<number> {
    const { topic, admin } = this.#parts;
    const partitions = [{ partitionIndex: partition, timestamp }];
    const [listed] = await admin.listOffsets({ topics: [{ name: topic.name, partitions }] });
    return Number(listed!.partitions[0]!.offset);
  }

  async #admin<T>(options: CallOptions, writes: boolean, call: () => Promise<T>): Promise<T> {
    const { topic, admin, timers } = this.#parts;
    const checked = async () => {
      await topic.check();
      return await call();
    };
    try {
      return await withDeadline(checked(), options, { timers, writes });
    } catch (error) {
      if (options.signal?.aborted) throw error;
      topic.forget();
      admin.clearMetadata();
      throw fromKafkaError(error, { writes });
    }
  }

  /** Gives the bytes of an append that may be made. */
  #checkAppend(appends: readonly PartitionAppend[]): number {
    const { maxAppendBytes, maxPendingBytes } = this.#parts.config;
    let bytes = 0;
    for (const { partition, records } of appends) {
      this.#checkPartition(partition);
      if (records.length === 0) throw new TallyringError('INVALID_ARGUMENT', 'an append has no records');
      for (const record of records) bytes += record.length + RECORD_OVERHEAD_BYTES;
    }
    if (bytes > maxAppendBytes) {
      const text = `an append of ${bytes} bytes is over maxAppendBytes (${maxAppendBytes}): send fewer records`;
      throw new TallyringError('INVALID_ARGUMENT', text);
    }
    if (this.#pendingBytes > 0 && this.#pendingBytes + bytes > maxPendingBytes) {
      throw new TallyringError(
        'OVERLOADED',
        `${this.#pendingBytes} bytes are on their way to Kafka; slow down`,
      );
    }
    return bytes;
  }

  #checkPartition(partition: number): void {
    const { partitions } = this.description;
    if (this.#closed) throw new TallyringError('CLOSED', 'the log was closed');
    if (Number.isInteger(partition) && partition >= 0 && partition < partitions) return;
    const text = `the log has partitions 0 to ${partitions - 1}, not ${partition}`;
    throw new TallyringError('INVALID_ARGUMENT', text);
  }
}

function checkOffset(offset: number): void {
  if (Number.isSafeInteger(offset) && offset >= 0) return;
  throw new TallyringError('INVALID_ARGUMENT', `${offset} is no offset`);
}

/** Kafka answers with the first offset of each partition's batch. */
function runsOf(appends: readonly PartitionAppend[], next: Map<number, number>): AppendedRun[] {
  return appends.map(({ partition, records }) => {
    const firstOffset = next.get(partition);
    if (firstOffset === undefined) {
      throw new TallyringError('INTERNAL', 'Kafka acknowledged without an offset', { mayHaveApplied: true });
    }
    next.set(partition, firstOffset + records.length);
    return { partition, firstOffset };
  });
}

function pageOf(fetched: KafkaFetched, from: number, maxBytes: number): LogPage {
  const { records, next } = recordsOf(fetched.records ?? [], from, maxBytes);
  return { records, next, start: Number(fetched.logStartOffset), end: Number(fetched.highWatermark) };
}

function recordsOf(
  batches: readonly KafkaBatch[],
  from: number,
  maxBytes: number,
): { records: LogRecord[]; next: number } {
  const records: LogRecord[] = [];
  let next = from;
  let left = maxBytes;
  for (const batch of batches) {
    const first = Number(batch.firstOffset);
    for (const { offsetDelta, timestampDelta, value } of batch.records) {
      const offset = first + offsetDelta;
      // Kafka gives the whole batch that holds the offset.
      if (offset < from) continue;
      const payload = value ?? Buffer.alloc(0);
      left -= payload.length;
      if (left < 0 && records.length > 0) return { records, next };
      const timestamp =
        (batch.attributes & LOG_APPEND_TIME) !== 0
          ? batch.maxTimestamp
          : batch.firstTimestamp + timestampDelta;
      records.push({ offset, appendedAtMs: Number(timestamp), payload });
      next = offset + 1;
    }
    next = Math.max(next, first + batch.lastOffsetDelta + 1);
  }
  return { records, next };
}

function outsideError(partition: number, from: number, { start, end }: PartitionBounds): TallyringError {
  if (from < start) {
    const text = `offset ${from} of partition ${partition} is trimmed: the partition starts at ${start}`;
    return new TallyringError('DATA_LOSS', text);
  }
  return new TallyringError(
    'FAILED_PRECONDITION',
    `offset ${from} is beyond the end of partition ${partition} (${end}): was the topic made anew, or a broker's ` +
      'data lost?',
  );
}
