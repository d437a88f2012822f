import type { SimCluster } from './cluster.js';
import { FAULT_KINDS, type FaultKind, type SimConfiguration } from './configuration.js';
import type { SeededRandom } from './seeded-random.js';
import type { Trace } from './trace.js';
import type { VirtualTime } from './virtual-time.js';

const POLL_MS = 250;
/** Until what a node's peers heard of its batches stands on their disks, with a margin. */
const REMEMBERED_AFTER_MS = 2_500;
/** How long the rest of the cluster is left alone while a node whose store was set back starts. */
const CALM_MS = 4_000;

export interface NemesisParts {
  cluster: SimCluster;
  config: SimConfiguration;
  random: SeededRandom;
  time: VirtualTime;
  trace: Trace;
  /** Kills one client process and starts another one in its place. */
  crashClient(): void;
}

/** Strikes with every enabled fault at random times until it is stopped; `heal` undoes all of it. */
export class Nemesis {
  readonly #parts: NemesisParts;
  #stopped = false;
  /** A store is in doubt: no second one may be until it is whole again. */
  #storeFault = false;
  #calm = false;
  #snapshot: { nodeId: string; restore: () => void } | undefined;

  constructor(parts: NemesisParts) {
    this.#parts = parts;
  }

  start(): void {
    for (const kind of FAULT_KINDS) this.#plan(kind);
    this.#operate();
  }

  #plan(kind: FaultKind): void {
    const { config, random, time } = this.#parts;
    const everyMs = config.faultEveryMs[kind];
    if (everyMs === undefined) return;
    time.after(-Math.log(1 - random.next()) * everyMs, () => {
      if (this.#stopped) return;
      this.#strike(kind);
      this.#plan(kind);
    });
  }

  #strike(kind: FaultKind): void {
    if (this.#calm) return;
    const strikes: Record<FaultKind, () => void> = {
      partition: () => this.#partition(),
      kill: () => this.#kill(),
      'kill at start': () => this.#killAtStart(),
      pause: () => this.#pause(),
      'slow disk': () => this.#slowDisk(),
      'failed write': () => this.#failedWrite(),
      'clock jump': () => this.#clockJump(),
      'client crash': () => this.#parts.crashClient(),
      wipe: () => this.#wipe(),
      'old snapshot': () => this.#oldSnapshot(),
      'lost batch': () => this.#lostBatch(),
      'flipped bit': () => this.#flippedBit(),
    };
    strikes[kind]();
  }

  /** Everything works from now on: the network, every node, every disk and clock. */
  heal(): void {
    const { cluster, trace } = this.#parts;
    this.#stopped = true;
    trace.note('heal: the faults are over');
    cluster.network.healAll();
    for (const node of cluster.nodes) {
      node.clock.offsetMs = 0;
      cluster.resume(node.nodeId);
      cluster.disks.repair(node.nodeId);
      if (!node.running || node.storeFailed) this.#restart(node.nodeId);
    }
  }

  #later(fromMs: number, toMs: number, act: () => void): void {
    const { time, random } = this.#parts;
    time.after(random.between(fromMs, toMs), () => {
      if (!this.#stopped) act();
    });
  }

