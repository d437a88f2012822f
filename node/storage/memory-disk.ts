import type { Timers } from '../../ports/clock.js';
import { type Random, randomBelow } from '../../ports/random.js';
import type { Engine, EngineRecord, EngineWrite } from './engine.js';
import { SortedMap } from './sorted-map.js';

/** Batches that stand for the log: those that `loseMiddleBatch` may take. */
const LOG_BATCHES = 16;

interface Batch {
  changes: { key: string; former: Buffer | undefined; value: Buffer | undefined }[];
  durable: boolean;
  /** Taken in after a failed write: it was acknowledged, and is gone at the next open. */
  poisoned: boolean;
}

export interface MemoryDiskOptions {
  random: Random;
  /** Duration of a synced write in milliseconds, asked for each; 0 resolves in the same turn. Default 0. */
  syncMs?: () => number;
}

/** Whose data the disk holds; the simulated identity file. */
export interface DiskIdentity {
  cluster: string;
  nodeId: string;
  storeId: string;
}

/**
 * A disk that outlives the processes which use it, for simulation. Every fault comes from the given random or
 * from a call, so a run repeats. It models what was measured of LevelDB: batches are atomic; unsynced ones may
 * get lost at a kill, each for itself; after a failed write the log takes no more in but says it does; a page
 * in the middle of the log may vanish silently; a bit may flip.
 */
export class MemoryDisk {
  readonly random: Random;
  syncMs: () => number;
  identity: DiskIdentity | undefined;
  /** How many of the next writes fail. */
  failingWrites = 0;
  readonly #records = new SortedMap<Buffer>();
  /** The newest batches, oldest first: all that are not durable, and the last durable ones. */
  #log: Batch[] = [];
  #inFlight: { writes: readonly EngineWrite[] } | undefined;
  #poisoned = false;
  /** The process that has the disk open, by number; undefined when none has. */
  #openedBy: number | undefined;
  #processes = 0;

  constructor(options: MemoryDiskOptions) {
    this.random = options.random;
    this.syncMs = options.syncMs ?? (() => 0);
  }

  get isOpen(): boolean {
    return this.#openedBy !== undefined;
  }

  /** Number of records, the store's own included. */
  get size(): number {
    return this.#records.size;
  }

