import type { Flush, Producer, Series } from '../counter/producer.js';
import type { OwnSeries } from '../counter/series.js';
import type { Clock, TimerHandle, Timers } from '../ports/clock.js';
import type { Logger } from '../ports/logger.js';
import type { Random } from '../ports/random.js';
import type { TallyringError } from '../proto/errors.js';
import { type Claim, Claims } from './claims.js';
import { type FlushPart, type PartOutcome, type Place, splitFlush } from './flush-part.js';
import type { FlushLevels } from './levels.js';
import type { ClientLimits } from './options.js';
import type { Attempt } from './progress.js';
import { ProgressBook } from './progress-book.js';
import { RoundRouter } from './round-router.js';
import { Sender } from './sender.js';
import type { Topology } from './topology.js';

export interface FlusherParts {
  producer: Producer;
  topology: Topology;
  levels: FlushLevels;
  limits: ClientLimits;
  clock: Clock;
  timers: Timers;
  random: Random;
  logger: Logger;
  /** Called whenever a request was settled. */
  onSettled(): void;
  /** Whether anything is still to be written: a process must not end before it is. */
  onBusy(busy: boolean): void;
}

/** Parts of a sweep: each is an even load for the nodes, and large enough to be worth its requests. */
const SWEEP_ROUNDS = 4;
/** A smaller round is not worth a request. */
const MIN_STEP_CELLS = 256;

/**
 * Writes what the producer holds until the cluster has it. A round takes a flush, splits it by coordinator
 * and level, and sends the parts; each part is settled on its own. What failed goes again, with backoff,
 * through another node, for as long as the client is open.
 *
 * Rounds come every flushIntervalMs while somebody waits, at once when nothing is in flight then; every
 * countIntervalMs otherwise.
 */
export class Flusher {
  readonly claims: Claims;
  readonly #parts: FlusherParts;
  readonly #book: ProgressBook;
  readonly #sender: Sender;
  /** Somebody waits for what no round took yet. */
  #urgent = false;
  #lastRoundMs = -Infinity;
  /** When the newest sweep began, and how many series that were dirty then it still has to take. */
  #sweepFromMs = -Infinity;
  #sweepLeft = 0;
  /** Cells that one round of the sweep takes: as many as spread it evenly over countIntervalMs. */
  #sweepStepCells = Infinity;
  #cellsPerSeries = 1;
  #kicked = false;
  #timer: TimerHandle | undefined;
  #timerMs = Infinity;
  #busy = false;
  #closed = false;
  #lastError: TallyringError | undefined;

