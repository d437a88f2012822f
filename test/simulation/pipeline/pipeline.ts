import type { SimConfiguration } from '../configuration.js';
import type { History } from '../history.js';
import type { SimNetwork } from '../network.js';
import type { SeededRandom } from '../seeded-random.js';
import type { Trace } from '../trace.js';
import type { VirtualTime } from '../virtual-time.js';
import { CheckpointWatch } from './checkpoint-watch.js';
import type { PipelineConfiguration } from './configuration.js';
import { LogProcess } from './log-process.js';
import { Processors } from './processors.js';
import { Sources } from './sources.js';
import { Steps } from './steps.js';
import { Strikes } from './strikes.js';

export interface PipelineParts {
  config: SimConfiguration & { pipeline: PipelineConfiguration };
  time: VirtualTime;
  network: SimNetwork;
  trace: Trace;
  history: History;
  random: SeededRandom;
  nodeAt(address: string): string;
}

/** The counting pipeline in a run: log, processing instances, sources, and what befalls them. */
export class Pipeline {
  readonly log: LogProcess;
  readonly processors: Processors;
  readonly sources: Sources;
  readonly watch: CheckpointWatch;
  readonly struck: Record<string, number> = {};
  readonly #steps: Steps;
  readonly #parts: PipelineParts;
  readonly #random: SeededRandom;
  #strikes: Strikes | undefined;
  #isOver = false;

  constructor(parts: PipelineParts) {
    this.#parts = parts;
    const { config, random } = parts;
    this.#random = random.fork('pipeline faults');
    const { partitions, retentionMs } = config.pipeline;
    const count = (name: string) => this.#count(name);
    this.watch = new CheckpointWatch(count);
    this.#steps = new Steps(partitions, {
      held: (held) => this.watch.add(held),
      fenced: () => count('seen: owner fenced'),
    });
    const released = (partition: number, before: number) => this.watch.released(partition, before);
    this.log = new LogProcess({
      ...parts,
      random: random.fork('log'),
      partitions,
      retentionMs,
      released,
      count,
    });
    const { description } = this.log;
    this.processors = new Processors({ ...parts, random: random.fork('processors'), description, count });
    this.sources = new Sources({ ...parts, random: random.fork('sources'), description, count });
  }

  /** Lets the faults begin; call when those of the cluster have. */
  start(): void {
    const { pipeline, cluster } = this.#parts.config;
    const { processors } = this;
    const { network, time } = this.#parts;
    const random = this.#random;
    const one = () => random.pick(processors.names);
    this.#often(pipeline.killEveryMs, () => processors.kill(one()) && 'processor killed');
    this.#often(pipeline.stopEveryMs, () => processors.stop(one()));
    this.#often(pipeline.stallEveryMs, () => processors.stall(one(), this.#stallMs()) && 'processor stalled');
    this.#often(pipeline.stallEveryMs, () => processors.jump(one(), random.between(-6_000, 6_000)));
    this.#often(pipeline.logKillEveryMs, () => this.#killLog());
    this.#often(pipeline.logStallEveryMs, () => this.#stallLog());
    this.#often(pipeline.logStallEveryMs, () => this.log.jump(random.between(-6_000, 6_000)));
    this.#strikes = new Strikes({
      rates: pipeline.strikes,
      steps: this.#steps,
      nodes: cluster.nodes.map(({ id }) => id),
      network,
      time,
      random: random.fork('strikes'),
      kill: (name) => processors.kill(name),
      stall: (name) => processors.stall(name, this.#stallMs()),
      count: (name) => this.#count(name),
    });
  }

  heal(): void {
    this.#isOver = true;
    this.#strikes?.stop();
    this.log.resume();
    if (!this.log.running) this.log.start();
    this.processors.heal();
    this.sources.stop();
  }

  #stallMs(): number {
    return this.#random.between(50, 5_000);
  }

  #killLog(): string | undefined {
    if (!this.log.kill()) return undefined;
    this.#parts.time.after(this.#random.between(10, 1_500), () => {
      if (!this.log.running) this.log.start();
    });
    return 'log killed';
  }

  #stallLog(): string {
    this.log.pause();
    this.#parts.time.after(this.#random.between(20, 3_000), () => this.log.resume());
    return 'log stalled';
  }

  /** Now and then; `act` says what it did, if it could. */
  #often(everyMs: number, act: () => string | false | undefined): void {
    if (!Number.isFinite(everyMs)) return;
    this.#parts.time.after(-Math.log(1 - this.#random.next()) * everyMs, () => {
      if (this.#isOver) return;
      const did = act();
      if (did) this.#count(did);
      this.#often(everyMs, act);
    });
  }

  #count(name: string): void {
    this.struck[name] = (this.struck[name] ?? 0) + 1;
    this.#parts.trace.note(name.startsWith('seen') ? name : `FAULT ${name}`);
  }

  /** Ends of the partitions, as they are durable. */
  ends(): number[] {
    return this.log.ends();
  }

  /** What is not done yet: events that are still sent, partitions that are not counted to the end. */
  unfinished(): string[] {
    const waiting = this.sources.sent.filter(({ outcome }) => outcome === 'waiting').length;
    if (waiting > 0) return [`${waiting} events are not in the log`];
    return this.processors.behind(this.ends());
  }
}
