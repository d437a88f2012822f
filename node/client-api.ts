import type { CellValue } from '../counter/shard.js';
import type { Granularity } from '../counter/window.js';
import type {
  CallOptions,
  CellQuery,
  ClientCalls,
  ClusterDescription,
  FlushReply,
  FlushRequest,
  IncrementRequest,
  Outcome,
  StatsAnswer,
  StatsQuery,
} from '../proto/calls.js';
import { decodeBatch, type Entry, KIND } from '../proto/entry.js';
import { errorToData, TallyringError } from '../proto/errors.js';
import type { ConsistencyLevel } from '../proto/level.js';
import type { RowQuery } from '../proto/peer-message.js';
import { measured } from './measured.js';
import { attempt, oks, weave } from './outcomes.js';
import { assembleStats, cellRow, cellValue, planStats, type StatsPlan, slicesOf } from './queries.js';
import { requirementOf } from './quorum/consistency.js';
import type { NodeContext } from './quorum/context.js';
import type { PlainCounting } from './quorum/plain-counting.js';
import type { Reads } from './quorum/reads.js';
import type { Writes } from './quorum/writes.js';
import { checkEntry } from './storage/kinds.js';

export interface ClientApiParts {
  context: NodeContext;
  writes: Writes;
  reads: Reads;
  counting: PlainCounting;
  rollups: readonly Granularity[];
  describe(): ClusterDescription;
  mint(above: Buffer | undefined): Buffer;
  /** Whether an entry's cell has so many shards that no new producer is let in. */
  isFull(entryKey: Buffer): boolean;
}

/** What a node does for clients: checks at the edge, then coordinates. */
export class ClientApi implements ClientCalls {
  readonly #parts: ClientApiParts;
  #pendingRows = 0;
  /** Calls so far: what the gossiped load is made of. */
  calls = 0;

  constructor(parts: ClientApiParts) {
    this.#parts = parts;
  }

  async describe(_options: CallOptions): Promise<ClusterDescription> {
    return this.#parts.describe();
  }

  async mintProducer(above: Buffer | undefined, _options: CallOptions): Promise<Buffer> {
    return this.#parts.mint(above);
  }

