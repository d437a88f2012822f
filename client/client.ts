import type { Int64 } from '../counter/int64.js';
import { Producer, type Series } from '../counter/producer.js';
import { checkEventType, checkKey, checkTimestamp, checkValue } from '../counter/validate.js';
import type { Granularity } from '../counter/window.js';
import { TallyringError } from '../proto/errors.js';
import type { ConsistencyLevel } from '../proto/level.js';
import { Columns, type ColumnTexts, type ColumnValue } from './columns.js';
import { closedError, MAX_NAMED_SERIES, UnacknowledgedError } from './errors.js';
import { Flusher } from './flusher.js';
import { Identity, mintFrom } from './identity.js';
import { checkLevel, flushLevels } from './levels.js';
import type { NodeEvent, NodeListener } from './node-table.js';
import type { ClientOptions } from './options.js';
import { type ClientParts, openParts } from './parts.js';
import type { ClientPorts, IncrementOptions, WaitLimits } from './ports.js';
import {
  type CellRequest,
  checkTimeout,
  type GetOptions,
  Queries,
  type ReadOptions,
  type ReadOutcome,
  type StatsOptions,
  type StatsRequest,
} from './queries.js';
import { Register } from './register.js';
import type { CounterValue, Int64Mode, IntegerOf, StatsResult } from './results.js';
import { waitFor } from './wait.js';

interface Built extends ClientParts {
  producer: Producer;
  mode: Int64Mode;
}

/**
 * A client of the cluster, and a producer in it: it adds up increments in its own memory and writes the
 * cumulative state, so that whatever is retried counts once. Make one per process, with `connect`.
 */
export class TallyringClient<M extends Int64Mode = 'number'> {
  readonly #built: Built;
  readonly #flusher: Flusher;
  readonly #identity: Identity;
  readonly #queries: Queries<M>;
  readonly #columns: Columns;
  readonly #settled = new Set<() => void>();
  #waiting = 0;
  #closing: Promise<void> | undefined;

