import { z } from 'zod';

/**
 * The embedded log's part of cluster.yml, checked. Every queue, page and message of the log has its limit here;
 * each field's comment says what it bounds.
 */

const positive = z.number().int().positive();
const MiB = 1024 * 1024;

const retentionSchema = z.strictObject({
  /** Records older than this go, as soon as processing has released them. */
  ageMs: positive.default(7 * 86_400_000),
  /**
   * Bytes of all partitions. Above seven eighths of it the oldest released records go, however young; when there
   * is no room and nothing may go, appends are refused with OVERLOADED.
   */
  maxBytes: positive.min(MiB).default(8 * 1024 * MiB),
  /** Time between two looks for records that became too old. */
  intervalMs: positive.default(30_000),
});

export const logConfigSchema = z.strictObject({
  host: z.string().min(1).default('127.0.0.1'),
  /** gRPC, for the services. 0: any free one (for tests). */
  port: z.number().int().min(0).max(65_535).default(7_120),
  /** HTTP: /metrics and /health. 0 switches it off. */
  metricsPort: z.number().int().min(0).max(65_535).default(0),
  /** Folder of the log alone; made when it is missing. */
  dataDir: z.string().min(1).default('.tallyring/log'),
  /** Fixed when the log is made: which partition a video's events are in depends on it. */
  partitions: z.number().int().min(1).max(1_024).default(4),
  retention: retentionSchema.prefault({}),
  /** Records of one append, all partitions together, each with four bytes more; and the greatest record. */
  maxAppendBytes: positive.max(32 * MiB).default(4 * MiB),
  maxRecordBytes: positive.max(4 * MiB).default(1 * MiB),
  /** Bytes of appends that wait for the disk; beyond it they are refused with OVERLOADED. */
  maxPendingBytes: positive.default(32 * MiB),
  /** Of one synced batch, about. What waits longer than the batch before it goes with the next. */
  maxCommitBytes: positive.default(4 * MiB),
  /** Records that are stored as one value; a reader gets whole ones. */
  maxBlockBytes: positive.min(1_024).default(256 * 1024),
  /** Of one page, whatever its reader asks for. */
  maxReadBytes: positive.max(32 * MiB).default(4 * MiB),
  /** Reads that wait for records at a time, and the longest that one may wait. */
  maxWaitingReads: positive.default(1_024),
  maxWaitMs: positive.default(30_000),
  /** Deadline of requests that name none, and the longest that any may take, waiting included. */
  defaultRequestMs: positive.default(5_000),
  maxRequestMs: positive.default(60_000),
  /** Dead letters that are kept; beyond it they are refused with OVERLOADED. */
  maxDeadLetters: positive.default(1_000_000),
  /** Dead letters of one request. */
  maxLettersPerCall: positive.max(10_000).default(1_000),
  /** Of the process, as `nice` has it: what waits for the log goes in larger batches, while nodes and queries go first. */
  niceness: z.number().int().min(0).max(19).default(10),
  /** LevelDB's own write buffer. */
  writeBufferBytes: positive.default(8 * MiB),
  /** The log starts only above this much free space. */
  minFreeDiskBytes: positive.default(64 * MiB),
});

export type LogConfig = z.output<typeof logConfigSchema>;

/** The log on Kafka instead, for more than one machine: what its clients (the services) need to know. */
export const kafkaLogConfigSchema = z.strictObject({
  /** host:port of some of its brokers. */
  brokers: z.array(z.string().regex(/^[^\s:]+:\d{1,5}$/, 'host:port')).min(1),
  /** Made when it is missing, as is `<topic>-dead-letters`. */
  topic: z
    .string()
    .regex(/^[A-Za-z0-9._-]{1,200}$/)
    .default('tallyring-events'),
  /** Of topics that are made. Two replicas must have a record before it is acknowledged, when there are more than two. */
  partitions: z.number().int().min(1).max(1_024).default(4),
  replicas: z.number().int().min(1).max(9).default(1),
  retention: z
    .strictObject({
      /** Records older than this are deleted, as soon as processing has released them. */
      ageMs: positive.default(7 * 86_400_000),
      /** Time between two deletions in a partition. */
      intervalMs: positive.default(30_000),
    })
    .prefault({}),
  /** Records of one append; topics are made to take such batches. */
  maxAppendBytes: positive.max(32 * MiB).default(4 * MiB),
  /** Of one page, whatever its reader asks for. */
  maxReadBytes: positive.max(32 * MiB).default(4 * MiB),
  /** Bytes of appends on their way; beyond it they are refused with OVERLOADED. */
  maxPendingBytes: positive.default(32 * MiB),
  /** Dead letters that are kept; all of them are in the memory of who lists, puts or marks some. */
  maxDeadLetters: positive.default(100_000),
});

export type KafkaLogConfig = z.output<typeof kafkaLogConfigSchema>;