  async flush(request: FlushRequest, options: CallOptions): Promise<FlushReply> {
    return this.#measured('flush', request.level, async () => {
      const { context, writes } = this.#parts;
      const ring = context.ring();
      if (request.ringEpoch < ring.epoch) {
        throw new TallyringError(
          'STALE_RING',
          `ring epoch ${request.ringEpoch} is old; it is ${ring.epoch} now`,
        );
      }
      if (request.batch.length > context.limits.maxBatchBytes) {
        throw new TallyringError(
          'INVALID_ARGUMENT',
          `a batch has at most ${context.limits.maxBatchBytes} bytes`,
        );
      }
      const entries = decodeBatch(request.batch);
      for (const entry of entries) this.#checkEntry(entry);
      if (entries.length === 0) return { failures: [] };
      const refused = await this.#tooManyShards(entries);
      const write = { level: request.level, timeoutMs: this.#timeoutOf(options), ring };
      if (refused.size === 0) return writes.write(entries, write);
      return withRefused(refused, entries, (rest) => writes.write(rest, write));
    });
  }

  /** Indexes of the entries that would bring a new producer into a cell that has too many. */
  async #tooManyShards(entries: readonly Entry[]): Promise<ReadonlySet<number>> {
    const { isFull, context } = this.#parts;
    const suspects = [...entries.keys()].filter((i) => isFull(entries[i]!.key));
    if (suspects.length === 0) return NONE;
    const held = await context.replica.store.get(suspects.map((i) => entries[i]!.key));
    return new Set(suspects.filter((_, j) => held[j] === undefined));
  }

  #checkEntry(entry: Entry): void {
    const { kind, granularity } = checkEntry(entry);
    if (kind !== KIND.shard) throw new TallyringError('INVALID_ARGUMENT', 'producers write shards only');
    if (this.#parts.rollups.includes(granularity)) return;
    throw new TallyringError(
      'FAILED_PRECONDITION',
      `this cluster keeps ${this.#parts.rollups.join(', ')}, not ${granularity}; connect again`,
    );
  }

  async increment(
    requests: readonly IncrementRequest[],
    level: ConsistencyLevel,
    options: CallOptions,
  ): Promise<Outcome<null>[]> {
    return this.#measured('increment', level, () => {
      this.#checkSize(requests);
      return this.#parts.counting.increment(requests, level, this.#timeoutOf(options));
    });
  }

  async get(
    queries: readonly CellQuery[],
    level: ConsistencyLevel,
    options: CallOptions,
  ): Promise<Outcome<CellValue>[]> {
    return this.#measured('get', level, async () => {
      this.#checkSize(queries);
      const { context, reads, rollups } = this.#parts;
      const rows = queries.map((query) => attempt(() => cellRow(query, rollups)));
      const timeoutMs = this.#timeoutOf(options);
      const read = await this.#admitted(queries.length, () =>
        reads.read(oks(rows), { level, timeoutMs, ring: context.ring() }),
      );
      return weave(rows, read, (row, entries) => this.#fold(row, entries));
    });
  }

  #fold(row: RowQuery, entries: readonly Entry[]): CellValue {
    const { metrics, limits, logger } = this.#parts.context;
    metrics.shardsPerCell.observe(entries.length);
    if (entries.length > limits.warnShardsPerCell) {
      const { key, eventType, granularity } = row;
      logger.warn({ key, eventType, granularity, shards: entries.length }, 'a cell has very many shards');
    }
    return cellValue(row, entries);
  }

  async stats(
    queries: readonly StatsQuery[],
    level: ConsistencyLevel,
    options: CallOptions,
  ): Promise<Outcome<StatsAnswer>[]> {
    return this.#measured('stats', level, async () => {
      this.#checkSize(queries);
      const { context, rollups } = this.#parts;
      const plans = queries.map((query) => attempt(() => planStats(query, rollups, context.limits)));
      const deadlineMs = context.clock.monotonicMs() + this.#timeoutOf(options);
      const periods = oks(plans).reduce((sum, plan) => sum + plan.periods, 0);
      const answers: Outcome<StatsAnswer>[] = [];
      await this.#admitted(periods, async () => {
        // A few at a time: what a call holds in memory does not grow with what it asks for.
        for (const some of slicesOf(oks(plans), context.limits.maxPeriodsAtATime)) {
          const timeoutMs = Math.max(1, deadlineMs - context.clock.monotonicMs());
          answers.push(...(await this.#readStats(some, level, timeoutMs)));
        }
      });
      return weave(plans, answers, (_, answer) => answer);
    });
  }

  /** Runs a read of so many rows (periods of them), unless too many are being read already. */
  async #admitted<T>(rows: number, read: () => Promise<T>): Promise<T> {
    const { limits, metrics } = this.#parts.context;
    if (this.#pendingRows > 0 && this.#pendingRows + rows > limits.maxPendingRows) {
      metrics.overloaded.inc({ queue: 'reads' });
      throw new TallyringError(
        'OVERLOADED',
        `${this.#pendingRows} rows are being read already: ask again soon`,
      );
    }
    this.#pendingRows += rows;
    try {
      return await read();
    } finally {
      this.#pendingRows -= rows;
    }
  }

  async #readStats(
    plans: readonly StatsPlan[],
    level: ConsistencyLevel,
    timeoutMs: number,
  ): Promise<Outcome<StatsAnswer>[]> {
    const { context, reads } = this.#parts;
    const rows = plans.flatMap((plan) => plan.rows);
    const read = await reads.read(rows, { level, timeoutMs, ring: context.ring() });
    let at = 0;
    return plans.map((plan) => {
      at += plan.rows.length;
      return attempt(() => assembleStats(plan, read.slice(at - plan.rows.length, at)));
    });
  }

  /** No request outlives the bound that a recovering node waits for (DESIGN §7). */
  #timeoutOf({ timeoutMs }: CallOptions): number {
    return Math.min(timeoutMs, this.#parts.context.limits.maxRequestMs);
  }

  #checkSize(items: readonly unknown[]): void {
    const { maxQueriesPerCall } = this.#parts.context.limits;
    if (items.length <= maxQueriesPerCall) return;
    throw new TallyringError(
      'INVALID_ARGUMENT',
      `at most ${maxQueriesPerCall} items a call, not ${items.length}`,
    );
  }

  /** Checks the level, and counts and times a call. */
  #measured<T>(call: string, level: ConsistencyLevel, run: () => Promise<T>): Promise<T> {
    const { context } = this.#parts;
    this.calls++;
    return measured(context, { call, level }, async () => {
      requirementOf(level, context.ring().replication, context.datacenter);
      return run();
    });
  }
}

const NONE: ReadonlySet<number> = new Set();

/** Writes all but the refused entries; failures go by the indexes of the whole batch. */
async function withRefused(
  refused: ReadonlySet<number>,
  entries: readonly Entry[],
  write: (rest: Entry[]) => Promise<FlushReply>,
): Promise<FlushReply> {
  const kept = [...entries.keys()].filter((i) => !refused.has(i));
  const text = 'a cell has too many producers already: let fewer processes count this key';
  const error = errorToData(new TallyringError('OVERLOADED', text, { retryable: false }));
  const { failures } = kept.length === 0 ? { failures: [] } : await write(kept.map((i) => entries[i]!));
  const moved = failures.map((failure) => ({ ...failure, indexes: failure.indexes.map((j) => kept[j]!) }));
  return { failures: [...moved, { indexes: [...refused], error }] };
}