  /** Opens the disk for one process. What was readable is durable from here on, as LevelDB's open makes it. */
  open(timers: Timers): Engine {
    this.#reload(() => true);
    this.#log = [];
    this.#openedBy = ++this.#processes;
    return new MemoryEngine(this, timers, this.#openedBy);
  }

  /**
   * The process dies and the power fails: each batch that was not synced survives or not, whole. What the dead
   * process still awaits never comes.
   */
  kill(): void {
    const inFlight = this.#inFlight;
    const poisoned = this.#poisoned;
    this.#reload(() => this.random.next() < 0.5);
    if (inFlight !== undefined && !poisoned && this.random.next() < 0.5) this.#apply(inFlight.writes, true);
    this.#openedBy = undefined;
  }

  /** A page in the middle of the log is lost: one batch, never the newest. False when the log is too short. */
  loseMiddleBatch(): boolean {
    if (this.#log.length < 3) return false;
    const lost = this.#log[1 + randomBelow(this.random, this.#log.length - 2)]!;
    for (const { key, former, value } of lost.changes) {
      // A later batch may have written the key again; that one is still there.
      if (this.#records.get(key) === value) this.#put(key, former);
    }
    this.#log = [];
    return true;
  }

  /** Flips one bit of the value under a key, or of some value that has bytes. False when there is none. */
  flipBit(key?: Buffer): boolean {
    const names =
      key === undefined ? this.#records.keys('\x01', '\x02', this.#records.size) : [key.toString('latin1')];
    const name = names[randomBelow(this.random, names.length)];
    const value = name === undefined ? undefined : this.#records.get(name);
    if (name === undefined || value === undefined || value.length === 0) return false;
    const flipped = Buffer.from(value);
    flipped[randomBelow(this.random, flipped.length)]! ^= 1 << randomBelow(this.random, 8);
    this.#records.set(name, flipped);
    return true;
  }

  /** The disk is replaced by an empty one. */
  wipe(): void {
    this.restore({ identity: undefined, records: [] });
  }

  /** What is readable now; give it to `restore` of a disk that no process has open. */
  snapshot(): DiskSnapshot {
    const keys = this.#records.keys('', '\xff\xff', this.#records.size);
    return { identity: this.identity, records: keys.map((key) => [key, this.#records.get(key)!]) };
  }

  restore(snapshot: DiskSnapshot): void {
    this.identity = snapshot.identity;
    this.#log = [];
    this.#records.clear();
    for (const [key, value] of snapshot.records) this.#records.set(key, value);
  }

  /** For its engine: whether this process still has the disk. */
  isOpenBy(process: number): boolean {
    return this.#openedBy === process;
  }

  /** For its engine. */
  closeBy(process: number): void {
    if (this.#openedBy === process) this.#openedBy = undefined;
  }

  /** For its engine. */
  beginWrite(writes: readonly EngineWrite[], sync: boolean): void {
    if (this.failingWrites > 0) {
      this.failingWrites--;
      this.#poisoned = true;
      throw new Error('simulated disk: no space left');
    }
    if (sync) this.#inFlight = { writes };
    else this.#apply(writes, false);
  }

  /** For its engine. */
  endWrite(writes: readonly EngineWrite[]): void {
    this.#inFlight = undefined;
    this.#apply(writes, !this.#poisoned);
    if (!this.#poisoned) for (const batch of this.#log) batch.durable = true;
  }

  read(key: string): Buffer | undefined {
    return this.#records.get(key);
  }

  keys(from: string, to: string, limit: number): string[] {
    return this.#records.keys(from, to, limit);
  }

  #apply(writes: readonly EngineWrite[], durable: boolean): void {
    const batch: Batch = { changes: [], durable, poisoned: this.#poisoned };
    for (const write of writes) {
      const key = write.key.toString('latin1');
      // A copy: the disk shares no memory with the process, and each write is an object of its own.
      const value = write.value === undefined ? undefined : Buffer.from(write.value);
      batch.changes.push({ key, former: this.#records.get(key), value });
      this.#put(key, value);
    }
    this.#log.push(batch);
    while (this.#log.length > LOG_BATCHES && this.#log[0]!.durable) this.#log.shift();
  }

  /** What the disk holds when it is read anew: of the batches that were not synced, those that survive. */
  #reload(survives: () => boolean): void {
    const unsynced = this.#log.filter((batch) => !batch.durable);
    for (const batch of unsynced.toReversed()) {
      for (const { key, former } of batch.changes.toReversed()) this.#put(key, former);
    }
    const survivors = unsynced.filter((batch) => !batch.poisoned && survives());
    for (const batch of survivors) {
      for (const { key, value } of batch.changes) this.#put(key, value);
      batch.durable = true;
    }
    this.#log = this.#log.filter((batch) => batch.durable);
    this.#inFlight = undefined;
    this.#poisoned = false;
  }

  #put(key: string, value: Buffer | undefined): void {
    if (value === undefined) this.#records.delete(key);
    else this.#records.set(key, value);
  }
}

export interface DiskSnapshot {
  identity: DiskIdentity | undefined;
  records: [key: string, value: Buffer][];
}

class MemoryEngine implements Engine {
  readonly #disk: MemoryDisk;
  readonly #timers: Timers;
  readonly #process: number;
  #closed = false;

  constructor(disk: MemoryDisk, timers: Timers, process: number) {
    this.#disk = disk;
    this.#timers = timers;
    this.#process = process;
  }

  async getMany(keys: readonly Buffer[]): Promise<(Buffer | undefined)[]> {
    await this.#alive();
    return keys.map((key) => copyOf(this.#disk.read(key.toString('latin1'))));
  }

  async write(writes: readonly EngineWrite[], sync: boolean): Promise<void> {
    await this.#alive();
    this.#disk.beginWrite(writes, sync);
    if (!sync) return;
    const ms = this.#disk.syncMs();
    if (ms > 0) await new Promise<void>((resolve) => this.#timers.after(ms, resolve));
    await this.#alive();
    this.#disk.endWrite(writes);
  }

  async scan(from: Buffer, to: Buffer, options: { limit: number }): Promise<EngineRecord[]> {
    await this.#alive();
    const keys = this.#disk.keys(from.toString('latin1'), to.toString('latin1'), options.limit);
    return keys.map((key) => ({ key: Buffer.from(key, 'latin1'), value: copyOf(this.#disk.read(key))! }));
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#disk.closeBy(this.#process);
  }

  /** Never resolves once the process was killed: the dead get no answers. Rejects when it closed the disk itself. */
  #alive(): Promise<void> {
    if (this.#closed) return Promise.reject(new Error('simulated disk: closed'));
    return this.#disk.isOpenBy(this.#process) ? Promise.resolve() : new Promise(() => undefined);
  }
}

function copyOf(value: Buffer | undefined): Buffer | undefined {
  return value === undefined ? undefined : Buffer.from(value);
}
