import { createMetrics } from '../../node/metrics.js';
import { createNode, type TallyNode } from '../../node/node.js';
import type { OpenedStore, Store } from '../../node/storage/store.js';
import { silentLogger } from '../../ports/logger.js';
import type { Entry } from '../../proto/entry.js';
import { type Answered, DeadlineWatch } from './checkers/deadlines.js';
import type { Held } from './checkers/limits.js';
import { VersionWatch } from './checkers/versions.js';
import type { SimConfiguration } from './configuration.js';
import { SimDisks } from './disks.js';
import type { SimNetwork } from './network.js';
import type { Plants } from './plants.js';
import { SimProcess } from './process.js';
import { serveNode, simPeers } from './rpc.js';
import type { SeededRandom } from './seeded-random.js';
import { tellEntries } from './story.js';
import type { Trace } from './trace.js';
import type { VirtualClock, VirtualTime } from './virtual-time.js';
import { PendingMerges, watchMerges } from './watched-store.js';

/** Hints are not synced: a kill may take the batch that counted them and leave them there, until they are replayed. */
const HINT_DRIFT = 2;

export interface ClusterParts {
  config: SimConfiguration;
  time: VirtualTime;
  random: SeededRandom;
  trace: Trace;
  network: SimNetwork;
  plants: Plants;
}

/** A machine: its clock and disk stay, processes on it come and go. */
export class SimNode {
  readonly nodeId: string;
  readonly clock: VirtualClock;
  process: SimProcess | undefined;
  node: TallyNode | undefined;
  store: Store | undefined;
  pending = new PendingMerges();
  /** Greater at every start, and at least the wall time in seconds. */
  generation = 0;
  starts = 0;
  failedToStart = false;

  constructor(nodeId: string, clock: VirtualClock) {
    this.nodeId = nodeId;
    this.clock = clock;
  }

  get running(): boolean {
    return this.process?.alive ?? false;
  }

  get paused(): boolean {
    return this.process?.paused ?? false;
  }

  get storeFailed(): boolean {
    return this.running && this.node?.health().storeState === 'failed';
  }
}

/** Starts, kills, pauses and inspects whole nodes. */
export class SimCluster {
  readonly nodes: SimNode[];
  readonly disks: SimDisks;
  readonly versions = new VersionWatch();
  readonly deadlines: DeadlineWatch;
  readonly network: SimNetwork;
  /** Starts that failed, in words: an operator would look into these. */
  readonly failedStarts: string[] = [];
  readonly #parts: ClusterParts;
  /** Of all nodes together: nobody looks at them, and each would cost more than many a start. */
  readonly #metrics = createMetrics('simulated');

  constructor(parts: ClusterParts) {
    this.#parts = parts;
    this.network = parts.network;
    this.deadlines = new DeadlineWatch(parts.config.cluster.limits.maxRequestMs);
    const ids = parts.config.cluster.nodes.map((node) => node.id);
    this.disks = new SimDisks(ids, { cluster: parts.config.cluster, random: parts.random });
    this.nodes = ids.map((nodeId) => new SimNode(nodeId, parts.time.clock()));
  }

  node(nodeId: string): SimNode {
    return this.nodes.find((node) => node.nodeId === nodeId)!;
  }

  nodeAt(address: string): string {
    const port = Number(address.split(':').at(-1));
    return this.#parts.config.cluster.nodes.find((node) => node.port === port)!.id;
  }

