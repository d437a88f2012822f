import type { Cut } from './case.js';
import { checkEndings } from './checkers/endings.js';
import { checkFinalValues } from './checkers/final-value.js';
import { LimitWatch } from './checkers/limits.js';
import { checkMonotonicReads, checkReadBounds } from './checkers/reads.js';
import { checkRefusals } from './checkers/refusals.js';
import { checkRegisters } from './checkers/registers.js';
import { checkReplicasEqual } from './checkers/replicas-equal.js';
import type { Violation } from './checkers/violation.js';
import { SimCluster } from './cluster.js';
import { configurationOf, describeConfiguration, type SimConfiguration } from './configuration.js';
import type { Fault } from './faults.js';
import { History, overlappingLevels } from './history.js';
import { Nemesis } from './nemesis.js';
import { SimNetwork } from './network.js';
import { catchUp, checkAll, endAll } from './pipeline/ending.js';
import { Pipeline, type PipelineParts } from './pipeline/pipeline.js';
import { burstClient, plainClient } from './plain-clients.js';
import type { Plants } from './plants.js';
import { RegisterOwner } from './register-owners.js';
import { scheduleOf } from './schedule.js';
import { SdkClients } from './sdk-clients.js';
import { SeededRandom } from './seeded-random.js';
import { Trace } from './trace.js';
import { VirtualTime } from './virtual-time.js';
import { Reader, type Workload, type WorkloadParts } from './workloads.js';

export interface RunResult {
  seed: number;
  configuration: string;
  datacenters: number;
  /** What the shrinker may make less of. */
  config: Required<Omit<Cut, 'without' | 'limits'>>;
  violations: Violation[];
  /** Hash of everything that was delivered and done: the same for the same seed. */
  hash: string;
  events: number;
  simulatedMs: number;
  /** From the end of the faults until all had ended and all replicas were equal; undefined when never. */
  healedAfterMs: number | undefined;
  /** From the end of the faults until the pipeline had counted all; undefined when never, or without one. */
  countedAfterMs: number | undefined;
  /** A record was still damaged when the faults ended: then it is the scrub that all wait for. */
  damaged: boolean;
  /** What was planned, and how often each fault really struck, by name. */
  schedule: readonly Fault[];
  struck: Record<string, number>;
  cpuMs: number;
  counts: { acknowledged: number; inDoubt: number; notApplied: number; reads: number; failedReads: number };
  story: string[];
}

export interface RunOptions {
  story?: boolean;
  plants?: Plants;
  /** How many times longer and busier than a default run. */
  scale?: number;
  /** Changes what the seed decided. */
  adjust?: (config: SimConfiguration) => void;
  /** In place of the faults that the seed draws. */
  schedule?: readonly Fault[];
}

const START_BOUND_MS = 30_000;
/**
 * After the faults everything must have ended, every node be normal and all replicas equal, within this: twice
 * the most that was measured.
 */
export const LIVENESS_BOUND_MS = 40_000;
/** A damaged record that nobody reads is found by the scrub alone, which rests a minute between two passes. */
const SCRUB_PASS_MS = 62_000;
const POLL_MS = 500;
const SAMPLE_MS = 300;

/** Runs one seed: start, safety phase, heal, liveness phase, checkers. */
export async function runSeed(seed: number, options: RunOptions = {}): Promise<RunResult> {
  const cpu = process.cpuUsage();
  const config = configurationOf(seed, options.scale);
  options.adjust?.(config);
  const schedule = options.schedule ?? scheduleOf(config);
  const run = new Run(config, schedule, options);
  const violations = await run.run();
  const { user, system } = process.cpuUsage(cpu);
  const { sdkClients, plainClients, readers, registerOwners, keys, safetyMs } = config;
  return {
    seed,
    configuration: describeConfiguration(config, schedule),
    datacenters: Object.keys(config.cluster.replication).length,
    config: { sdkClients, plainClients, readers, registerOwners, keys, safetyMs },
    violations,
    hash: run.trace.hash(),
    events: run.time.events,
    simulatedMs: run.time.nowMs,
    healedAfterMs: run.healedAfterMs,
    countedAfterMs: run.countedAfterMs,
    damaged: run.damaged,
    schedule,
    struck: run.struck,
    cpuMs: (user + system) / 1000,
    counts: countOutcomes(run.history),
    story: run.trace.story,
  };
}

class Run {
  readonly time: VirtualTime;
  readonly trace: Trace;
  readonly history: History;
  readonly limits = new LimitWatch();
  healedAfterMs: number | undefined;
  countedAfterMs: number | undefined;
  damaged = false;
  struck: Record<string, number> = {};
  readonly #config: SimConfiguration;
  readonly #schedule: readonly Fault[];
  readonly #random: SeededRandom;
  readonly #network: SimNetwork;
  readonly #cluster: SimCluster;
  #pipeline: Pipeline | undefined;

