import { Producer, type Series } from '../../counter/producer.js';
import { checkEventType, checkKey, checkTimestamp, checkValue } from '../../counter/validate.js';
import type { Granularity } from '../../counter/window.js';
import { sleep } from '../../ports/clock.js';
import type { IncrementRequest, Outcome } from '../../proto/calls.js';
import { tokenOf } from '../../proto/entry.js';
import { asTallyringError, type ErrorData, errorToData, TallyringError } from '../../proto/errors.js';
import type { ConsistencyLevel } from '../../proto/level.js';
import { canMeet, impliesQuorum, requiredOf, requirementOf } from './consistency.js';
import type { NodeContext } from './context.js';
import { writeFlush } from './flush-writes.js';
import { withDatacenter } from './placement.js';
import type { Writes } from './writes.js';
import { unavailable } from './writes.js';

const DAY_MS = 86_400_000;
const ROLL_AT = 0.9;
/** When no cell is clean, rolling again at once would free nothing. */
const MIN_ROLL_MS = 1_000;
/** How often state that no caller waits for any more (their wait timed out) is flushed again. */
const REFLUSH_MS = 1_000;
const RETRY_MS = 20;
/** Cells of one flush, about. */
const FLUSH_CELLS = 10_000;
/** How long a stopping node waits for the increments that it has taken. */
const CLOSE_MS = 1_000;

interface Waiter {
  series: Series;
  /** Resolved by an acknowledged flush of at least this sequence. */
  sequence: number;
  deadlineMs: number;
  settle(error: ErrorData | undefined): void;
}

export interface PlainCountingParts {
  context: NodeContext;
  writes: Writes;
  rollups: readonly Granularity[];
  mint(above: Buffer | undefined): Buffer;
}

/**
 * A node as producer on behalf of plain gRPC callers: it collects what arrives within a few milliseconds
 * into one flush of its own shards. Each consistency level has a producer of its own: what one level's flush
 * has under way, or was acknowledged for, says nothing to the callers of another. An increment is taken in
 * only when its level can be reached; from then on no answer says that it was not applied.
 */
export class PlainCounting {
  readonly #parts: PlainCountingParts;
  readonly #producers = new Map<ConsistencyLevel, Producer>();
  readonly #waiting = new Map<ConsistencyLevel, Waiter[]>();
  readonly #flushing = new Set<ConsistencyLevel>();
  #pending = 0;
  #rolledAtMs = 0;
  #closed = false;
  #onDrained: (() => void) | undefined;

  constructor(parts: PlainCountingParts) {
    this.#parts = parts;
    this.#reflushLater();
  }

  /** Made when it is first needed: a node whose clock is wrong mints no id, but serves all else. */
  #openProducer(level: ConsistencyLevel): Producer {
    const known = this.#producers.get(level);
    if (known !== undefined) return known;
    const { context, mint, rollups } = this.#parts;
    const [producerId, maxCells] = [mint(undefined), context.limits.maxProducerCells];
    if (this.#producers.size === 0) this.#rolledAtMs = context.clock.monotonicMs();
    const producer = new Producer({ rollups, producerId, maxCells });
    this.#producers.set(level, producer);
    return producer;
  }

