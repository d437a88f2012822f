import { TallyringClient } from '../../../client/client.js';
import { logDrivenLimits } from '../../../client/log-driven/options.js';
import { silentLogger } from '../../../ports/logger.js';
import { asTallyringError } from '../../../proto/errors.js';
import type { DeadLetters } from '../../../services/log/dead-letters.js';
import type { LogDescription } from '../../../services/log/log.js';
import { ProcessingInstance } from '../../../services/processing/instance.js';
import type { SimConfiguration } from '../configuration.js';
import type { SimNetwork } from '../network.js';
import { SimProcess } from '../process.js';
import { simClientTransport } from '../rpc.js';
import type { SeededRandom } from '../seeded-random.js';
import type { Trace } from '../trace.js';
import type { VirtualClock, VirtualTime } from '../virtual-time.js';
import type { PipelineConfiguration } from './configuration.js';
import { simLog } from './log-process.js';

export interface ProcessorParts {
  config: SimConfiguration & { pipeline: PipelineConfiguration };
  time: VirtualTime;
  network: SimNetwork;
  trace: Trace;
  random: SeededRandom;
  description: LogDescription;
  count(name: string): void;
  nodeAt(address: string): string;
}

/** How long an instance that is told to stop may take. */
const STOP_MS = 3_000;

interface Running {
  process: SimProcess;
  clock: VirtualClock;
  instance?: ProcessingInstance;
}

/** The processing instances, each on a machine of its own: killed and started anew, stalled and waking as zombies. */
export class Processors {
  readonly names: readonly string[];
  readonly #parts: ProcessorParts;
  readonly #running = new Map<string, Running>();
  #started = 0;
  #isOver = false;

  constructor(parts: ProcessorParts) {
    this.#parts = parts;
    this.names = Array.from({ length: parts.config.pipeline.instances }, (_, i) => `processor-${i + 1}`);
    for (const name of this.names) this.#start(name, parts.time.clock());
  }

  kill(name: string): boolean {
    const { process } = this.#running.get(name)!;
    if (!process.alive) return false;
    this.#parts.trace.note(`${name} is killed`);
    this.#end(name);
    return true;
  }

  /** In good order: commits, gives its partitions back and ends; killed when that takes long, as operators do. */
  stop(name: string): string | undefined {
    const { process, instance } = this.#running.get(name)!;
    if (!process.alive || process.paused || instance === undefined) return undefined;
    const end = (how: string) => {
      if (!process.alive) return;
      this.#parts.count(how);
      this.#end(name);
    };
    void instance.stop().then(() => end('processor stopped: gave all back'));
    this.#parts.time.after(STOP_MS, () => end('processor stopped: killed while it gave back'));
    return 'processor told to stop';
  }

