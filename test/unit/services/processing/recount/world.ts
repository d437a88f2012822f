import { createHash } from 'node:crypto';
import { logDrivenLimits } from '../../../../../client/log-driven/options.js';
import {
  PartitionOwner,
  type PartitionOwnerParts,
} from '../../../../../client/log-driven/partition-owner.js';
import type { ShardStore } from '../../../../../client/log-driven/shard-store.js';
import type { LogSource } from '../../../../../client/log-driven/source.js';
import { type Register, RegisterOwner } from '../../../../../client/register.js';
import { compareShards } from '../../../../../counter/merge.js';
import { foldValues, type Shard } from '../../../../../counter/shard.js';
import type { Granularity } from '../../../../../counter/window.js';
import { silentLogger } from '../../../../../ports/logger.js';
import type { CellAddress } from '../../../../../proto/entry.js';
import { TallyringError } from '../../../../../proto/errors.js';
import { producerKindByte } from '../../../../../proto/producer-kind.js';
import type { RegisterRecord } from '../../../../../proto/register.js';
import type { LogRecord } from '../../../../../services/log/log.js';
import { EventRule } from '../../../../../services/processing/event-rule.js';
import type { ClusterSight } from '../../../../../services/processing/recount/cluster-sight.js';
import { finestFirst, windowOver } from '../../../../../services/processing/recount/plan.js';

/** A register, a store and a partition of a log in memory, and processes that die at a chosen step. */

export const ROLLUPS: Granularity[] = ['total', 'day', 'hour'];