  /** Counts each request; resolves when all are acknowledged or given up waiting for. */
  async increment(
    requests: readonly IncrementRequest[],
    level: ConsistencyLevel,
    timeoutMs: number,
  ): Promise<Outcome<null>[]> {
    return Promise.all(requests.map((request) => this.#one(request, level, timeoutMs)));
  }

  /** Takes no more; resolves when everybody who waits was answered, within a second at the latest. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#pending === 0) return;
    await new Promise<void>((resolve) => {
      const timer = this.#parts.context.timers.after(CLOSE_MS, resolve);
      this.#onDrained = () => {
        timer.cancel();
        resolve();
      };
    });
  }

  #one(request: IncrementRequest, level: ConsistencyLevel, timeoutMs: number): Promise<Outcome<null>> {
    let series: Series;
    try {
      series = this.#take(request, level);
    } catch (error) {
      return Promise.resolve({ error: errorToData(asTallyringError(error)) });
    }
    const { clock } = this.#parts.context;
    const sequence = this.#openProducer(level).nextSequence;
    const deadlineMs = clock.monotonicMs() + timeoutMs;
    this.#pending++;
    return new Promise((resolve) => {
      const settle = (error: ErrorData | undefined) => {
        this.#pending--;
        if (this.#pending === 0) this.#onDrained?.();
        resolve(error === undefined ? { ok: null } : { error });
      };
      this.#wait(level, { series, sequence, deadlineMs, settle });
    });
  }

  /** Throws before anything is counted, or counts. */
  #take(request: IncrementRequest, level: ConsistencyLevel): Series {
    const { context } = this.#parts;
    const { limits, clock, metrics } = context;
    if (this.#closed) throw new TallyringError('UNAVAILABLE', 'this node is stopping; nothing was counted');
    if (this.#pending >= limits.maxPendingIncrements) {
      metrics.overloaded.inc({ queue: 'increments' });
      throw new TallyringError('OVERLOADED', 'too many increments wait on this node; nothing was counted');
    }
    const wallMs = clock.wallMs();
    checkKey(request.key);
    checkEventType(request.eventType);
    const value = checkValue(request.value);
    const timestampMs =
      request.timestampMs === undefined ? wallMs : checkTimestamp(request.timestampMs, wallMs);
    this.#refuseUnreachable(request.key, level);
    const producer = this.#openProducer(level);
    this.#makeRoom();
    return producer.add(request.key, request.eventType, value, timestampMs);
  }

  #refuseUnreachable(key: string, level: ConsistencyLevel): void {
    const { context } = this.#parts;
    const ring = context.ring();
    const requirement = requirementOf(level, ring.replication, context.datacenter);
    const replicas = withDatacenter(ring, ring.replicasOf(tokenOf(key)).nodeIds);
    const live = replicas.filter(({ nodeId }) => context.membership.isLive(nodeId));
    const datacenters = live.map(({ datacenter }) => datacenter);
    if (canMeet(requirement, datacenters)) return;
    throw unavailable(requirement, live);
  }

  /**
   * Rolls to fresh ids, which drops every clean cell: when memory is short, and once a day. The bound holds for
   * all producers together. Throws OVERLOADED when there is no room.
   */
  #makeRoom(): void {
    const { context, mint } = this.#parts;
    const { maxProducerCells } = context.limits;
    const sinceMs = context.clock.monotonicMs() - this.#rolledAtMs;
    const full = this.#cells() >= maxProducerCells * ROLL_AT;
    if ((full && sinceMs > MIN_ROLL_MS) || sinceMs >= DAY_MS) {
      for (const producer of this.#producers.values()) producer.roll(mint(producer.producerId));
      this.#rolledAtMs = context.clock.monotonicMs();
    }
    if (this.#producers.size === 1 || this.#cells() < maxProducerCells) return; // a single one checks itself
    throw new TallyringError('OVERLOADED', 'this node waits for too many cells; nothing was counted');
  }

  #cells(): number {
    let cells = 0;
    for (const producer of this.#producers.values()) cells += producer.cells;
    return cells;
  }

  #wait(level: ConsistencyLevel, waiter: Waiter): void {
    const waiting = this.#waiting.get(level);
    if (waiting === undefined) this.#waiting.set(level, [waiter]);
    else waiting.push(waiter);
    if (this.#flushing.has(level)) return; // the flush under way is followed by the next
    this.#flushing.add(level);
    const { timers, limits } = this.#parts.context;
    timers.after(limits.incrementCollectMs, () => void this.#flushLevel(level));
  }

  /** Flushes what this level's callers wait for, until nobody waits. One flush per level is in flight. */
  async #flushLevel(level: ConsistencyLevel): Promise<void> {
    for (;;) {
      const waiters = this.#waiting.get(level) ?? [];
      if (waiters.length === 0) break;
      this.#waiting.set(level, []);
      await this.#flush(level, waiters);
    }
    this.#flushing.delete(level);
  }

  async #flush(level: ConsistencyLevel, waiters: Waiter[]): Promise<void> {
    const { context } = this.#parts;
    const wanted = new Set(waiters.map((waiter) => waiter.series));
    const producer = this.#openProducer(level);
    const flush = producer.takeFlush(FLUSH_CELLS, (series) => wanted.has(series));
    if (flush === undefined) {
      await sleep(context.timers, RETRY_MS);
      return this.#giveUpLate(level, waiters, undefined);
    }
    const nowMs = context.clock.monotonicMs();
    const timeoutMs = Math.max(1, Math.max(...waiters.map((waiter) => waiter.deadlineMs)) - nowMs);
    const errors = await writeFlush(this.#parts, flush, { level, timeoutMs });
    const quorum = impliesQuorum(level, context.ring().replication);
    producer.settle(flush, { failed: new Set(errors.keys()), quorum });
    const taken = new Set(flush.series);
    const left: Waiter[] = [];
    for (const waiter of waiters) {
      const acknowledged = taken.has(waiter.series) && !errors.has(waiter.series);
      if (acknowledged && flush.sequence >= waiter.sequence) waiter.settle(undefined);
      else left.push(waiter);
    }
    this.#giveUpLate(level, left, errors);
    if (errors.size > 0) await sleep(context.timers, RETRY_MS);
  }

  /**
   * Callers whose deadline passed, or whose replicas are gone, are told that it is in doubt; the others wait
   * for the next flush: state may be sent again at no risk.
   */
  #giveUpLate(level: ConsistencyLevel, waiters: Waiter[], errors: Map<Series, ErrorData> | undefined): void {
    const nowMs = this.#parts.context.clock.monotonicMs();
    for (const waiter of waiters) {
      const failed = errors?.get(waiter.series);
      if (failed?.code !== 'UNAVAILABLE' && nowMs < waiter.deadlineMs) this.#waiting.get(level)!.push(waiter);
      else waiter.settle(errorToData(this.#inDoubt(level, failed)));
    }
  }

  #inDoubt(level: ConsistencyLevel, failed: ErrorData | undefined): TallyringError {
    const { ring, datacenter } = this.#parts.context;
    const text = `${level} was not reached in time; the increment was taken and may be counted: do not simply retry`;
    return new TallyringError('WRITE_TIMEOUT', text, {
      required: failed?.required ?? requiredOf(requirementOf(level, ring().replication, datacenter)),
      received: failed?.received ?? 0,
      mayHaveApplied: true,
    });
  }

  /** What callers gave up on stays in the producer and is counted in the end. */
  #reflushLater(): void {
    this.#parts.context.timers.after(REFLUSH_MS, () => {
      if (this.#closed) return;
      void Promise.all(
        [...this.#producers].map(([level, producer]) => this.#reflush(level, producer)),
      ).finally(() => this.#reflushLater());
    });
  }

  async #reflush(level: ConsistencyLevel, producer: Producer): Promise<void> {
    const { limits } = this.#parts.context;
    const awaited = new Set(this.#waiting.get(level)?.map((waiter) => waiter.series)); // flushed anyway
    const flush = producer.takeFlush(FLUSH_CELLS, (series) => !awaited.has(series));
    if (flush === undefined) return;
    const errors = await writeFlush(this.#parts, flush, {
      level: 'QUORUM',
      timeoutMs: Math.min(limits.defaultRequestMs, limits.maxRequestMs),
    });
    producer.settle(flush, { failed: new Set(errors.keys()), quorum: true });
  }
}
