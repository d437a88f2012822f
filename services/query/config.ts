import { z } from 'zod';
import { LEVELS } from '../../proto/level.js';
import { httpLimitsSchema } from '../http/limits.js';

/** The query service's section of cluster.yml; each field's comment says what it bounds. */

const positive = z.number().int().positive();

const queryLimitsSchema = z.strictObject({
  /** Videos of one request. */
  maxVideos: positive.default(100),
  /** Windows that the series of one request may have, over all its videos. */
  maxPoints: positive.default(10_000),
  /** Videos in one list of the hottest. */
  maxHottest: positive.default(100),
  /** Hours of one report. */
  maxReportHours: positive.default(168),
  /** Answers about ranges that ended longer ago than this are kept … */
  settledAfterMs: positive.default(48 * 3_600_000),
  /** … at most this long, since a late event may still come, … */
  maxCacheAgeMs: positive.default(60_000),
  /** … and as many as have this many values and points in all. */
  maxCachedPoints: positive.default(200_000),
  /** How long one read of the store may take. */
  storeTimeoutMs: positive.default(5_000),
  /** A read of the nodes that takes longer asks a second node as well; the first answer stands. */
  hedgeAfterMs: positive.default(8),
  /** Of all reads, how many may ask a second one at most. */
  hedgedShare: z.number().positive().max(1).default(0.05),
  /** Time between two attempts to reach the store, and between two looks whether it is still there. */
  storeCheckIntervalMs: positive.default(2_000),
});

export const queryConfigSchema = z.strictObject({
  host: z.string().min(1).default('127.0.0.1'),
  port: z.number().int().min(0).max(65_535).default(7_140),
  /** `host:port` of some nodes of the cluster; those of cluster.yml when it stands there. */
  contactPoints: z.array(z.string()).default([]),
  /** Whose nodes are asked first; that of the contact point which answers when absent. */
  localDatacenter: z.string().min(1).optional(),
  /** Of requests that do not say. */
  consistency: z.enum(LEVELS).default('QUORUM'),
  /** Where events are sent to, as the page tells newcomers: the first processing instance of cluster.yml. */
  eventsAddress: z.string().default('127.0.0.1:7130'),
  limits: queryLimitsSchema.prefault({}),
  http: httpLimitsSchema.prefault({}),
});

export type QueryConfig = z.output<typeof queryConfigSchema>;
export type QueryLimits = z.output<typeof queryLimitsSchema>;