  #end(name: string): void {
    const { process, clock } = this.#running.get(name)!;
    process.kill();
    this.#parts.network.died(process);
    if (this.#isOver) return;
    this.#parts.time.after(this.#parts.random.between(5, 800), () => {
      if (!this.#isOver) this.#start(name, clock);
    });
  }

  /** For so long that others may take over; what it was about to do it then does as a zombie. */
  stall(name: string, durationMs: number): boolean {
    const { process } = this.#running.get(name)!;
    if (!process.alive || process.paused) return false;
    this.#parts.trace.note(`${name} stalls`);
    process.pause();
    this.#parts.time.after(durationMs, () => this.#wake(process));
    return true;
  }

  #wake(process: SimProcess): void {
    if (!process.alive || !process.paused) return;
    const owned = (running: Running) =>
      [...(running.instance?.statuses() ?? [])].filter(([, { state }]) => state === 'owner').map(([p]) => p);
    const mine = new Set(owned(this.#running.get(process.name)!));
    const others = [...this.#running.values()].filter(
      (other) => other.process !== process && other.process.alive,
    );
    if (others.some((other) => owned(other).some((partition) => mine.has(partition))))
      this.#parts.count('seen: zombie woke beside its successor');
    process.resume();
  }

  jump(name: string, offsetMs: number): string {
    this.#running.get(name)!.clock.offsetMs = offsetMs;
    return 'processor clock set';
  }

  heal(): void {
    for (const { process, clock } of this.#running.values()) {
      clock.offsetMs = 0;
      process.resume();
    }
  }

  /** All stop in good order, for good. */
  finish(): void {
    this.#isOver = true;
    for (const [name, { process, instance }] of this.#running) {
      if (instance === undefined) this.#end(name);
      else void instance.stop().then(() => process.alive && this.#end(name));
    }
  }

  /** The smallest that any of them has. */
  get dedupWindow(): number {
    return Math.min(...this.#parts.config.pipeline.dedupWindows);
  }

  /** Those that live. */
  get alive(): string[] {
    return this.names.filter((name) => this.#running.get(name)!.process.alive);
  }

  /** Partitions that no living instance counts to the end of the log, with what their owners say. */
  behind(ends: readonly number[]): string[] {
    const committed = new Map<number, string>();
    const told: string[] = [];
    for (const [name, { process, instance }] of this.#running) {
      if (!process.alive || instance === undefined) continue;
      for (const [partition, status] of instance.statuses()) {
        const { state, error } = status;
        told.push(
          `${name}: ${partition} ${state} at ${status.committed}${error ? ` (${error.code}: ${error.message})` : ''}`,
        );
        if (state === 'owner' && status.committed === ends[partition]) committed.set(partition, name);
      }
    }
    if (ends.every((end, partition) => end === 0 || committed.has(partition))) return [];
    return told.length > 0 ? told : ['no processing instance runs'];
  }

  #start(name: string, clock: VirtualClock): void {
    const { time, network, random: root, config, trace, nodeAt } = this.#parts;
    const random = root.fork(`${name}/${++this.#started}`);
    const process = new SimProcess(name, time);
    network.attach(process);
    const running: Running = { process, clock };
    this.#running.set(name, running);
    const transport = simClientTransport(network, process, nodeAt);
    const contactPoints = config.cluster.nodes.map((node) => `${node.host}:${node.port}`);
    const open = () => {
      TallyringClient.open<'number'>(
        { contactPoints, attemptTimeoutMs: 500, requestTimeoutMs: 1_000 },
        { transport, clock, timers: process, random, logger: silentLogger, keepAlive() {} },
      ).then(
        (client) => {
          trace.note(`${name} is connected`);
          running.instance = this.#instance({ name, process, client, random });
          void running.instance.run();
        },
        (error) => {
          trace.note(`${name} cannot connect: ${asTallyringError(error).code}`);
          process.after(300, open);
        },
      );
    };
    open();
  }

  #instance(parts: {
    name: string;
    process: SimProcess;
    client: TallyringClient;
    random: SeededRandom;
  }): ProcessingInstance {
    const { network, description, config } = this.#parts;
    const { name, process, client, random } = parts;
    const log = simLog(network, process, description);
    const { flushIntervalMs, maxBatchRecords, maxCells, dedupWindows, takeOverAfterMs } = config.pipeline;
    const limits = logDrivenLimits({
      ...{ flushIntervalMs, maxBatchRecords, maxCells },
      maxBatchCells: Math.floor(maxCells / 2),
      heartbeatMs: takeOverAfterMs / 4,
      attemptTimeoutMs: 500,
      takeOverAfterMs,
    });
    return new ProcessingInstance({
      client,
      log,
      deadLetters: log.deadLetters as DeadLetters,
      pipeline: 'simulated',
      me: { name, incarnation: random.bytes(6).toString('hex'), address: name },
      limits: {
        ...limits,
        dedupWindow: random.pick(dedupWindows),
        maxPageBytes: random.pick([100, 10_000]),
        memberIntervalMs: takeOverAfterMs / 2,
        deadAfterMs: 2 * takeOverAfterMs,
        hot: { capacity: 5, maxEventTypes: 4, windowMs: 60_000 },
      },
    });
  }
}
