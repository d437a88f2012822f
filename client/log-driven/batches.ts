import type { Flush } from '../../counter/producer.js';
import { sleep } from '../../ports/clock.js';
import { type Bounds, type Mark, type Rule, rulesFor } from './checkpoint.js';
import { LogProducer } from './log-producer.js';
import { beginAt, type OwnerContext } from './owner-context.js';
import { persist, type RecordReader } from './record-reader.js';
import type { CountingRun } from './source.js';

/** A batch [committed, end) that was cut and is on its way. */
interface Batch {
  committed: number;
  end: number;
  producer: LogProducer;
  mark: Mark | undefined;
  flush: Flush | undefined;
  settle: ReturnType<NonNullable<CountingRun<unknown>['cut']>>;
}

const DAY_MS = 86_400_000;
/** Of maxCells, from which a fresh producer takes over: the rest is for the batch that is being filled. */
const ROLL_FROM = 0.75;
/** Of flushIntervalMs, over which the requests of a flush are spread while nothing waits to be read. */
const SPREAD = 0.7;
/** Between two reads at the end of the log while a batch is being filled. */
const PAUSE_MS = 100;

/**
 * Batch after batch of a partition: while one is flushed the next one is filled. A batch is named by an intent
 * before any of it is written, and committed with the next intent.
 */
export class Batches<R> {
  readonly #context: OwnerContext<R>;
  #run!: CountingRun<R>;
  #reader!: RecordReader<R>;
  #producer!: LogProducer;
  #producerSinceMs = 0;
  /** When the batch that is being filled is to be cut, on the monotonic clock. */
  #dueMs = 0;
  /** Records of the batch that is being filled. */
  #records = 0;
  /** The newest of them. */
  #newest: { offset: number; record: R } | undefined;
  #cellsAtCut = 0;
  #isFlushing = false;

  constructor(context: OwnerContext<R>) {
    this.#context = context;
  }

  /** Where the log ended when it was read last. */
  get end(): number {
    return this.#reader?.end ?? this.#context.writer.next.committed;
  }

