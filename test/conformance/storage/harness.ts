import type { Shard } from '../../../counter/shard.js';
import { clusterSchema, type Limits } from '../../../node/config.js';
import { createMetrics, type Metrics } from '../../../node/metrics.js';
import type { Engine, EngineRecord, EngineWrite } from '../../../node/storage/engine.js';
import type { Change, HeldHash, OpenedStore } from '../../../node/storage/store.js';
import type { StoreParts } from '../../../node/storage/store-parts.js';
import type { Clock, TimerHandle, Timers } from '../../../ports/clock.js';
import { silentLogger } from '../../../ports/logger.js';
import type { Random } from '../../../ports/random.js';
import { CHECKSUM_BYTES, type Entry, encodeShard, shardKey, tokenOf } from '../../../proto/entry.js';

export const LIMITS: Limits = clusterSchema.parse({
  cluster: 'test',
  replication: { dc1: 1 },
  nodes: [{ id: 'n1', port: 1 }],
}).limits;

/** An engine whose writes a test can hold back or fail. */
export class ControlledEngine implements Engine {
  readonly inner: Engine;
  /** `sync` of each write that reached the engine. */
  readonly writes: boolean[] = [];
  /** Getting many, scanning: how often. */
  lookups = 0;
  failNext: Error | undefined;
  failReads: Error | undefined;
  #held: (() => void)[] | undefined;

  constructor(inner: Engine) {
    this.inner = inner;
  }

  hold(): void {
    this.#held ??= [];
  }

  release(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const resolve of held) resolve();
  }

  get heldWrites(): number {
    return this.#held?.length ?? 0;
  }

  getMany(keys: readonly Buffer[]): Promise<(Buffer | undefined)[]> {
    this.lookups++;
    if (this.failReads) return Promise.reject(this.failReads);
    return this.inner.getMany(keys);
  }

  async write(writes: readonly EngineWrite[], sync: boolean): Promise<void> {
    this.writes.push(sync);
    if (this.#held !== undefined) await new Promise<void>((resolve) => this.#held!.push(resolve));
    const failure = this.failNext;
    this.failNext = undefined;
    if (failure !== undefined) throw failure;
    await this.inner.write(writes, sync);
  }

  scan(from: Buffer, to: Buffer, options: { limit: number; fillCache: boolean }): Promise<EngineRecord[]> {
    if (this.failReads) return Promise.reject(this.failReads);
    return this.inner.scan(from, to, options);
  }

  close(): Promise<void> {
    return this.inner.close();
  }
}

/** Timers that fire when the test says so. */
export class ManualTimers implements Timers {
  readonly planned: { delayMs: number; callback: () => void }[] = [];

  after(delayMs: number, callback: () => void): TimerHandle {
    const timer = { delayMs, callback };
    this.planned.push(timer);
    return { cancel: () => void this.planned.splice(this.planned.indexOf(timer), 1) };
  }

  fireAll(): void {
    for (const { callback } of this.planned.splice(0)) callback();
  }
}

/** A repeatable random (mulberry32). */
export function seededRandom(seed: number): Random {
  let state = seed;
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  return { next, bytes: (length) => Buffer.from(Array.from({ length }, () => Math.floor(next() * 256))) };
}

export interface Opened extends OpenedStore {
  engine: ControlledEngine;
  timers: ManualTimers;
  metrics: Metrics;
  changes: Change[];
  failures: Error[];
}

export interface OpenOptions {
  limits?: Partial<Limits>;
  durability?: 'sync' | 'periodic';
}

/** One store's disk, under test. */
export interface Harness {
  open(options?: OpenOptions): Promise<Opened>;
  /** The process dies: what it had not synced may be gone. The next `open` is of what is left. */
  kill(): Promise<void>;
  /** After `kill`: loses a part of the middle of the log. */
  loseMiddleOfLog(): Promise<void>;
  dispose(): Promise<void>;
}

export const testClock: Clock = { wallMs: () => 1_700_000_000_000, monotonicMs: () => performance.now() };

/** Parts for a store, and what the tests look at. */
export function testParts(options: OpenOptions = {}): {
  parts: StoreParts;
  seen: Omit<Opened, keyof OpenedStore>;
} {
  const seen = {
    timers: new ManualTimers(),
    metrics: createMetrics('n1'),
    changes: [] as Change[],
    failures: [] as Error[],
  } as Omit<Opened, keyof OpenedStore>;
  const parts: StoreParts = {
    cluster: 'test',
    nodeId: 'n1',
    limits: { ...LIMITS, ...options.limits },
    durability: options.durability ?? 'sync',
    clock: testClock,
    timers: seen.timers,
    logger: silentLogger,
    metrics: seen.metrics,
    onCommit: (changes) => void seen.changes.push(...changes.map(kept)),
    onFailure: (error) => void seen.failures.push(error),
    wrapEngine: (engine) => {
      seen.engine = new ControlledEngine(engine);
      return seen.engine;
    },
  };
  return { parts, seen };
}

/** What was held before is told for the moment of the call only. */
function kept({ key, before, after }: Change): Change {
  return { key, before: before && { high: before.high, low: before.low }, after };
}

export function hashOf({ value }: Entry): HeldHash {
  const at = value.length - CHECKSUM_BYTES;
  return { high: value.readInt32BE(at), low: value.readInt32BE(at + 4) };
}

export interface EntrySpec extends Partial<Shard> {
  key?: string;
  eventType?: string;
  window?: number;
  producer?: number;
}

/** A shard's entry in `total`, or in the hour `window`. */
export function entryOf(spec: EntrySpec = {}): Entry {
  const { key = 'video', eventType = 'view', window, producer = 1, ...shard } = spec;
  const cell = {
    key,
    eventType,
    granularity: window === undefined ? 'total' : 'hour',
    window: window ?? 0,
  } as const;
  const address = shardKey(cell, tokenOf(key), Buffer.alloc(16, producer));
  return encodeShard(address, { sequence: 1, count: 1, sum: 1, min: 1, max: 1, ...shard });
}

/** Every entry key lies in this range. */
export const EVERYTHING = { from: Buffer.from([1]), to: Buffer.from([2]) };

export async function everything(store: OpenedStore['store']): Promise<Entry[]> {
  return (await store.read([EVERYTHING]))[0]!.entries;
}

/** Flips a bit of the stored value, beneath the store. */
export async function corrupt(engine: ControlledEngine, key: Buffer, bit = 9): Promise<void> {
  const [value] = await engine.inner.getMany([key]);
  const flipped = Buffer.from(value!);
  flipped[bit >> 3]! ^= 1 << (bit & 7);
  await engine.inner.write([{ key, value: flipped }], true);
}

/** Waits for a condition, at most ten seconds. */
export async function until(condition: () => boolean): Promise<void> {
  const deadlineMs = performance.now() + 10_000;
  while (!condition()) {
    if (performance.now() > deadlineMs) throw new Error('the condition did not come true');
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** A counter's value, for all labels together. */
export async function metricValue(metric: {
  get(): Promise<{ values: { value: number }[] }>;
}): Promise<number> {
  return (await metric.get()).values.reduce((sum, { value }) => sum + value, 0);
}