  constructor(parts: FlusherParts) {
    this.#parts = parts;
    this.claims = new Claims(parts.levels);
    this.#book = new ProgressBook({ claims: this.claims, levels: parts.levels, random: parts.random });
    this.#sender = new Sender({
      topology: parts.topology,
      maxInFlightFlushes: parts.limits.maxInFlightFlushes,
      maxRequestBytes: parts.limits.maxRequestBytes,
      onOutcome: (part, outcome) => this.#settle(part, outcome),
    });
  }

  /** Series that are not clean, about. */
  get backlog(): number {
    return this.#parts.producer.dirtySeries + this.#sender.openSeries;
  }

  /** Why the newest attempt that failed did so. */
  get lastError(): TallyringError | undefined {
    return this.#lastError;
  }

  /** Something was added and nobody waits. Called per event: usually one comparison. */
  noteAdded(): void {
    const nextMs = this.#nextRoundMs();
    if (this.#timerMs > nextMs && !this.#kicked) this.#wakeAt(nextMs);
  }

  /** Something was added to this series and the claim waits for it. */
  claim(series: Series, claim: Claim): void {
    this.claims.add(series, claim);
    this.#urge();
  }

  /**
   * Claims, at the usual level, everything that was added and is not acknowledged there. `done` is called
   * once, when the last of it is.
   */
  claimAll(done: (error?: Error) => void): void {
    const { producer, levels } = this.#parts;
    const wanted = new Map<Series, number>();
    const want = (series: Series, sequence: number) => {
      if (this.#book.isBehind(series)) wanted.set(series, sequence);
    };
    // Series in flight are claimed at the newest flush that took them, those that changed since at the next one.
    for (const { flush } of this.#sender.open) {
      for (const series of flush.series) {
        if ((series as OwnSeries).takenAt === flush.sequence) want(series, flush.sequence);
      }
    }
    producer.takeFlush(Infinity, (series) => {
      want(series, producer.nextSequence);
      return false;
    });
    let left = wanted.size;
    let failure: Error | undefined;
    if (left === 0) {
      done();
      return;
    }
    for (const [series, sequence] of wanted) {
      const one = (error?: Error) => {
        failure ??= error;
        if (--left === 0) done(failure);
      };
      this.claims.add(series, { sequence, level: levels.usual, done: one });
    }
    this.#urge();
  }

  #urge(): void {
    this.#urgent = true;
    if (this.#kicked) return;
    this.#kicked = true;
    // After the microtasks that are there: a burst of increments goes in one flush.
    queueMicrotask(() => {
      this.#kicked = false;
      this.#pump();
    });
  }

  /**
   * With nobody waiting all that is dirty is swept once every countIntervalMs, so that more events come
   * together in one cell of one flush. A large sweep is spread over rounds, so that nodes get an even load.
   */
  #nextRoundMs(): number {
    const { flushIntervalMs, countIntervalMs, maxInFlightFlushes } = this.#parts.limits;
    const soonMs = this.#lastRoundMs + flushIntervalMs;
    const keepsUp = this.#sender.inFlight * 4 <= maxInFlightFlushes;
    if (this.claims.count > 0) return soonMs;
    const nextStepMs = this.#lastRoundMs + countIntervalMs / SWEEP_ROUNDS;
    if (this.#sweepLeft > 0 && keepsUp) return Math.max(soonMs, nextStepMs);
    return Math.max(soonMs, this.#sweepFromMs + countIntervalMs);
  }

  #wakeAt(atMs: number): void {
    if (atMs >= this.#timerMs || this.#closed) return;
    this.#timer?.cancel();
    this.#timerMs = atMs;
    const delayMs = Math.max(0, atMs - this.#parts.clock.monotonicMs());
    this.#timer = this.#parts.timers.after(delayMs, () => {
      this.#timer = undefined;
      this.#timerMs = Infinity;
      this.#pump();
    });
    this.#tellBusy();
  }

  #pump(): void {
    if (this.#closed) return;
    const { producer, clock } = this.#parts;
    this.#tellBusy();
    if (this.#sender.isFull || producer.dirtySeries === 0) return;
    const nowMs = clock.monotonicMs();
    const dueMs = this.#urgent && this.#sender.inFlight === 0 ? nowMs : this.#nextRoundMs();
    if (dueMs > nowMs) this.#wakeAt(dueMs);
    else this.#round(nowMs);
  }

  #round(nowMs: number): void {
    const { producer, limits } = this.#parts;
    const attempts = new Map<Series, Attempt>();
    let laterMs = Infinity;
    const isDue = (series: Series): boolean => {
      const attempt = this.#book.attemptFor(series, nowMs);
      if (attempt === undefined) return true;
      if (attempt.dueMs > nowMs) {
        laterMs = Math.min(laterMs, attempt.dueMs);
        return false;
      }
      attempts.set(series, attempt);
      return true;
    };
    if (this.#sweepLeft <= 0) {
      this.#sweepFromMs = nowMs;
      this.#sweepLeft = producer.dirtySeries;
      const step = Math.ceil((this.#sweepLeft * this.#cellsPerSeries) / SWEEP_ROUNDS);
      this.#sweepStepCells = Math.max(MIN_STEP_CELLS, step);
    }
    const waitedFor = this.#urgent || this.claims.count > 0;
    const mostCells = Math.min(limits.maxFlushCells, waitedFor ? Infinity : this.#sweepStepCells);
    const flush = producer.takeFlush(mostCells, this.#book.isOrdinary ? undefined : isDue);
    this.#lastRoundMs = nowMs;
    const isFull = flush !== undefined && flush.cells.length >= mostCells;
    this.#sweepLeft = isFull ? this.#sweepLeft - flush.series.length : 0;
    if (!isFull) this.#urgent = false;
    // What is left waits for its backoff, or for the next round when this one was full.
    if (producer.dirtySeries > 0) this.#wakeAt(isFull ? this.#nextRoundMs() : laterMs);
    if (flush === undefined) return;
    this.#cellsPerSeries = flush.cells.length / flush.series.length;
    this.#sender.send(this.#split(flush, attempts));
  }

  #split(flush: Flush, attempts: ReadonlyMap<Series, Attempt>): FlushPart[] {
    const { levels, limits, topology } = this.#parts;
    const router = new RoundRouter(topology, {
      cells: flush.cells.length,
      crowded: this.#sender.crowdedNodes(),
    });
    return splitFlush(flush, (series): Place => {
      const level = attempts.get(series)?.level ?? levels.usual;
      const track = this.#book.track(series, level);
      const timeoutMs = limits.attemptTimeoutMs * 2 ** Math.min(track?.failures ?? 0, 8);
      return {
        node: router.nodeFor(series, level, track?.avoid),
        level,
        timeoutMs: Math.min(timeoutMs, limits.requestTimeoutMs),
      };
    });
  }

  #settle(part: FlushPart, outcome: PartOutcome): void {
    const { producer, clock, onSettled } = this.#parts;
    const nowMs = clock.monotonicMs();
    const attempted = { sequence: part.flush.sequence, level: part.level, nodeId: part.node?.nodeId };
    if (outcome.failed.size > 0) this.#book.failed(outcome.failed.keys(), attempted, nowMs);
    this.#noteOutcome(part, outcome);
    const unfinished = new Set<Series>();
    for (const series of part.flush.series) {
      const finished = !outcome.failed.has(series) && this.#book.acknowledged(series, attempted, nowMs);
      if (!finished) unfinished.add(series);
    }
    // To the producer a series is acknowledged when it is at every level that it needs, so at QUORUM too.
    producer.settle(part.flush, { failed: unfinished, quorum: true });
    onSettled();
    this.#pump();
  }

  #noteOutcome({ node, level }: FlushPart, { failed, callError }: PartOutcome): void {
    const { topology, logger } = this.#parts;
    if (node !== undefined && callError === undefined) topology.nodes.succeeded(node.nodeId);
    if (node !== undefined && callError !== undefined) topology.nodes.failed(node.nodeId, callError);
    if (failed.size === 0) return;
    const errors = [...failed.values()];
    this.#lastError = errors[0];
    const about = { nodeId: node?.nodeId, level, series: failed.size, error: errors[0]?.message };
    logger.debug(about, 'a flush failed and goes again');
    if (errors.some(({ code }) => code === 'STALE_RING')) void topology.refresh();
  }

  #tellBusy(): void {
    const isIdle =
      this.#sender.inFlight === 0 && this.claims.count === 0 && this.#parts.producer.dirtySeries === 0;
    if (this.#busy === !isIdle) return;
    this.#busy = !isIdle;
    this.#parts.onBusy(this.#busy);
  }

  /** Ends the loop; what is still claimed is rejected. */
  close(error: Error): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#sender.close();
    this.claims.rejectAll(error);
    if (this.#busy) this.#parts.onBusy(false);
    this.#busy = false;
  }
}