  private constructor(built: Built) {
    this.#built = built;
    const { ports, limits, topology, producer } = built;
    const levels = flushLevels(built.level, topology.levels);
    const onSettled = () => this.#onSettled();
    const onBusy = ports.keepAlive;
    this.#flusher = new Flusher({ ...ports, producer, topology, levels, limits, onSettled, onBusy });
    this.#identity = new Identity({
      ...ports,
      producer,
      topology,
      maxCells: limits.maxCells,
      timeoutMs: limits.attemptTimeoutMs,
      unacknowledgedCells: () => this.#flusher.backlog * topology.description.rollups.length,
      onRolled: onSettled,
    });
    this.#columns = new Columns(built, producer.producerId);
    this.#queries = new Queries({
      reader: built.reader,
      levels: topology.levels,
      readLevel: built.readLevel,
      timeoutMs: limits.requestTimeoutMs,
      mode: built.mode as M,
    });
  }

  /** As `connect` of index.ts, with every port given. */
  static async open<M extends Int64Mode>(
    options: ClientOptions<M>,
    ports: ClientPorts,
  ): Promise<TallyringClient<M>> {
    const parts = await openParts(options, ports);
    const { limits, topology } = parts;
    try {
      const producerId = await mintFrom(topology, {}, limits.attemptTimeoutMs);
      const { rollups } = topology.description;
      const producer = new Producer({ rollups, producerId, maxCells: limits.maxCells });
      if (options.onNodeUp) topology.nodes.on('nodeUp', options.onNodeUp);
      if (options.onNodeDown) topology.nodes.on('nodeDown', options.onNodeDown);
      const mode = options.int64 ?? 'number';
      return new TallyringClient({ ...parts, producer, mode });
    } catch (error) {
      topology.close();
      throw error;
    }
  }

  /** @internal See ClientParts. */
  get parts(): ClientParts {
    return this.#built;
  }

  /** The granularities that the cluster keeps. */
  get rollups(): readonly Granularity[] {
    return this.#built.topology.description.rollups;
  }

  /** Subscribes to nodes going up and down, as this client sees them; the returned function ends it. */
  on(event: NodeEvent, listener: NodeListener): () => void {
    return this.#built.topology.nodes.on(event, listener);
  }

  /**
   * Counts one event and resolves when it is acknowledged at the level.
   *
   * Rejects at once, not counted: INVALID_ARGUMENT, OUT_OF_RANGE (overflow), OVERLOADED (queue full), CLOSED,
   * or the reason of a signal that was aborted already. Afterwards the increment is taken and is written
   * until it is acknowledged; a timeout or an abort ends only the wait, with PendingError.
   */
  increment(key: string, eventType: string, options: IncrementOptions = {}): Promise<void> {
    const { limits, ports, topology, level, producer } = this.#built;
    const { by = 1, timestamp, consistency, signal, timeoutMs = limits.requestTimeoutMs } = options;
    let asked: ConsistencyLevel;
    let series: Series;
    try {
      signal?.throwIfAborted();
      checkTimeout(timeoutMs);
      asked = consistency === undefined ? level : checkLevel(consistency, topology.levels);
      if (this.#waiting >= limits.maxWaiting) {
        const text = `${this.#waiting} increments wait already (maxWaiting); await some of them first`;
        throw new TallyringError('OVERLOADED', text);
      }
      series = this.#add(key, eventType, by, timestamp);
    } catch (error) {
      return Promise.reject(error);
    }
    this.#waiting++;
    const sequence = producer.nextSequence;
    const start = (over: (error?: Error) => void) => {
      const done = (error?: Error) => {
        this.#waiting--;
        over(error);
      };
      this.#flusher.claim(series, { sequence, level: asked, done });
    };
    const { timers } = ports;
    return waitFor(start, { timers, timeoutMs, signal, lastError: () => this.#flusher.lastError });
  }

  /**
   * Counts one event without a promise, for firehoses; `flush` or `close` tell when it is acknowledged. Throws
   * as `increment` rejects at once; after OVERLOADED, await `drained()`.
   */
  count(key: string, eventType: string, by: number | bigint = 1, timestamp?: Date | number): void {
    this.#add(key, eventType, by, timestamp);
    this.#flusher.noteAdded();
  }

  #add(key: string, eventType: string, by: number | bigint, timestamp: Date | number | undefined): Series {
    if (this.#closing !== undefined) throw closedError();
    const { producer, ports } = this.#built;
    const nowMs = ports.clock.wallMs();
    checkKey(key);
    checkEventType(eventType);
    const value: Int64 = checkValue(by);
    const atMs =
      timestamp === undefined
        ? nowMs
        : checkTimestamp(timestamp instanceof Date ? timestamp.getTime() : timestamp, nowMs);
    if (producer.cells > this.#identity.reviewAbove) this.#identity.review();
    return producer.add(key, eventType, value, atMs);
  }

  /** Resolves when there is room for new cells, so that a feeder can hold back in time. */
  async drained(): Promise<void> {
    while (!this.#identity.hasRoom) {
      if (this.#closing !== undefined) throw closedError();
      this.#flusher.noteAdded();
      this.#identity.review();
      if (this.#identity.hasRoom) return;
      await this.#nextSettled();
    }
  }

  /** Resolves when all that was taken so far is acknowledged at the client's level; else PendingError. */
  async flush(options: WaitLimits = {}): Promise<void> {
    const { limits, ports } = this.#built;
    const { timeoutMs = limits.requestTimeoutMs, signal } = options;
    signal?.throwIfAborted();
    checkTimeout(timeoutMs);
    const start = (done: (error?: Error) => void) => this.#flusher.claimAll(done);
    const { timers } = ports;
    return waitFor(start, { timers, timeoutMs, signal, lastError: () => this.#flusher.lastError });
  }

  /** One counter: its total, or the window of `granularity` that holds `timestamp`. */
  async get(key: string, eventType: string, options: GetOptions = {}): Promise<CounterValue<IntegerOf<M>>> {
    this.#checkOpen();
    return this.#queries.get({ key, eventType, ...options }, options);
  }

  /** Many counters at once: one outcome per query, in order. */
  async getMany(
    queries: readonly CellRequest[],
    options: ReadOptions = {},
  ): Promise<ReadOutcome<CounterValue<IntegerOf<M>>>[]> {
    this.#checkOpen();
    return this.#queries.getMany(queries, options);
  }

  /** What a counter gained in [start, end), and by window when a granularity is given. */
  async stats(key: string, eventType: string, options: StatsOptions): Promise<StatsResult<IntegerOf<M>>> {
    this.#checkOpen();
    return this.#queries.stats({ key, eventType, ...options }, options);
  }

  /** Many ranges at once: one outcome per query, in order. */
  async statsMany(
    queries: readonly StatsRequest[],
    options: ReadOptions = {},
  ): Promise<ReadOutcome<StatsResult<IntegerOf<M>>>[]> {
    this.#checkOpen();
    return this.#queries.statsMany(queries, options);
  }

  /**
   * Sets descriptive columns of a key; `null` deletes one. Resolves when acknowledged at the level; the last writer
   * wins. After an error it may have been written, and may simply be called again.
   */
  async setColumns(key: string, texts: ColumnTexts, options: ReadOptions = {}): Promise<void> {
    this.#checkOpen();
    return this.#columns.set(key, texts, options);
  }

  /** The columns of keys by their names: one outcome per key, in order. */
  async getColumns(
    keys: readonly string[],
    options: ReadOptions = {},
  ): Promise<ReadOutcome<ReadonlyMap<string, ColumnValue>>[]> {
    this.#checkOpen();
    return this.#columns.get(keys, options);
  }

  /** A quorum register of this name: a small fact with one owner at a time. */
  register(name: string): Register {
    this.#checkOpen();
    const { topology, ports, limits } = this.#built;
    return new Register(checkKey(name), { topology, ...ports, limits });
  }

  #checkOpen(): void {
    if (this.#closing !== undefined) throw closedError();
  }

  /**
   * Refuses further increments, waits until all is acknowledged, and disconnects. Throws UnacknowledgedError,
   * which names the series that are not acknowledged within the time: those increments are in doubt.
   */
  close(options: { timeoutMs?: number | undefined } = {}): Promise<void> {
    this.#closing ??= this.#close(options.timeoutMs ?? this.#built.limits.requestTimeoutMs);
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(timeoutMs: number): Promise<void> {
    const { topology, ports } = this.#built;
    const { claims } = this.#flusher;
    this.#flusher.claimAll(() => {});
    let isLate = false;
    const timer = ports.timers.after(timeoutMs, () => {
      isLate = true;
      this.#onSettled();
    });
    while (claims.count > 0 && !isLate) await this.#nextSettled();
    timer.cancel();
    const { lastError } = this.#flusher;
    const names = claims.names(MAX_NAMED_SERIES);
    const error = new UnacknowledgedError(names, claims.seriesCount, lastError);
    this.#flusher.close(error);
    this.#identity.close();
    topology.close();
    this.#onSettled();
    if (names.length > 0) throw error;
  }

  #nextSettled(): Promise<void> {
    return new Promise((resolve) => void this.#settled.add(resolve));
  }

  #onSettled(): void {
    this.#identity.review();
    if (this.#settled.size === 0) return;
    const waiting = [...this.#settled];
    this.#settled.clear();
    for (const resolve of waiting) resolve();
  }
}
