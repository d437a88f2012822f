import type { ClusterConfig } from '../../node/config.js';
import type { Metrics } from '../../node/metrics.js';
import { RECORDS_PREFIX } from '../../node/storage/keyspace.js';
import { MemoryDisk } from '../../node/storage/memory-disk.js';
import { openMemoryStore } from '../../node/storage/memory-store.js';
import type { OnCommit, OpenedStore } from '../../node/storage/store.js';
import type { Clock, Timers } from '../../ports/clock.js';
import { silentLogger } from '../../ports/logger.js';
import { type Entry, isIntact } from '../../proto/entry.js';
import type { SeededRandom } from './seeded-random.js';

/** Where the hints for a node stand among the records (node/storage/hints.ts). */
const HINTS = `${RECORDS_PREFIX.toString('latin1')}h`;
const FIRST_ENTRY = '\x01';
const END_OF_ENTRIES = '\x02';

interface SlotState {
  disk: MemoryDisk;
  /** Times that a sync takes longer than usual. */
  slowness: number;
}

/** The disks of all nodes, and what may befall them. */
export class SimDisks {
  readonly #cluster: ClusterConfig;
  readonly #slots = new Map<string, SlotState>();

  constructor(
    nodeIds: readonly string[],
    { cluster, random }: { cluster: ClusterConfig; random: SeededRandom },
  ) {
    this.#cluster = cluster;
    for (const nodeId of nodeIds) {
      const own = random.fork(`disk/${nodeId}`);
      const usualMs = own.between(0.2, 4);
      const slot: SlotState = {
        slowness: 1,
        disk: new MemoryDisk({
          random: own,
          syncMs: () => own.between(0.5, 1.5) * usualMs * slot.slowness,
        }),
      };
      this.#slots.set(nodeId, slot);
    }
  }

  open(
    nodeId: string,
    parts: { clock: Clock; timers: Timers; metrics: Metrics; onCommit: OnCommit },
  ): Promise<OpenedStore> {
    const { cluster, limits, durability } = this.#cluster;
    return openMemoryStore({
      ...parts,
      disk: this.#disk(nodeId),
      cluster,
      nodeId,
      limits,
      durability,
      logger: silentLogger,
    });
  }

  /** The process that used the disk dies: what was not synced may be lost. */
  kill(nodeId: string): void {
    const disk = this.#disk(nodeId);
    disk.kill();
    disk.failingWrites = 0;
  }

  /** From now on the disk is fast and no write fails. */
  repair(nodeId: string): void {
    this.slow(nodeId, 1);
    this.#disk(nodeId).failingWrites = 0;
  }

  slow(nodeId: string, factor: number): void {
    this.#slots.get(nodeId)!.slowness = factor;
  }

  failNextWrite(nodeId: string): void {
    this.#disk(nodeId).failingWrites = 1;
  }

  wipe(nodeId: string): void {
    this.#disk(nodeId).wipe();
  }

  loseMiddleBatch(nodeId: string): boolean {
    return this.#disk(nodeId).loseMiddleBatch();
  }

  flipBit(nodeId: string): boolean {
    return this.#disk(nodeId).flipBit();
  }

  /** A copy of what is readable now; the returned function puts it back. */
  snapshot(nodeId: string): () => void {
    const disk = this.#disk(nodeId);
    const copy = disk.snapshot();
    return () => disk.restore(copy);
  }

  /** The entries that stand on a disk, damaged ones left out. */
  entries(nodeId: string): Entry[] {
    return this.#all(nodeId).filter(isIntact);
  }

  hasBadEntries(nodeId: string): boolean {
    return !this.#all(nodeId).every(isIntact);
  }

  /** Bytes of the hints that a node keeps for another one, counted from its records. */
  hintBytes(nodeId: string, target: string): number {
    const disk = this.#disk(nodeId);
    const prefix = `${HINTS}${String.fromCharCode(target.length)}${target}`;
    const keys = disk.keys(prefix, `${prefix}\xff`, disk.size);
    return keys.reduce((sum, key) => sum + key.length - RECORDS_PREFIX.length + disk.read(key)!.length, 0);
  }

  /** Whether something bad stands on any disk. Its node may not have met it yet. */
  get isDamaged(): boolean {
    return [...this.#slots.keys()].some((nodeId) => this.hasBadEntries(nodeId));
  }

  #all(nodeId: string): Entry[] {
    const disk = this.#disk(nodeId);
    return disk.keys(FIRST_ENTRY, END_OF_ENTRIES, disk.size).map((key) => ({
      key: Buffer.from(key, 'latin1'),
      value: disk.read(key)!,
    }));
  }

  #disk(nodeId: string): MemoryDisk {
    return this.#slots.get(nodeId)!.disk;
  }
}