  /** Starts a process; it comes up in its own time. `newCluster` only when the cluster is made. */
  start(nodeId: string, newCluster = false): void {
    const { config, trace, random } = this.#parts;
    const machine = this.node(nodeId);
    const generation = Math.max(machine.generation + 1, Math.floor(machine.clock.wallMs() / 1000));
    machine.generation = generation;
    const started = ++machine.starts;
    const process = new SimProcess(nodeId, this.#parts.time);
    trace.note(`${nodeId} starts (process ${started})`);
    machine.process = process;
    machine.failedToStart = false;
    machine.store = undefined;
    machine.node = createNode({
      config: config.cluster,
      nodeId,
      generation,
      newCluster,
      clock: machine.clock,
      timers: process,
      random: random.fork(`${nodeId}/${started}`),
      logger: this.#logger(nodeId),
      metrics: this.#metrics,
      peers: simPeers(this.network, process),
      openStore: (onCommit) => this.#openStore(machine, process, onCommit),
    });
    const { node } = machine;
    const answered = (call: Omit<Answered, 'nodeId'>) => this.deadlines.answered({ ...call, nodeId });
    this.network.attach(process, serveNode(node, { nowMs: () => this.#parts.time.nowMs, answered }));
    node.start().then(
      () => trace.note(`${nodeId} is up (process ${started}): ${node.health().status}`),
      (error: Error) => {
        if (!process.alive) return;
        if (!isInjected(error)) this.failedStarts.push(`${nodeId}: ${error.message}`);
        trace.note(`${nodeId} does not start: ${error.message}`);
        this.kill(nodeId);
        machine.failedToStart = true;
      },
    );
  }

  async #openStore(
    machine: SimNode,
    process: SimProcess,
    onCommit: (changes: Parameters<VersionWatch['committed']>[1]) => void,
  ): Promise<OpenedStore> {
    const { nodeId } = machine;
    const opened = await this.disks.open(nodeId, {
      clock: machine.clock,
      timers: process,
      metrics: this.#metrics,
      onCommit: (changes) => {
        if (!process.alive) return;
        this.versions.committed(nodeId, changes);
        onCommit(changes);
      },
    });
    if (opened.opening.doubts.length > 0) this.versions.forget(nodeId);
    this.versions.reopened(nodeId, this.disks.entries(nodeId));
    this.#tell(nodeId, 'starts with');
    machine.pending = new PendingMerges();
    const store = watchMerges(opened.store, machine.pending, (entries) => {
      this.versions.merged(nodeId, entries);
      tellEntries(this.#parts.trace, `${nodeId} is to merge`, entries);
    });
    const watched = { ...opened, store };
    machine.store = store;
    return this.#parts.plants.openStore?.(watched) ?? watched;
  }

  /** For the story: what every node holds. */
  tellContents(): void {
    for (const { nodeId } of this.nodes) this.#tell(nodeId, 'holds');
  }

  #tell(nodeId: string, verb: string): void {
    const { trace } = this.#parts;
    if (trace.keepsStory) tellEntries(trace, `${nodeId} ${verb}`, this.disks.entries(nodeId));
  }

  #logger(nodeId: string) {
    const { trace } = this.#parts;
    if (!trace.keepsStory) return silentLogger;
    const say = (level: string) => (fields: object, message: string) =>
      trace.tell(`  ${nodeId} ${level}: ${message} ${JSON.stringify(fields)}`);
    return { debug() {}, info: say('info'), warn: say('WARN'), error: say('ERROR') };
  }

  /** kill -9: what was not synced is lost, timers and promises of the process never fire again. */
  kill(nodeId: string): void {
    const machine = this.node(nodeId);
    const { process } = machine;
    if (!process?.alive) return;
    this.#parts.trace.note(`${nodeId} is killed`);
    this.disks.kill(nodeId);
    this.#end(machine, process);
  }

  restart(nodeId: string): void {
    this.kill(nodeId);
    this.start(nodeId);
  }

  /** SIGTERM: the node ends in good order; one that takes longer is killed. Calls back when it is gone. */
  stop(nodeId: string, withinMs: number, then: () => void): void {
    const { time, trace } = this.#parts;
    const machine = this.node(nodeId);
    const { process, node } = machine;
    if (!process?.alive || node === undefined) {
      then();
      return;
    }
    trace.note(`${nodeId} stops`);
    const late = time.after(withinMs, () => {
      if (machine.process === process) this.kill(nodeId);
      then();
    });
    node.stop().then(
      () => {
        if (!process.alive) return;
        late.cancel();
        trace.note(`${nodeId} has stopped`);
        this.#end(machine, process);
        then();
      },
      () => undefined, // it is killed when its time is over
    );
  }

  #end(machine: SimNode, process: SimProcess): void {
    process.kill();
    this.network.died(process);
    machine.node = undefined;
    machine.store = undefined;
  }

  pause(nodeId: string): void {
    const { process } = this.node(nodeId);
    if (!process?.alive || process.paused) return;
    this.#parts.trace.note(`${nodeId} is paused`);
    process.pause();
  }

  resume(nodeId: string): void {
    const { process } = this.node(nodeId);
    if (!process?.alive || !process.paused) return;
    this.#parts.trace.note(`${nodeId} goes on`);
    process.resume();
  }

  /** Up, normal, and nothing on its disk is bad. */
  isWhole(nodeId: string): boolean {
    const { node, running, paused, store } = this.node(nodeId);
    if (!running || paused || node === undefined || store === undefined) return false;
    const health = node.health();
    if (!health.serving || health.status !== 'normal' || health.storeState !== 'ok') return false;
    return store.damagedRows().length === 0 && !this.disks.hasBadEntries(nodeId);
  }

  syncedBatch(nodeId: string): number {
    return this.node(nodeId).store?.syncedBatch ?? 0;
  }

  /** Whether every other node has heard, in gossip, of a later batch of this node. */
  async allHeardAbove(nodeId: string, batch: number): Promise<boolean> {
    for (const { nodeId: other, node } of this.nodes) {
      if (other === nodeId) continue;
      const report = await node?.calls.report({ timeoutMs: 1_000 });
      const facts = report?.endpoints.find((endpoint) => endpoint.nodeId === nodeId)?.facts;
      if (!(Number(facts?.syncedBatch ?? 0) > batch)) return false;
    }
    return true;
  }

  /** What each node holds of what is bounded. */
  held(): Held[] {
    const { maxHintBytesPerTarget, maxPendingMergeBytes } = this.#parts.config.cluster.limits;
    return this.nodes.flatMap(({ nodeId, pending }) => [
      {
        nodeId,
        what: 'bytes of merges that wait',
        amount: pending.bytes,
        limit: Math.max(maxPendingMergeBytes, pending.largest),
      },
      ...this.nodes.map(({ nodeId: target }) => ({
        nodeId,
        what: `hint bytes for ${target}`,
        amount: this.disks.hintBytes(nodeId, target),
        limit: maxHintBytesPerTarget * HINT_DRIFT,
      })),
    ]);
  }

  /** What stands on each node's disk. */
  stores(): Map<string, Entry[]> {
    return new Map(this.nodes.map(({ nodeId }) => [nodeId, this.disks.entries(nodeId)]));
  }
}

/** Whether a start failed of a write that the harness let fail. */
function isInjected(error: unknown): boolean {
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
    if (cause.message.includes('no space left')) return true;
  }
  return false;
}