export class World {
  log: LogRecord[] = [];
  start = 0;
  /** Whether every replica answers. */
  isAtAll = true;
  /** Of whoever counts from now on. */
  dedupWindow = 8;
  readonly cells = new Map<string, { cell: CellAddress; shards: Map<string, Shard> }>();
  #record: RegisterRecord = {
    epoch: 0,
    write: 0,
    storeNumbers: [],
    value: null,
  } as unknown as RegisterRecord;
  #minted = 0;
  #nowMs = 0;
  #timers: { atMs: number; call(): void }[] = [];

  get checkpoint(): Buffer | null {
    return this.#record.value;
  }

  /** How often it was acquired. */
  get epoch(): number {
    return this.#record.epoch;
  }

  shardsOf(cell: CellAddress): Map<string, Shard> {
    const name = JSON.stringify([cell.key, cell.eventType, cell.granularity, cell.window]);
    const held = this.cells.get(name) ?? { cell, shards: new Map() };
    this.cells.set(name, held);
    return held.shards;
  }

  /** Runs timers in their order until the promise settles, or the process is dead. */
  async until<T>(promise: Promise<T>, process: Process): Promise<T | undefined> {
    let over = false;
    const end = () => {
      over = true;
    };
    promise.then(end, end);
    while (!over && !process.isDead) {
      await new Promise((resolve) => setImmediate(resolve));
      if (over || process.isDead) break;
      this.#timers.sort((a, b) => a.atMs - b.atMs);
      const next = this.#timers.shift();
      if (next === undefined) continue;
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.call();
    }
    return process.isDead ? undefined : promise;
  }

  ports(process: Process) {
    const clock = { monotonicMs: () => this.#nowMs, wallMs: () => this.#nowMs };
    const timers = {
      after: (delayMs: number, callback: () => void) => {
        const timer = { atMs: this.#nowMs + delayMs, call: () => process.run(callback) };
        this.#timers.push(timer);
        const cancel = () => {
          this.#timers = this.#timers.filter((each) => each !== timer);
        };
        return { cancel };
      },
    };
    const random = { next: () => 0.5, bytes: (length: number) => Buffer.alloc(length) };
    return { clock, timers, random, logger: silentLogger };
  }

  register(process: Process): Pick<Register, 'name' | 'acquire' | 'read'> {
    return {
      name: 'checkpoint',
      acquire: () =>
        process.step(() => {
          this.#record = { ...this.#record, epoch: this.#record.epoch + 1, write: 0 };
          return new RegisterOwner(this.#record, (record) =>
            process.step(() => {
              if (record.epoch !== this.#record.epoch)
                throw new TallyringError('FENCED', 'another one owns it');
              this.#record = record;
            }),
          );
        }),
      read: () => process.step(() => ({ epoch: this.#record.epoch, value: this.#record.value })),
    };
  }

  source(process: Process): LogSource<LogRecord> {
    return {
      logId: 'a log',
      bounds: () => process.step(() => ({ start: this.start, end: this.log.length })),
      read: (from) =>
        process.step(() => {
          if (from < this.start) throw new TallyringError('DATA_LOSS', 'trimmed');
          const records = this.log.slice(from, from + 7).map((record) => ({ offset: record.offset, record }));
          return { records, next: from + records.length, end: this.log.length };
        }),
    };
  }

  store(process: Process): ShardStore {
    return {
      rollups: ROLLUPS,
      mint: () => process.step(() => producerId(++this.#minted, 'log')),
      readShards: (cells, id) =>
        process.step(() =>
          cells.map(({ series, granularity, window }) =>
            this.shardsOf({ key: series.key, eventType: series.eventType, granularity, window }).get(
              id.toString('hex'),
            ),
          ),
        ),
      write: async (flush) => {
        for (const { series, granularity, window, producerId, shard } of flush.cells) {
          const cell = { key: series.key, eventType: series.eventType, granularity, window };
          await process.step(() => this.#merge(cell, producerId.toString('hex'), { ...shard }));
        }
      },
    };
  }

  #merge(cell: CellAddress, id: string, shard: Shard): void {
    const shards = this.shardsOf(cell);
    const held = shards.get(id);
    const order = held === undefined ? 1 : compareShards(shard, held);
    if (held?.sequence === shard.sequence && order !== 0) {
      throw new TallyringError('INTERNAL', 'two states of one sequence');
    }
    if (order > 0) shards.set(id, shard);
  }

  sight(process: Process): ClusterSight {
    const shardsOf = (cell: CellAddress) =>
      [...this.shardsOf(cell)].map(([id, shard]) => ({ producerId: Buffer.from(id, 'hex'), ...shard }));
    return {
      rollups: ROLLUPS,
      look: (cells) =>
        process.step(() =>
          cells.map((cell) => ({ shards: shardsOf(cell), replicas: [], isAtAll: this.isAtAll })),
        ),
      finerSum: (cell, finer) =>
        process.step(() => {
          const inside = [...this.cells.values()].filter(
            ({ cell: each }) =>
              each.key === cell.key &&
              each.granularity === finer &&
              windowOver(cell.granularity, finer, each.window) === cell.window,
          );
          return foldValues(inside.flatMap(({ cell: each }) => shardsOf(each)))!;
        }),
    };
  }

  rule(): EventRule {
    return new EventRule({
      ...{ partition: 0, dedupWindow: this.dedupWindow, onCounted() {}, onDuplicate() {} },
      reject: async () => {},
    });
  }

  ownerParts(process: Process): PartitionOwnerParts<LogRecord> {
    return {
      ...{ register: this.register(process), source: this.source(process), store: this.store(process) },
      ...{ rule: this.rule(), name: 'an owner', ports: this.ports(process) },
      limits: logDrivenLimits({ flushIntervalMs: 1 }),
    };
  }

  /** Counts everything that is in the log. */
  async count(process = new Process()): Promise<void> {
    const act = async () => {
      const owner = await PartitionOwner.acquire(this.ownerParts(process), { timeoutMs: 1_000 });
      const run = owner.run();
      const look = () => {
        if (owner.committed >= this.log.length) owner.stop();
        else this.ports(process).timers.after(1, look);
      };
      look();
      await run;
    };
    await this.until(act(), process);
  }

  /** Count and sum of every cell that is not empty, by the finest granularity first. */
  values(): Map<string, string> {
    const rank = new Map(finestFirst(ROLLUPS).map((granularity, i) => [granularity, i]));
    const sorted = [...this.cells].sort(
      ([, a], [, b]) => rank.get(a.cell.granularity)! - rank.get(b.cell.granularity)!,
    );
    return new Map(
      sorted.flatMap(([name, { shards }]) => {
        const value = foldValues(shards.values())!;
        return value.count === 0 && value.sum === 0 ? [] : [[name, `${value.count} ${value.sum}`]];
      }),
    );
  }
}

export class Process {
  #left: number;
  readonly #waiting: (() => void)[] = [];
  /** Dead, or stalled: nothing of it happens, unless it wakes. */
  isDead = false;

  /** @param steps that it lives: what it asks of others, before and after it is done. */
  constructor(steps = Number.POSITIVE_INFINITY) {
    this.#left = steps;
  }

  /** The effect happens, or not, and the answer arrives, or not. */
  async step<T>(effect: () => T): Promise<T> {
    await this.#pass();
    const answer = effect();
    await this.#pass();
    return answer;
  }

  async #pass(): Promise<void> {
    if (this.#left-- <= 0) this.isDead = true;
    if (this.isDead) await new Promise<void>((resolve) => this.run(resolve));
  }

  /** Now, or when it wakes. */
  run(act: () => void): void {
    if (this.isDead) this.#waiting.push(act);
    else act();
  }

  /** It was but stalled: what it was about to do, it does now. */
  wake(): void {
    this.isDead = false;
    this.#left = Number.POSITIVE_INFINITY;
    for (const act of this.#waiting) act();
  }
}

export function producerId(number: number, kind: 'sdk' | 'log'): Buffer {
  const id = createHash('sha256').update(String(number)).digest().subarray(0, 16);
  id.writeUIntBE(number, 0, 6);
  id[6] = producerKindByte(kind, 0);
  return id;
}