  constructor(config: SimConfiguration, schedule: readonly Fault[], options: RunOptions) {
    const random = new SeededRandom(config.seed);
    const time = new VirtualTime(random.fork('time'));
    const trace = new Trace(time, options.story ?? false);
    const network = new SimNetwork({ time, random: random.fork('network'), trace });
    network.maxQueueBytes = config.cluster.limits.maxPeerQueueBytes;
    const plants = options.plants ?? {};
    this.#config = config;
    this.#schedule = schedule;
    this.#random = random;
    this.time = time;
    this.trace = trace;
    this.history = new History(() => time.nowMs);
    this.#network = network;
    this.#cluster = new SimCluster({ config, time, random: random.fork('cluster'), trace, network, plants });
  }

  async run(): Promise<Violation[]> {
    const started = await this.#start();
    if (started.length > 0) return started;
    const workloads = this.#startWorkloads();
    const nemesis = new Nemesis({
      cluster: this.#cluster,
      clients: {
        crash: (name) => workloads.sdk.crash(name),
        clockOf: (name) => workloads.sdk.clockOf(name),
        burst: workloads.burst,
      },
      schedule: this.#schedule,
      random: this.#random.fork('operator'),
      time: this.time,
      trace: this.trace,
    });
    this.#network.faults = this.#config.network;
    nemesis.start();
    workloads.pipeline?.start();
    this.#sample();
    await this.time.run(this.time.nowMs + this.#config.safetyMs);
    nemesis.heal();
    workloads.pipeline?.heal();
    workloads.sdk.setClocks();
    for (const workload of workloads.others) workload.stop();
    workloads.sdk.stop();
    const live = await this.#finishPipeline();
    live.push(...(await this.#converge()));
    if (live.length === 0) live.push(...(await this.#callRegisters(workloads.owners)));
    if (live.length === 0) live.push(...(await this.#converge()));
    this.#cluster.tellContents();
    this.struck = { ...nemesis.struck, ...this.#network.struck, ...workloads.pipeline?.struck };
    return [...live, ...this.#check()];
  }

  async #start(): Promise<Violation[]> {
    const { nodes, failedStarts } = this.#cluster;
    for (const { nodeId } of nodes) this.#cluster.start(nodeId, true);
    const allUp = () => nodes.every(({ nodeId }) => this.#cluster.isWhole(nodeId));
    if (await this.time.runUntil(allUp, START_BOUND_MS)) return [];
    return [{ check: 'a new cluster starts', detail: failedStarts.join('; ') || (await this.#statuses()) }];
  }

  #startWorkloads() {
    const readers: Reader[] = [];
    const others: Workload[] = [];
    const parts: WorkloadParts = {
      config: this.#config,
      time: this.time,
      random: this.#random.fork('workload'),
      trace: this.trace,
      network: this.#network,
      history: this.history,
      nodeAt: (address) => this.#cluster.nodeAt(address),
      acknowledged: (event) => {
        for (const reader of readers) reader.acknowledged(event);
      },
    };
    for (let i = 1; i <= this.#config.plainClients; i++) others.push(plainClient(parts, `plain-${i}`));
    for (let i = 1; i <= this.#config.readers; i++) readers.push(new Reader(parts, `reader-${i}`));
    const owners = Array.from(
      { length: this.#config.registerOwners },
      (_, i) => new RegisterOwner(parts, `owner-${i + 1}`),
    );
    const sdk = new SdkClients(parts);
    if (this.#config.pipeline !== undefined) this.#pipeline = new Pipeline(parts as PipelineParts);
    const pipeline = this.#pipeline;
    return { sdk, owners, pipeline, others: [...others, ...owners, ...readers], burst: burstClient(parts) };
  }

  /** All is counted, within the bound; then the instances end. */
  async #finishPipeline(): Promise<Violation[]> {
    if (this.#pipeline === undefined) return [];
    const healedMs = this.time.nowMs;
    this.damaged = this.#cluster.disks.isDamaged;
    const boundMs = LIVENESS_BOUND_MS + (this.damaged ? SCRUB_PASS_MS : 0);
    const behind = await catchUp(this.#pipeline, this.time, boundMs);
    if (behind.length === 0) this.countedAfterMs = this.time.nowMs - healedMs;
    // Copies of appends may be on their way for seconds: those that came are counted, the others come too late.
    this.#pipeline.log.end();
    await this.time.run(this.time.nowMs + POLL_MS);
    behind.push(...(await catchUp(this.#pipeline, this.time, boundMs)));
    return [...behind, ...(await endAll(this.#pipeline, this.time, LIVENESS_BOUND_MS))];
  }

  /** The liveness phase: all operations end, all nodes are normal, all replicas equal, within the bound. */
  async #converge(): Promise<Violation[]> {
    const healedMs = this.time.nowMs;
    this.damaged ||= this.#cluster.disks.isDamaged;
    const boundMs = healedMs + LIVENESS_BOUND_MS + (this.damaged ? SCRUB_PASS_MS : 0);
    while (this.time.nowMs < boundMs) {
      await this.time.run(this.time.nowMs + POLL_MS);
      if (!this.history.unsettled().next().done) continue;
      if (!this.#cluster.nodes.every(({ nodeId }) => this.#cluster.isWhole(nodeId))) continue;
      if (this.#replicasDiffer().length > 0) continue;
      this.healedAfterMs ??= this.time.nowMs - healedMs;
      return [];
    }
    const whole = this.#cluster.nodes.every(({ nodeId }) => this.#cluster.isWhole(nodeId));
    return whole ? [] : [{ check: 'every node is normal again', detail: await this.#statuses() }];
  }

  /** Looks now and then at what is bounded. */
  #sample(): void {
    this.limits.sampled(this.#cluster.held());
    this.time.after(SAMPLE_MS, () => this.#sample());
  }

  /** Nobody may be locked out of a register for good, and what was confirmed last must be there. */
  async #callRegisters([owner]: readonly RegisterOwner[]): Promise<Violation[]> {
    let failed: string[] | undefined = [];
    if (owner !== undefined) {
      failed = undefined;
      owner.last().then((calls) => {
        failed = calls;
      });
      await this.time.runUntil(() => failed !== undefined, this.time.nowMs + LIVENESS_BOUND_MS);
    }
    if (failed === undefined) return [{ check: 'registers serve again', detail: 'calls that never end' }];
    return failed.map((detail) => ({ check: 'registers serve again', detail }));
  }

  #replicasDiffer(): Violation[] {
    return checkReplicasEqual(this.#cluster.stores(), this.#config.replicas);
  }

  #check(): Violation[] {
    const { rollups, replication } = this.#config.cluster;
    const overlapping = overlappingLevels(replication);
    // Its increments are in its log, and judged by that.
    const isPipeline = this.#pipeline !== undefined;
    return [
      ...(this.#pipeline ? checkAll(this.#pipeline, this.#cluster.stores(), rollups) : []),
      ...this.#cluster.versions.violations,
      ...this.#cluster.deadlines.violations,
      ...this.limits.violations,
      ...checkEndings(this.history),
      ...checkRefusals(this.history.increments),
      ...(isPipeline ? [] : checkReadBounds(this.history, rollups, overlapping)),
      ...checkMonotonicReads(this.history, overlapping),
      ...checkRegisters(this.history.registers),
      ...this.#replicasDiffer(),
      ...(isPipeline ? [] : checkFinalValues(this.history.increments, this.#cluster.stores(), rollups)),
      ...this.#cluster.failedStarts.map((detail) => ({ check: 'nodes start', detail })),
    ];
  }

  /** Every node in a few words, with what it waits for. */
  async #statuses(): Promise<string> {
    const each = this.#cluster.nodes.map(async ({ nodeId, node, running, paused, store }) => {
      if (!running || node === undefined) return `${nodeId} is down`;
      const { status, storeState, serving } = node.health();
      if (!serving) return `${nodeId} ${status}, store ${storeState}${paused ? ', paused' : ''}`;
      const { waitsFor } = await node.calls.report({ timeoutMs: 1_000 });
      const damaged = store?.damagedRows().length ?? 0;
      const bad = this.#cluster.disks.hasBadEntries(nodeId) ? ', bad entries on disk' : '';
      return `${nodeId} ${status}, ${damaged} damaged rows${bad}${waitsFor ? `, waits for ${waitsFor}` : ''}`;
    });
    return (await Promise.all(each)).join('; ');
  }
}

function countOutcomes({ increments, reads }: History): RunResult['counts'] {
  const outcomes = (outcome: string) => increments.filter((one) => one.outcome === outcome).length;
  const failedReads = reads.filter((read) => read.error !== undefined).length;
  return {
    acknowledged: outcomes('acknowledged'),
    inDoubt: outcomes('in doubt') + outcomes('lost'),
    notApplied: outcomes('not applied'),
    reads: reads.length,
    failedReads,
  };
}
