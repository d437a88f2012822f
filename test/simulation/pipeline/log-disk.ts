import { SortedMap } from '../../../node/storage/sorted-map.js';
import { sleep } from '../../../ports/clock.js';
import type { DeadLetter } from '../../../services/log/dead-letters.js';
import { blockKey, DEAD_LETTERS_END, deadLetterKey } from '../../../services/log/keyspace.js';
import { parseStoredLetter } from '../../../services/log/records.js';
import type { LogStore, LogWrite, ScanOptions, StoredRecord } from '../../../services/log/store.js';
import type { SimProcess } from '../process.js';
import type { SeededRandom } from '../seeded-random.js';

/** What the keys of blocks begin with. */
const BLOCK = blockKey(0, 0).toString('latin1', 0, 1);

interface Batch {
  writes: readonly LogWrite[];
  done: boolean;
}

/** The log's disk: what a kill finds unsynced is there afterwards or not, but never without what came before it. */
export class LogDisk {
  readonly records = new SortedMap<Buffer>();
  readonly #random: SeededRandom;
  readonly #usualSyncMs: number;
  #unsynced: Batch[] = [];
  /** Blocks that were ever durable, by key: retention takes nothing from here. */
  readonly #everDurable = new Map<string, Buffer>();

  readonly #count: (name: string) => void;

  constructor(random: SeededRandom, count: (name: string) => void) {
    this.#random = random;
    this.#count = count;
    this.#usualSyncMs = random.between(0.2, 6);
  }

  /** Blocks that were ever durable. */
  *blocks(): Generator<Buffer> {
    for (const [name, value] of this.#everDurable) if (name.startsWith(BLOCK)) yield value;
  }

  deadLetters(): DeadLetter[] {
    const names = [deadLetterKey(0, 0), DEAD_LETTERS_END].map((key) => key.toString('latin1'));
    const found = [...this.records.keys(names[0]!, names[1]!, Number.POSITIVE_INFINITY)];
    return found.map((name) => parseStoredLetter(Buffer.from(name, 'latin1'), this.records.get(name)!));
  }

  /** The store of one process, which finds what its predecessors left. */
  open(process: SimProcess): LogStore {
    this.#settleUnsynced();
    return {
      getMany: async (keys) => keys.map((key) => this.records.get(key.toString('latin1'))),
      write: (writes, sync) => this.#write(process, writes, sync),
      scan: async (from, to, options) => this.#scan(from, to, options),
      close: async () => {},
    };
  }

  async #write(process: SimProcess, writes: readonly LogWrite[], sync: boolean): Promise<void> {
    const batch: Batch = { writes, done: false };
    this.#unsynced.push(batch);
    if (!sync) return;
    await sleep(process, this.#random.between(0.5, 1.5) * this.#usualSyncMs);
    this.#applyUpTo(batch);
  }

  #applyUpTo(last: Batch): void {
    while (!last.done) this.#apply(this.#unsynced.shift()!);
  }

  #apply(batch: Batch): void {
    for (const { key, value } of batch.writes) {
      const name = key.toString('latin1');
      if (value === undefined) {
        this.records.delete(name);
        if (name.startsWith(BLOCK)) this.#count('seen: log trimmed a block');
      } else {
        this.records.set(name, value);
        this.#everDurable.set(name, value);
      }
    }
    batch.done = true;
  }

  /** The process that wrote them is gone. */
  #settleUnsynced(): void {
    if (this.#unsynced.length > 0) this.#count('seen: log killed with unsynced appends');
    while (this.#unsynced.length > 0 && this.#random.chance(0.5)) this.#apply(this.#unsynced.shift()!);
    this.#unsynced = [];
  }

  #scan(from: Buffer, to: Buffer, { limit, maxBytes }: ScanOptions): StoredRecord[] {
    const found: StoredRecord[] = [];
    let bytes = 0;
    for (const name of this.records.keys(from.toString('latin1'), to.toString('latin1'), limit)) {
      const value = this.records.get(name)!;
      found.push({ key: Buffer.from(name, 'latin1'), value });
      bytes += value.length;
      if (bytes >= maxBytes) break;
    }
    return found;
  }
}
