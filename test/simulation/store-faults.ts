import type { SimCluster } from './cluster.js';
import type { Fault } from './faults.js';
import type { Trace } from './trace.js';
import type { VirtualTime } from './virtual-time.js';

const POLL_MS = 250;
/** Until what a node's peers heard of its batches stands on their disks, with a margin. */
const REMEMBERED_AFTER_MS = 2_500;
/** How long the rest of the cluster is left alone while a node whose store was set back starts. */
const CALM_MS = 4_000;

export interface StoreFaultParts {
  cluster: SimCluster;
  time: VirtualTime;
  trace: Trace;
  isOver(): boolean;
}

/**
 * Faults that take from a store what it had acknowledged. The promises hold for one such loss at a time, so
 * none strikes before every store is whole and every node is up.
 */
export class StoreFaults {
  /** While a store that was set back starts, no other fault may strike. */
  calm = false;
  readonly #parts: StoreFaultParts;
  /** A store is in doubt: no second one may be until it is whole again. */
  #inDoubt = false;
  #hasCopy = false;

  constructor(parts: StoreFaultParts) {
    this.#parts = parts;
  }

  /** False when it may not strike now, or there is nothing to take. */
  strike({ kind, node: nodeId, durationMs }: Fault): boolean {
    if (!this.#mayStrike()) return false;
    const { disks } = this.#parts.cluster;
    switch (kind) {
      case 'wipe':
        this.#lose(nodeId!, () => disks.wipe(nodeId!));
        return true;
      case 'lost batch':
        return this.#lose(nodeId!, () => disks.loseMiddleBatch(nodeId!));
      case 'flipped bit':
        return this.#flipBit(nodeId!);
      default:
        return this.#copy(nodeId!, durationMs!);
    }
  }

  #mayStrike(): boolean {
    const { cluster, isOver } = this.#parts;
    return !isOver() && !this.#inDoubt && cluster.nodes.every(({ nodeId }) => cluster.isWhole(nodeId));
  }

  #untilWhole(nodeId: string): void {
    const { cluster, time, trace } = this.#parts;
    time.after(POLL_MS, () => {
      if (!cluster.isWhole(nodeId)) return this.#untilWhole(nodeId);
      trace.note(`the store of ${nodeId} is whole again`);
      this.#inDoubt = false;
    });
  }

  /** Kills a node, does something to its disk, and starts it again. */
  #lose<T>(nodeId: string, damage: () => T): T {
    const { cluster } = this.#parts;
    this.#inDoubt = true;
    cluster.kill(nodeId);
    const done = damage();
    cluster.versions.forget(nodeId);
    cluster.start(nodeId);
    this.#untilWhole(nodeId);
    return done;
  }

  #flipBit(nodeId: string): boolean {
    const { cluster } = this.#parts;
    if (!cluster.disks.flipBit(nodeId)) return false;
    this.#inDoubt = true;
    cluster.versions.forget(nodeId);
    this.#untilWhole(nodeId);
    return true;
  }

  /**
   * Sets a store back to a copy. A rollback that no peer's memory shows is a stated limit: so the copy is
   * used only when every peer has long heard of a later batch, and nothing else happens while the node
   * finds out.
   */
  #copy(nodeId: string, durationMs: number): boolean {
    const { cluster, time } = this.#parts;
    if (this.#hasCopy) return false;
    this.#hasCopy = true;
    const restore = cluster.disks.snapshot(nodeId);
    const batch = cluster.syncedBatch(nodeId);
    const use = async (): Promise<void> => {
      if (this.#parts.isOver()) return;
      if (this.#mayStrike() && (await cluster.allHeardAbove(nodeId, batch))) this.#putBack(nodeId, restore);
      else time.after(POLL_MS, () => void use());
    };
    time.after(durationMs, () => void use());
    return true;
  }

  #putBack(nodeId: string, restore: () => void): void {
    const { cluster, time, trace } = this.#parts;
    this.calm = true;
    cluster.network.unblockAll();
    time.after(REMEMBERED_AFTER_MS, () => {
      if (this.#mayStrike()) {
        trace.note(`${nodeId}: set back to the copy of its store`);
        this.#lose(nodeId, restore);
      }
      this.#hasCopy = false;
      time.after(CALM_MS, () => {
        this.calm = false;
      });
    });
  }
}
