import { LogCounter } from '../../../../client/log-driven/log-counter.js';
import { DEFAULT_LOG_DRIVEN_LIMITS, type LogDrivenLimits } from '../../../../client/log-driven/options.js';
import type { ShardStore } from '../../../../client/log-driven/shard-store.js';
import type { Counted, CountingRule, LogSource } from '../../../../client/log-driven/source.js';
import type { Register } from '../../../../client/register.js';
import type { FlushCell } from '../../../../counter/producer.js';
import type { Shard } from '../../../../counter/shard.js';
import { silentLogger } from '../../../../ports/logger.js';
import { TallyringError } from '../../../../proto/errors.js';
import { SeededRandom } from '../../../simulation/seeded-random.js';
import { VirtualTime } from '../../../simulation/virtual-time.js';

/** A register that works at once: one owner at a time. */
export class FakeRegister {
  readonly name = 'checkpoint';
  epoch = 0;
  value: Buffer | null = null;
  readonly written: Buffer[] = [];

  async read() {
    return this.epoch === 0 ? undefined : { epoch: this.epoch, value: this.value };
  }

  async acquire() {
    const epoch = ++this.epoch;
    const write = async (value: Buffer) => {
      if (epoch !== this.epoch) throw new TallyringError('FENCED', `epoch ${epoch} is over`);
      this.value = value;
      this.written.push(value);
    };
    return { epoch, value: this.value, write };
  }
}

/** A store that is one map; `whileWriting` may hold a flush up. */
export class FakeStore implements ShardStore {
  readonly rollups = ['total'] as const;
  readonly shards = new Map<string, Shard>();
  readonly flushes: { sequence: number; cells: number; producerId: string }[] = [];
  whileWriting: () => Promise<void> = async () => {};
  #minted = 0;

  async mint(): Promise<Buffer> {
    const id = Buffer.alloc(16);
    id.writeUInt32BE(++this.#minted, 12);
    return id;
  }

  async readShards(cells: readonly FlushCell[], producerId: Buffer) {
    return cells.map((cell) => this.shards.get(nameOf(cell, producerId)));
  }

  async write({ cells }: Parameters<ShardStore['write']>[0]): Promise<void> {
    await this.whileWriting();
    const { sequence } = cells[0]!.shard;
    const ids = new Set(cells.map(({ producerId }) => producerId.toString('hex')));
    for (const producerId of ids) this.flushes.push({ sequence, cells: cells.length, producerId });
    for (const cell of cells) {
      const name = nameOf(cell, cell.producerId);
      if ((this.shards.get(name)?.sequence ?? -1) < cell.shard.sequence)
        this.shards.set(name, { ...cell.shard });
    }
  }

  /** Of all producers. */
  countOf(key: string): number {
    let sum = 0;
    for (const [name, { count }] of this.shards) if (name.startsWith(`${key} `)) sum += Number(count);
    return sum;
  }
}

function nameOf({ series }: FlushCell, producerId: Buffer): string {
  return `${series.key} ${producerId.toString('hex')}`;
}

/** Keys in a row; asked beyond its end it answers at once with nothing, however long the caller would wait. */
export class FakeSource implements LogSource<string> {
  logId = 'one';
  start = 0;
  readonly keys: string[] = [];
  reads = 0;

  async bounds() {
    return { start: this.start, end: this.keys.length };
  }

  async read(from: number) {
    this.reads++;
    const records = this.keys.slice(from).map((record, i) => ({ offset: from + i, record }));
    return { records, next: this.keys.length, end: this.keys.length };
  }
}

export const COUNT_ALL: CountingRule<string> = {
  version: 1,
  lookBack: 0,
  begin: () => ({
    pass() {},
    count: (_offset, key): Counted => ({ key, eventType: 'view', timestampMs: 0 }),
  }),
};

/** A partition of a log, its checkpoint and its store, for any number of counters. */
export class World {
  readonly time = new VirtualTime(new SeededRandom(1));
  readonly register = new FakeRegister();
  readonly store = new FakeStore();
  readonly source = new FakeSource();
  #made = 0;

  counter(limits: Partial<LogDrivenLimits> = {}, rule = COUNT_ALL): LogCounter<string> {
    const { time, register, store, source } = this;
    return new LogCounter({
      register: register as unknown as Register,
      ...{ source, rule, store },
      name: `counter-${++this.#made}`,
      ports: {
        clock: time.clock(),
        timers: time,
        random: new SeededRandom(this.#made),
        logger: silentLogger,
      },
      limits: { ...DEFAULT_LOG_DRIVEN_LIMITS, ...limits },
    });
  }

  /** Lets time pass until it is so; false when it is not within the bound. */
  until(condition: () => boolean, withinMs = 60_000): Promise<boolean> {
    return this.time.runUntil(condition, this.time.nowMs + withinMs);
  }
}
