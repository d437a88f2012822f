import type { ProcessingHealth } from '../../services/processing/health.js';
import { waitUntil } from '../chaos/drill-cluster.js';
import type { SeededRandom } from '../simulation/seeded-random.js';
import type { Pipeline } from './pipeline.js';

const TAKEN_OVER_BOUND_MS = 60_000;
/** How long what was killed stays away. */
const AWAY_MS = { instance: [100, 1_000], node: [500, 4_000], log: [100, 2_000] } as const;

export interface NemesisOptions {
  pipeline: Pipeline;
  random: SeededRandom;
  /** Between the start of one kill of an instance and of the next, about. */
  everyMs: number;
  say(line: string): void;
}

/**
 * Strikes a pipeline until it is stopped. Two hands: one kills instances, the other stalls an instance, kills a node
 * or the log, one after the other.
 */
export class Nemesis {
  readonly struck = { instance: 0, stall: 0, node: 0, log: 0 };
  readonly #options: NemesisOptions;
  readonly #over = new AbortController();
  #running: Promise<unknown> | undefined;

  constructor(options: NemesisOptions) {
    this.#options = options;
  }

  start(): void {
    this.#running = Promise.all([this.#killInstances(), this.#strikeOthers()]);
    this.#running.catch(() => {}); // `stop` throws it
  }

  /** Ends the strikes and brings back what is away. Throws what went wrong with one. */
  async stop(): Promise<void> {
    this.#over.abort();
    await this.#running;
  }

  get text(): string {
    const { instance, stall, node, log } = this.struck;
    return `${instance} instances, ${node} nodes, ${log} logs killed, ${stall} stalls`;
  }

  async #killInstances(): Promise<void> {
    const { pipeline, random, everyMs } = this.#options;
    const { processes, instances } = pipeline;
    for (;;) {
      const startMs = performance.now();
      const victims = instances.filter((name) => !processes.isPaused(name));
      const name = random.pick(victims);
      if (processes.isAlive(name)) {
        await processes.kill(name);
        this.struck.instance++;
        await pass(random.between(...AWAY_MS.instance));
      }
      if (!processes.isAlive(name)) pipeline.launch(name);
      const restMs = everyMs * random.between(0.5, 1.5) - (performance.now() - startMs);
      if (!(await this.#rest(restMs))) return;
    }
  }

  async #strikeOthers(): Promise<void> {
    const { random, everyMs } = this.#options;
    const strikes = [() => this.#stall(), () => this.#killLog(), () => this.#stall(), () => this.#killNode()];
    for (let i = 0; ; i++) {
      await strikes[i % strikes.length]!();
      if (!(await this.#rest(random.between(0.1, 0.4) * everyMs))) return;
    }
  }

  /** Stopped until others have owned all its partitions, and then some: it wakes beside its successors. */
  async #stall(): Promise<void> {
    const { pipeline, random, say } = this.#options;
    const owning = (await pipeline.healths()).filter((health) => ownedBy(health).length > 0);
    if (owning.length === 0) return;
    const health = random.pick(owning);
    pipeline.processes.pause(health.name);
    const startMs = performance.now();
    const before = await pipeline.owned();
    const left = new Set(ownedBy(health).filter((partition) => !before.has(partition)));
    // None: others had taken over already, and it did not know yet.
    if (left.size > 0) {
      await waitUntil(
        `others own ${[...left]} of ${health.name}, which stalls`,
        TAKEN_OVER_BOUND_MS,
        async () => {
          for (const partition of await pipeline.owned()) left.delete(partition);
          return left.size === 0;
        },
      );
      const tookMs = performance.now() - startMs;
      this.struck.stall++;
      say(`${health.name} stalled, taken over after ${(tookMs / 1_000).toFixed(1)} s`);
      await pass(random.between(0, 1_000));
    }
    pipeline.processes.resume(health.name);
  }

  async #killNode(): Promise<void> {
    const { pipeline, random } = this.#options;
    const node = random.pick(pipeline.nodes);
    await pipeline.processes.kill(node);
    this.struck.node++;
    await pass(random.between(...AWAY_MS.node));
    pipeline.launch(node);
    await pipeline.untilWell(node);
  }

  async #killLog(): Promise<void> {
    const { pipeline, random } = this.#options;
    await pipeline.log.kill();
    this.struck.log++;
    await pass(random.between(...AWAY_MS.log));
    await pipeline.log.start();
  }

  /** False when it is over. */
  async #rest(ms: number): Promise<boolean> {
    const { signal } = this.#over;
    if (ms > 0 && !signal.aborted)
      await waitUntil('the next strike', ms, async () => signal.aborted).catch(() => {});
    return !signal.aborted;
  }
}

function ownedBy({ partitions }: ProcessingHealth): number[] {
  return partitions.filter(({ state }) => state === 'owner').map(({ partition }) => partition);
}

/** The drill's own pace, not a wait for a condition. */
export function pass(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