  /** Until `isStopping` says so; rejects when the owner is over, or something is wrong with log or rule. */
  async run(bounds: Bounds, isStopping: () => boolean): Promise<void> {
    const { writer, wanted, fail } = this.#context;
    const rules = rulesFor(writer.next, wanted, bounds);
    const { run, reader } = await beginAt(this.#context, rules.at(-1)!, writer.next.committed);
    this.#run = run;
    this.#reader = reader;
    this.#plan();
    await this.#freshProducer();
    let flushed: Promise<void> = Promise.resolve();
    for (let isLast = false; !isLast; ) {
      await this.#fill(isStopping);
      await flushed;
      isLast = isStopping();
      const batch = this.#cut();
      if (batch === undefined) {
        if (writer.isStaged) await writer.write({});
        continue;
      }
      flushed = this.#flush(batch, rules);
      flushed.catch(fail); // what else is under way is to end as well
      if (this.#isToRoll(batch.producer)) await this.#freshProducer();
    }
    await flushed;
  }

  /** Adds records until the batch is due and nothing is in flight, or until it is full. */
  async #fill(isStopping: () => boolean): Promise<void> {
    const { ports, waiting } = this.#context;
    for (;;) {
      waiting.signal.throwIfAborted();
      if (!this.#addWhatIsHere() || isStopping()) return;
      const leftMs = this.#dueMs - ports.clock.monotonicMs();
      if (leftMs <= 0 && !this.#isFlushing && this.#records > 0) return;
      if (this.#records === 0 && !this.#isFlushing) {
        if (!(await this.#firstRecord())) return;
      } else {
        // What comes meanwhile is read in larger pieces.
        if (!this.#reader.isBehind) await sleep(ports.timers, clamp(leftMs, 1, PAUSE_MS));
        await this.#reader.more(0);
      }
    }
  }

  /** Waits for a record; false when there was none for as long as a batch takes. */
  async #firstRecord(): Promise<boolean> {
    const { ports, limits } = this.#context;
    const beganMs = ports.clock.monotonicMs();
    await this.#reader.more(limits.flushIntervalMs);
    if (this.#reader.peek() !== undefined) return true;
    // A source that does not wait is not to be asked all the time.
    const tookMs = ports.clock.monotonicMs() - beganMs;
    if (tookMs < PAUSE_MS) await sleep(ports.timers, PAUSE_MS - tookMs);
    return false;
  }

  /** False when the batch is full. */
  #addWhatIsHere(): boolean {
    const { maxBatchRecords, maxBatchCells } = this.#context.limits;
    for (let next = this.#reader.peek(); next !== undefined; next = this.#reader.peek()) {
      const cells = this.#producer.cells - this.#cellsAtCut;
      if (this.#records >= maxBatchRecords || cells >= maxBatchCells || !this.#producer.hasRoom) return false;
      const counted = this.#run.count(next.offset, next.record);
      if (counted !== undefined) this.#producer.add(counted);
      this.#reader.take();
      this.#newest = next;
      this.#records++;
    }
    return true;
  }

  /**
   * The next cut: once in flushIntervalMs, at this partition's own moment of it, so that the nodes get the flushes of
   * many partitions one after the other. By the wall clock, which instances share; a jump moves a cut, no more.
   */
  #plan(): void {
    const { ports, limits, phase } = this.#context;
    const { flushIntervalMs } = limits;
    const sinceMs = ports.clock.wallMs() - phase * flushIntervalMs;
    const leftMs = flushIntervalMs - (((sinceMs % flushIntervalMs) + flushIntervalMs) % flushIntervalMs);
    const waitMs = leftMs < flushIntervalMs / 2 ? leftMs + flushIntervalMs : leftMs;
    this.#dueMs = ports.clock.monotonicMs() + waitMs;
  }

  #cut(): Batch | undefined {
    const { committed } = this.#context.writer.next;
    const end = this.#reader.position;
    this.#plan();
    if (end <= committed) return undefined;
    const producer = this.#producer;
    const batch = {
      ...{ committed, end, mark: this.#mark(), producer },
      flush: producer.cut(end),
      settle: this.#run.cut?.(),
    };
    this.#records = 0;
    this.#cellsAtCut = producer.cells;
    return batch;
  }

  #mark(): Mark | undefined {
    const { source } = this.#context;
    if (this.#newest === undefined || source.digest === undefined) return undefined;
    const { offset, record } = this.#newest;
    return { offset, digest: source.digest(record) };
  }

  /** Intent, then the shards; committed with whatever is written next. */
  async #flush({ committed, end, mark, producer, flush, settle }: Batch, rules: Rule[]): Promise<void> {
    const { store, writer, waiting, ports, limits } = this.#context;
    this.#isFlushing = true;
    const { isBehind } = this.#reader;
    writer.stage({ mark });
    await writer.write({ committed, end, producerId: producer.producerId, rules });
    await Promise.all([
      flush && store.write(flush, waiting, isBehind ? 0 : limits.flushIntervalMs * SPREAD),
      settle && persist({ ...ports, waiting }, () => settle(waiting)),
    ]);
    if (flush !== undefined) producer.settle(flush);
    writer.stage({ committed: end, end: undefined });
    this.#context.onBatch();
    this.#isFlushing = false;
  }

  #isToRoll(producer: LogProducer): boolean {
    const { limits, ports } = this.#context;
    if (producer.isNearOverflow || producer.cells >= limits.maxCells * ROLL_FROM) return true;
    return ports.clock.monotonicMs() - this.#producerSinceMs >= DAY_MS;
  }

  /** A producer rolls whole, between two batches: each batch has one id. */
  async #freshProducer(): Promise<void> {
    const { store, limits, ports, writer, waiting } = this.#context;
    const above = this.#producer?.producerId ?? writer.next.producerId ?? undefined;
    const producerId = await store.mint(above, waiting);
    this.#producer = new LogProducer({ rollups: store.rollups, producerId, maxCells: limits.maxCells });
    this.#producerSinceMs = ports.clock.monotonicMs();
    this.#cellsAtCut = 0;
  }
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(most, Math.max(least, value));
}
