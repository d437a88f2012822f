import type { SimCluster } from './cluster.js';
import {
  COORDINATOR,
  describeFault,
  type Fault,
  type FaultKind,
  type Link,
  nameOfFault,
  REPLICA,
} from './faults.js';
import type { Reply } from './network.js';
import { linksAround } from './partitions.js';
import type { SeededRandom } from './seeded-random.js';
import { StoreFaults } from './store-faults.js';
import type { Trace } from './trace.js';
import type { VirtualClock, VirtualTime } from './virtual-time.js';

const POLL_MS = 250;
/** How long a node that is told to stop may take before it is killed. */
const STOP_MS = 3_000;
/** How long a rolling restart waits for a node to be normal again before it goes on. */
const ROLL_PATIENCE_MS = 4_000;

/** What the nemesis may do to clients. */
export interface ClientFaults {
  /** Kills a client process and starts another one on its machine. */
  crash(name: string): void;
  clockOf(name: string): VirtualClock | undefined;
  /** Sends a node much at once. */
  burst(nodeId: string, burst: NonNullable<Fault['burst']>): void;
}

export interface NemesisParts {
  cluster: SimCluster;
  clients: ClientFaults;
  schedule: readonly Fault[];
  /** For the operator's patience alone: the faults are drawn already. */
  random: SeededRandom;
  time: VirtualTime;
  trace: Trace;
}

interface Armed {
  fault: Fault;
  replies: number;
}

/** Carries out a schedule, and is the operator who restarts what stopped; `heal` undoes all of it. */
export class Nemesis {
  /** How often each fault really struck, by name. */
  readonly struck: Record<string, number> = {};
  readonly #parts: NemesisParts;
  readonly #stores: StoreFaults;
  readonly #watcher = { replied: (reply: Reply) => this.#replied(reply) };
  #armed: Armed[] = [];
  #stopped = false;

  constructor(parts: NemesisParts) {
    this.#parts = parts;
    this.#stores = new StoreFaults({ ...parts, isOver: () => this.#stopped });
  }

  start(): void {
    const { schedule, time, cluster } = this.#parts;
    for (const fault of schedule) {
      if (fault.trigger === undefined) time.after(fault.atMs, () => this.#strike(fault));
      else this.#armed.push({ fault, replies: 0 });
    }
    cluster.network.watchers.add(this.#watcher);
    this.#operate();
  }

  /** Everything works from now on: the network, every node, every disk and clock. */
  heal(): void {
    const { cluster, trace } = this.#parts;
    this.#stopped = true;
    trace.note('heal: the faults are over');
    cluster.network.watchers.delete(this.#watcher);
    cluster.network.healAll();
    for (const node of cluster.nodes) {
      node.clock.offsetMs = 0;
      cluster.resume(node.nodeId);
      cluster.disks.repair(node.nodeId);
      if (!node.running || node.storeFailed) cluster.restart(node.nodeId);
    }
  }

  /** Faults that wait for this reply strike when everything that it brought about at once was done. */
  #replied(reply: Reply): void {
    for (const armed of this.#armed) {
      const { trigger } = armed.fault;
      if (!reply.method.startsWith(trigger!.reply) || ++armed.replies !== trigger!.nth) continue;
      const { node } = armed.fault;
      const struck = node === COORDINATOR ? reply.to : node === REPLICA ? reply.from : node;
      const fault = { ...armed.fault };
      if (struck !== undefined) fault.node = struck;
      this.#parts.time.after(0, () => this.#strike(fault));
    }
    this.#armed = this.#armed.filter(({ fault, replies }) => replies < fault.trigger!.nth);
  }

  #strike(fault: Fault): void {
    if (this.#stopped || this.#stores.calm) return;
    const name = nameOfFault(fault);
    if (!this.#acts[fault.kind](fault)) return;
    this.struck[name] = (this.struck[name] ?? 0) + 1;
    this.#parts.trace.note(`FAULT ${describeFault(fault)}`);
  }

  /** What each kind does; false when it cannot strike now. */
  readonly #acts: Record<FaultKind, (fault: Fault) => boolean> = {
    partition: (fault) => this.#partition(fault),
    'slow peer': (fault) => this.#slowPeer(fault),
    kill: (fault) => this.#kill(fault),
    'kill at start': (fault) => this.#killAtStart(fault),
    'rolling restart': ({ delayMs }) => this.#rollingRestart(delayMs!),
    pause: (fault) => this.#pause(fault),
    'clock jump': (fault) => this.#jump(this.#parts.cluster.node(fault.node!).clock, fault),
    'client clock jump': (fault) => this.#jump(this.#parts.clients.clockOf(fault.node!), fault),
    'client crash': ({ node }) => {
      this.#parts.clients.crash(node!);
      return true;
    },
    overload: ({ node, burst }) => {
      this.#parts.clients.burst(node!, burst!);
      return true;
    },
    'slow disk': ({ node, factor, durationMs }) => {
      const { disks } = this.#parts.cluster;
      disks.slow(node!, factor!);
      this.#later(durationMs!, () => disks.slow(node!, 1));
      return true;
    },
    'failed write': ({ node }) => {
      this.#parts.cluster.disks.failNextWrite(node!);
      return true;
    },
    wipe: (fault) => this.#stores.strike(fault),
    'old snapshot': (fault) => this.#stores.strike(fault),
    'lost batch': (fault) => this.#stores.strike(fault),
    'flipped bit': (fault) => this.#stores.strike(fault),
  };

  #later(delayMs: number, act: () => void): void {
    this.#parts.time.after(delayMs, () => {
      if (!this.#stopped) act();
    });
  }

