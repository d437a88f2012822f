import type { CellValue } from '../counter/shard.js';
import type { Granularity } from '../counter/window.js';
import { bytesOf, decodeBatch } from '../proto/batch.js';
import type {
  CallOptions,
  CellQuery,
  ClientCalls,
  ClientProducerKind,
  ClusterDescription,
  FlushReply,
  FlushRequest,
  IncrementRequest,
  MintRequest,
  Outcome,
  ProducerShard,
  StatsAnswer,
  StatsQuery,
} from '../proto/calls.js';
import type { Column } from '../proto/column.js';
import { type CellAddress, type Entry, KIND } from '../proto/entry.js';
import { TallyringError } from '../proto/errors.js';
import type { ConsistencyLevel } from '../proto/level.js';
import type { RowQuery } from '../proto/peer-message.js';
import { checkColumn, refusedOf, withRefused } from './flush-admission.js';
import { measured } from './measured.js';
import { attempt, oks, weave } from './outcomes.js';
import {
  addressedRow,
  assembleStats,
  cellRow,
  cellValue,
  columnsOf,
  columnsRow,
  planStats,
  producerShards,
  type StatsPlan,
  slicesOf,
} from './queries.js';
import { requirementOf } from './quorum/consistency.js';
import type { NodeContext } from './quorum/context.js';
import type { PlainCounting } from './quorum/plain-counting.js';
import type { Reads } from './quorum/reads.js';
import type { Writes } from './quorum/writes.js';
import { RowAdmission } from './row-admission.js';
import { checkEntry } from './storage/kinds.js';

export interface ClientApiParts {
  context: NodeContext;
  writes: Writes;
  reads: Reads;
  counting: PlainCounting;
  rollups: readonly Granularity[];
  describe(): ClusterDescription;
  mint(kind: ClientProducerKind, above: Buffer | undefined): Buffer;
  /** Whether an entry's cell has so many shards that no new producer is let in. */
  isFull(entryKey: Buffer): boolean;
}

/** Cells that are read before it is known how large they are; more at a time while they are small. */
const FIRST_CELLS = 16;

/** What a node does for clients: checks at the edge, then coordinates. */
export class ClientApi implements ClientCalls {
  readonly #parts: ClientApiParts;
  readonly #admission: RowAdmission;
  /** Calls so far: what the gossiped load is made of. */
  calls = 0;

  constructor(parts: ClientApiParts) {
    this.#parts = parts;
    this.#admission = new RowAdmission(parts.context);
  }

  async describe(_options: CallOptions): Promise<ClusterDescription> {
    return this.#parts.describe();
  }

  async mintProducer({ above, kind = 'sdk' }: MintRequest, _options: CallOptions): Promise<Buffer> {
    return this.#parts.mint(kind, above);
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
      for (let i = 0; i < entries.length; i++) this.#checkEntry(entries[i]!, entries[i - 1]);
      if (entries.length === 0) return { failures: [] };
      const { isFull } = this.#parts;
      const refused = await refusedOf(entries, {
        isFull,
        limits: context.limits,
        store: context.replica.store,
      });
      const write = { level: request.level, timeoutMs: this.#timeoutOf(options), ring };
      return withRefused(refused, entries, (rest) => writes.write(rest, write));
    });
  }

  #checkEntry(entry: Entry, checked: Entry | undefined): void {
    const { kind, granularity } = checkEntry(entry, checked);
    const { limits, clock } = this.#parts.context;
    if (kind === KIND.column) {
      checkColumn(entry.value, limits, clock.wallMs());
      return;
    }
    if (kind !== KIND.shard) {
      throw new TallyringError('INVALID_ARGUMENT', 'clients write shards and columns only');
    }
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
      const read = await this.#admission.run(queries.length, () =>
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
      await this.#admission.run(periods, async () => {
        // A few at a time: what a call holds in memory does not grow with what it asks for.
        for (const some of slicesOf(oks(plans), context.limits.maxPeriodsAtATime)) {
          const timeoutMs = Math.max(1, deadlineMs - context.clock.monotonicMs());
          answers.push(...(await this.#readStats(some, level, timeoutMs)));
        }
      });
      return weave(plans, answers, (_, answer) => answer);
    });
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

  async shards(
    cells: readonly CellAddress[],
    level: ConsistencyLevel,
    options: CallOptions,
  ): Promise<Outcome<ProducerShard[]>[]> {
    return this.#measured('shards', level, async () => {
      this.#checkSize(cells);
      const rows = cells.map((cell) => attempt(() => addressedRow(cell, this.#parts.rollups)));
      return this.#readWhole(rows, { level, options, finish: producerShards });
    });
  }

  async columns(
    keys: readonly string[],
    level: ConsistencyLevel,
    options: CallOptions,
  ): Promise<Outcome<Column[]>[]> {
    return this.#measured('columns', level, async () => {
      this.#checkSize(keys);
      const rows = keys.map((key) => attempt(() => columnsRow(key)));
      return this.#readWhole(rows, { level, options, finish: columnsOf });
    });
  }

  /**
   * Reads cells that are answered with all that they hold: a few at a time, and no more once an answer is full.
   */
  async #readWhole<T>(
    rows: readonly Outcome<RowQuery>[],
    how: { level: ConsistencyLevel; options: CallOptions; finish(entries: readonly Entry[]): T },
  ): Promise<Outcome<T>[]> {
    const { context, reads } = this.#parts;
    const { maxBatchBytes, maxPeriodsAtATime } = context.limits;
    const deadlineMs = context.clock.monotonicMs() + this.#timeoutOf(how.options);
    const answers: Outcome<T>[] = [];
    let bytes = 0;
    let atATime = FIRST_CELLS;
    await this.#admission.run(rows.length, async () => {
      while (answers.length < rows.length && bytes < maxBatchBytes) {
        const some = rows.slice(answers.length, answers.length + Math.min(atATime, maxPeriodsAtATime));
        const timeoutMs = Math.max(1, deadlineMs - context.clock.monotonicMs());
        const read = await reads.read(oks(some), { level: how.level, timeoutMs, ring: context.ring() });
        for (const outcome of weave(some, read, (_, entries) => entries)) {
          if ('ok' in outcome) bytes += outcome.ok.reduce((sum, entry) => sum + bytesOf(entry), 0);
          if (bytes > maxBatchBytes && answers.length > 0) return;
          answers.push('ok' in outcome ? attempt(() => how.finish(outcome.ok)) : outcome);
        }
        if (bytes < maxBatchBytes / 8) atATime *= 4;
      }
    });
    return answers;
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