  #running(): string | undefined {
    const { cluster, random } = this.#parts;
    const running = cluster.nodes.filter((node) => node.running && !node.paused);
    return running.length === 0 ? undefined : random.pick(running).nodeId;
  }

  #restart(nodeId: string): void {
    const { cluster } = this.#parts;
    cluster.kill(nodeId);
    cluster.start(nodeId);
  }

  // ---- network

  #partition(): void {
    const { cluster, random, trace } = this.#parts;
    const { network } = cluster;
    const names = [...cluster.nodes.map((node) => node.nodeId), ...cluster.clientNames()];
    const side = new Set(names.filter(() => random.chance(0.35)));
    const oneWay = random.chance(0.3);
    const links: [string, string][] = [];
    for (const from of names) {
      for (const to of names) {
        if (from === to || side.has(from) === side.has(to)) continue;
        if (!oneWay || side.has(from)) links.push([from, to]);
      }
    }
    if (links.length === 0) return;
    trace.note(`partition: ${[...side].join(' ')} ${oneWay ? 'cannot send to' : 'and'} the others`);
    for (const [from, to] of links) network.block(from, to);
    this.#later(200, 8_000, () => {
      trace.note('partition over');
      for (const [from, to] of links) network.unblock(from, to);
    });
  }

  // ---- processes

  #kill(): void {
    const nodeId = this.#running();
    if (nodeId === undefined) return;
    this.#parts.cluster.kill(nodeId);
    this.#later(50, 6_000, () => this.#startIfDown(nodeId));
  }

  #startIfDown(nodeId: string): void {
    const { cluster } = this.#parts;
    if (!cluster.node(nodeId).running) cluster.start(nodeId);
  }

  #killAtStart(): void {
    const nodeId = this.#running();
    if (nodeId === undefined) return;
    const { cluster } = this.#parts;
    this.#restart(nodeId);
    this.#later(0, 40, () => {
      if (!cluster.node(nodeId).running) return;
      cluster.kill(nodeId);
      this.#later(10, 2_000, () => this.#startIfDown(nodeId));
    });
  }

  #pause(): void {
    const nodeId = this.#running();
    if (nodeId === undefined) return;
    const { cluster } = this.#parts;
    cluster.pause(nodeId);
    this.#later(50, 8_000, () => cluster.resume(nodeId));
  }

  #clockJump(): void {
    const { cluster, random, trace } = this.#parts;
    const node = random.pick(cluster.nodes);
    const jumpMs = random.pick([-7_200_000, -5_000, -20, 50, 3_000, 600_000]);
    node.clock.offsetMs += jumpMs;
    trace.note(`the clock of ${node.nodeId} jumps by ${jumpMs} ms`);
    this.#later(500, 10_000, () => {
      node.clock.offsetMs = 0;
    });
  }

  // ---- disks

  #slowDisk(): void {
    const { cluster, random, trace } = this.#parts;
    const { nodeId } = random.pick(cluster.nodes);
    const factor = random.pick([5, 50, 400]);
    trace.note(`the disk of ${nodeId} is ${factor} times slower`);
    cluster.disks.slow(nodeId, factor);
    this.#later(200, 5_000, () => cluster.disks.slow(nodeId, 1));
  }

  #failedWrite(): void {
    const { cluster, random, trace } = this.#parts;
    const { nodeId } = random.pick(cluster.nodes);
    trace.note(`the next write of ${nodeId}'s disk fails`);
    cluster.disks.failNextWrite(nodeId);
  }

  /** The operator: restarts a node whose store stopped, or that did not come up. */
  #operate(): void {
    const { cluster, time, random } = this.#parts;
    for (const node of cluster.nodes) {
      const stuck = node.storeFailed || node.failedToStart;
      if (stuck && !node.paused && random.chance(0.3)) this.#restart(node.nodeId);
    }
    time.after(POLL_MS, () => this.#operate());
  }

  /** A store fault may strike when every store is whole and every node is up. */
  #mayLoseStore(): boolean {
    const { cluster } = this.#parts;
    return !this.#storeFault && cluster.nodes.every((node) => cluster.isWhole(node.nodeId));
  }

  #untilWhole(nodeId: string): void {
    const { cluster, time, trace } = this.#parts;
    time.after(POLL_MS, () => {
      if (!cluster.isWhole(nodeId)) return this.#untilWhole(nodeId);
      trace.note(`the store of ${nodeId} is whole again`);
      this.#storeFault = false;
    });
  }

  /** Kills a node, does something to its disk, starts it again, and lets no other store be lost until it is whole. */
  #loseStore(what: string, nodeId: string, damage: () => unknown): void {
    const { cluster, trace } = this.#parts;
    this.#storeFault = true;
    cluster.kill(nodeId);
    trace.note(`${nodeId}: ${what}`);
    damage();
    cluster.versions.forget(nodeId);
    cluster.start(nodeId);
    this.#untilWhole(nodeId);
  }

  #wipe(): void {
    const { cluster, random } = this.#parts;
    if (!this.#mayLoseStore()) return;
    const { nodeId } = random.pick(cluster.nodes);
    this.#loseStore('the store is wiped', nodeId, () => cluster.disks.wipe(nodeId));
  }

  #lostBatch(): void {
    const { cluster, random } = this.#parts;
    if (!this.#mayLoseStore()) return;
    const { nodeId } = random.pick(cluster.nodes);
    this.#loseStore('a batch in the middle is lost', nodeId, () => cluster.disks.loseMiddleBatch(nodeId));
  }

  #flippedBit(): void {
    const { cluster, random, trace } = this.#parts;
    if (!this.#mayLoseStore()) return;
    const { nodeId } = random.pick(cluster.nodes);
    if (!cluster.disks.flipBit(nodeId)) return;
    trace.note(`${nodeId}: a bit of a stored entry is flipped`);
    this.#storeFault = true;
    cluster.versions.forget(nodeId);
    this.#untilWhole(nodeId);
  }

  /**
   * Sets a store back to a copy. A rollback that no peer's memory shows is a stated limit: so the copy is
   * used only when every peer has long heard of a later batch, and nothing else happens while the node
   * finds out.
   */
  #oldSnapshot(): void {
    const { cluster, random, time, trace } = this.#parts;
    if (this.#snapshot !== undefined || !this.#mayLoseStore()) return;
    const { nodeId } = random.pick(cluster.nodes);
    const restore = cluster.disks.snapshot(nodeId);
    const batch = cluster.syncedBatch(nodeId);
    trace.note(`${nodeId}: a copy of the store is made at batch ${batch}`);
    this.#snapshot = { nodeId, restore };
    const use = async (): Promise<void> => {
      if (this.#stopped) return;
      if (!this.#mayLoseStore() || !(await cluster.allHeardAbove(nodeId, batch))) {
        time.after(POLL_MS, () => void use());
        return;
      }
      this.#calm = true;
      cluster.network.unblockAll();
      time.after(REMEMBERED_AFTER_MS, () => {
        if (this.#mayLoseStore() && !this.#stopped) this.#loseStore('set back to the copy', nodeId, restore);
        this.#snapshot = undefined;
        time.after(CALM_MS, () => {
          this.#calm = false;
        });
      });
    };
    time.after(random.between(200, 1_500), () => void use());
  }
}