  /** The node that is meant; when it is down or paused, the next one that is not. */
  #victim({ node }: Fault): string | undefined {
    const { nodes } = this.#parts.cluster;
    const first = nodes.findIndex(({ nodeId }) => nodeId === node);
    const order = [...nodes.slice(first), ...nodes.slice(0, first)];
    return order.find(({ running, paused }) => running && !paused)?.nodeId;
  }

  #startIfDown(nodeId: string): void {
    const { cluster } = this.#parts;
    if (!cluster.node(nodeId).running) cluster.start(nodeId);
  }

  #partition({ links, node, durationMs }: Fault): boolean {
    const { network } = this.#parts.cluster;
    const cut: readonly Link[] = links ?? linksAround(node!, network.names());
    for (const [from, to] of cut) network.block(from, to);
    this.#later(durationMs!, () => {
      this.#parts.trace.note('a partition is over');
      for (const [from, to] of cut) network.unblock(from, to);
    });
    return true;
  }

  #slowPeer({ node, delayMs, durationMs }: Fault): boolean {
    const { network } = this.#parts.cluster;
    network.slow(node!, delayMs!);
    this.#later(durationMs!, () => network.slow(node!, 0));
    return true;
  }

  #kill(fault: Fault): boolean {
    const nodeId = this.#victim(fault);
    if (nodeId === undefined) return false;
    this.#parts.cluster.kill(nodeId);
    this.#later(fault.durationMs!, () => this.#startIfDown(nodeId));
    return true;
  }

  #killAtStart(fault: Fault): boolean {
    const { cluster } = this.#parts;
    const nodeId = this.#victim(fault);
    if (nodeId === undefined) return false;
    cluster.restart(nodeId);
    this.#later(fault.delayMs!, () => {
      if (!cluster.node(nodeId).running) return;
      cluster.kill(nodeId);
      this.#later(fault.durationMs!, () => this.#startIfDown(nodeId));
    });
    return true;
  }

  #pause(fault: Fault): boolean {
    const { cluster } = this.#parts;
    const nodeId = this.#victim(fault);
    if (nodeId === undefined) return false;
    cluster.pause(nodeId);
    this.#later(fault.durationMs!, () => cluster.resume(nodeId));
    return true;
  }

  /** One node after the other stops in good order and starts again. */
  #rollingRestart(pauseMs: number): boolean {
    const { cluster, time } = this.#parts;
    const roll = (left: readonly string[]): void => {
      const [nodeId, ...others] = left;
      if (nodeId === undefined || this.#stopped) return;
      cluster.stop(nodeId, STOP_MS, () => {
        if (this.#stopped) return this.#startIfDown(nodeId);
        this.#startIfDown(nodeId);
        const untilMs = time.nowMs + ROLL_PATIENCE_MS;
        const wait = (): void => {
          if (cluster.isWhole(nodeId) || time.nowMs > untilMs) this.#later(pauseMs, () => roll(others));
          else this.#later(POLL_MS, wait);
        };
        wait();
      });
    };
    roll(cluster.nodes.map(({ nodeId }) => nodeId));
    return true;
  }

  #jump(clock: VirtualClock | undefined, { jumpMs, durationMs }: Fault): boolean {
    if (clock === undefined) return false;
    clock.offsetMs += jumpMs!;
    this.#later(durationMs!, () => {
      clock.offsetMs = 0;
    });
    return true;
  }

  /** The operator: restarts a node whose store stopped, or that did not come up. */
  #operate(): void {
    const { cluster, time, random } = this.#parts;
    for (const node of cluster.nodes) {
      const stuck = node.storeFailed || node.failedToStart;
      if (stuck && !node.paused && random.chance(0.3)) cluster.restart(node.nodeId);
    }
    time.after(POLL_MS, () => this.#operate());
  }
}
