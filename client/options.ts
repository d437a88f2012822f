import type { Clock, Timers } from '../ports/clock.js';
import type { Logger } from '../ports/logger.js';
import type { Random } from '../ports/random.js';
import { TallyringError } from '../proto/errors.js';
import type { ConsistencyLevel } from '../proto/level.js';
import type { NodeListener } from './node-table.js';
import type { Int64Mode } from './results.js';
import type { ClientTransport } from './transport.js';

/** How to connect. Every limit has a default. */
export interface ClientOptions<M extends Int64Mode = 'number'> {
  /** `host:port` of some nodes; any that answers leads to the others. */
  contactPoints: readonly string[];
  /** Whose nodes are asked first; by default that of the contact point that answers. */
  localDatacenter?: string | undefined;
  /** Of writes and reads. Default QUORUM. */
  consistency?: ConsistencyLevel | undefined;
  /** Of reads, where it differs. */
  readConsistency?: ConsistencyLevel | undefined;
  /** Time between two flushes while somebody waits; with nothing in flight they go at once. */
  flushIntervalMs?: number | undefined;
  /** Time between two flushes while nobody does: `count` costs less the longer it is. */
  countIntervalMs?: number | undefined;
  /** Cells that one flush takes, about. */
  maxFlushCells?: number | undefined;
  /** Flush requests under way at once. */
  maxInFlightFlushes?: number | undefined;
  /** Cells in memory; beyond it increments of new cells are refused with OVERLOADED. */
  maxCells?: number | undefined;
  /** Increments taken with `increment` and not acknowledged; beyond it OVERLOADED. */
  maxWaiting?: number | undefined;
  /** How long a call waits when it does not say. */
  requestTimeoutMs?: number | undefined;
  /**
   * A read that takes longer asks a second node as well, and the first answer stands: it costs reads, and cuts their
   * slowest ones. Off when absent.
   */
  hedgeReadsAfterMs?: number | undefined;
  /** Of all reads, how many may be asked twice at most: slowness must not double the load. */
  hedgedReadShare?: number | undefined;
  /** One attempt at one node; doubles from attempt to attempt. */
  attemptTimeoutMs?: number | undefined;
  /** What reads give back: `number` (default) throws OUT_OF_RANGE rather than round. */
  int64?: M | undefined;
  onNodeUp?: NodeListener | undefined;
  onNodeDown?: NodeListener | undefined;
  logger?: Logger | undefined;
  transport?: ClientTransport | undefined;
  clock?: Clock | undefined;
  timers?: Timers | undefined;
  random?: Random | undefined;
}

/** The numeric options, all set. */
export interface ClientLimits {
  flushIntervalMs: number;
  countIntervalMs: number;
  maxFlushCells: number;
  maxInFlightFlushes: number;
  maxRequestBytes: number;
  maxCells: number;
  maxWaiting: number;
  requestTimeoutMs: number;
  attemptTimeoutMs: number;
}

export const DEFAULT_HEDGED_READ_SHARE = 0.05;

export const DEFAULT_LIMITS: Readonly<ClientLimits> = Object.freeze({
  flushIntervalMs: 20,
  countIntervalMs: 200,
  maxFlushCells: 20_000,
  maxInFlightFlushes: 16,
  maxRequestBytes: 128 * 1024,
  maxCells: 300_000,
  maxWaiting: 100_000,
  requestTimeoutMs: 10_000,
  attemptTimeoutMs: 2_000,
});

/** Fills in the defaults. Throws INVALID_ARGUMENT for what is no positive integer. */
export function limitsOf(options: Partial<Record<keyof ClientLimits, number | undefined>>): ClientLimits {
  const limits = { ...DEFAULT_LIMITS };
  for (const name of Object.keys(DEFAULT_LIMITS) as (keyof ClientLimits)[]) {
    const value = options[name];
    if (value === undefined) continue;
    if (!Number.isSafeInteger(value) || value <= 0) {
      throw new TallyringError('INVALID_ARGUMENT', `${name} must be a positive integer, not ${value}`);
    }
    limits[name] = value;
  }
  return limits;
}

/** `host:port`, `[ipv6]:port`. */
const ADDRESS = /^(\[[0-9a-fA-F:.]+\]|[^\s:/]+):(\d{1,5})$/;

/** Throws INVALID_ARGUMENT for an empty list or what is no address. */
export function checkContactPoints(contactPoints: unknown): readonly string[] {
  if (!Array.isArray(contactPoints) || contactPoints.length === 0) {
    throw new TallyringError('INVALID_ARGUMENT', 'contactPoints must name at least one host:port');
  }
  for (const address of contactPoints) {
    const port = typeof address === 'string' ? Number(ADDRESS.exec(address)?.[2]) : Number.NaN;
    if (port >= 1 && port <= 65_535) continue;
    throw new TallyringError('INVALID_ARGUMENT', `contact point ${String(address)} is not host:port`);
  }
  return [...new Set(contactPoints as string[])];
}
