import { z } from 'zod';
import { httpLimitsSchema } from '../http/limits.js';

/**
 * The processing service's part of cluster.yml, checked. Every queue, request and window has its limit here;
 * each field's comment says what it bounds.
 */

const positive = z.number().int().positive();
const MiB = 1024 * 1024;

/** What a record may have beyond its event's JSON: a name from the key, a time, numbers in their long form. */
export const RECORD_SLACK_BYTES = 180;

const instanceSchema = z.strictObject({
  /** Of the process: `tallyring cluster kill p1`. */
  name: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/, 'letters, digits, - and _ only, at most 64')
    .refine((name) => name !== 'log' && name !== 'query', 'log and query are the other services'),
  host: z.string().min(1).default('127.0.0.1'),
  /** HTTP: processEvents, countEvent, describeVideo; /health and /metrics. */
  port: z.number().int().min(1).max(65_535),
});

const hottestSchema = z.strictObject({
  /** Videos kept of each event type of a partition, and event types; further types are not ranked. */
  capacity: positive.default(200),
  maxEventTypes: positive.default(16),
  /** How far back it looks, about: older events fade. */
  windowMs: positive.default(3_600_000),
  /** Time between two publications to the store. */
  publishIntervalMs: positive.default(2_000),
});

export const processingConfigSchema = z.strictObject({
  /** Of the checkpoints: under another name the whole log is counted again, which is right for another cluster only. */
  pipeline: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/, 'letters, digits, - and _ only, at most 64')
    .default('main'),
  /** The processes that share the partitions; any of them takes any event. */
  instances: z
    .array(instanceSchema)
    .min(1)
    .max(64)
    .prefault([{ name: 'p1', port: 7_130 }]),
  /** A record whose id stands among so many records before it in its partition does not count again. */
  dedupWindow: positive.default(100_000),
  /** How long events are aggregated in memory before they are flushed. */
  flushIntervalMs: positive.default(1_000),
  /** Records, and changed cells, of one batch of a partition; while it is flushed as many more are taken in. */
  maxBatchRecords: positive.default(200_000),
  maxBatchCells: positive.default(100_000),
  /** Cells of a partition in memory: what was flushed is kept until there are three quarters of it. */
  maxCells: positive.default(200_000),
  /** One page that is read from the log. */
  maxPageBytes: positive.default(1 * MiB),
  /** One attempt of a call to the store or the log. */
  attemptTimeoutMs: positive.default(2_000),
  /** An owner of a partition shows this often that it lives; another instance takes over after one to two times … */
  heartbeatMs: positive.default(1_000),
  takeOverAfterMs: positive.default(2_500),
  /** How often instances tell each other that they live, and after what silence their partitions are shared. */
  memberIntervalMs: positive.default(1_000),
  deadAfterMs: positive.default(4_000),
  /**
   * Of the process, as `nice` has it: counting has time, and yields to nodes and queries beside it on the machine
   * (cli/priority.ts).
   */
  niceness: z.number().int().min(0).max(19).default(10),
  /** How long closing waits for the batch that is being flushed; a successor completes what is left. */
  closeTimeoutMs: positive.default(10_000),
  hottest: hottestSchema.prefault({}),
  /** Events of one processEvents. */
  maxEventsPerRequest: positive.default(10_000),
  /** Longest that an append to the log may take, attempts included. */
  appendTimeoutMs: positive.default(5_000),
  /** Between two appends of small requests (at most 512 events): those that come meanwhile go together. */
  appendCollectMs: z.number().nonnegative().default(20),
  /** Requests that wait for the log, and bytes of their records; beyond it they are refused with OVERLOADED. */
  maxRequestsInFlight: positive.default(1_000),
  maxBytesInFlight: positive.default(64 * MiB),
  http: httpLimitsSchema.extend({ maxBodyBytes: positive.default(2 * MiB) }).prefault({}),
});

export type ProcessingConfig = z.output<typeof processingConfigSchema>;
export type InstanceConfig = ProcessingConfig['instances'][number];
