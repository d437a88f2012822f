import type { Arrival, Reply, SimNetwork } from '../network.js';
import { linksAround } from '../partitions.js';
import type { SeededRandom } from '../seeded-random.js';
import type { VirtualTime } from '../virtual-time.js';
import type { Step, StepName, Steps } from './steps.js';

/**
 * How likely each of them is at every such step: the instance is killed, or stalls; the node is cut off from its peers;
 * killed and cut off both; the cut ends, unless it is the second of this node;
 * the node that was cut off last is so again.
 */
export interface StepRates {
  kill?: number;
  stall?: number;
  cut?: number;
  both?: number;
  mend?: number;
  again?: number;
  /** How long a cut lasts. */
  cutMs?: readonly [from: number, to: number];
}
export type StrikeRates = Partial<Record<StepName, StepRates>>;

export interface StrikeParts {
  rates: StrikeRates;
  steps: Steps;
  network: SimNetwork;
  time: VirtualTime;
  random: SeededRandom;
  nodes: readonly string[];
  kill(process: string): void;
  stall(process: string): void;
  count(name: string): void;
}

const CUT_MS = [100, 3_000] as const;

/** Strikes where it hurts most: between two steps of a processing instance. */
export class Strikes {
  readonly #parts: StrikeParts;
  #cut: string | undefined;
  #lastCut: string | undefined;
  #cuts = 0;
  #isOver = false;

  constructor(parts: StrikeParts) {
    this.#parts = parts;
    parts.network.watchers.add({
      arrived: (arrival) => this.#arrived(arrival),
      replied: (reply) => this.#replied(reply),
    });
  }

  stop(): void {
    this.#isOver = true;
  }

  #arrived(arrival: Arrival): void {
    const step = this.#parts.steps.before(arrival);
    if (step !== undefined) this.#strike(step);
  }

  #replied(reply: Reply): void {
    const step = this.#parts.steps.after(reply);
    if (step !== undefined) this.#strike(step);
  }

  #strike({ name, process, other }: Step): void {
    const { rates, random, count, time } = this.#parts;
    const { kill = 0, stall = 0, cut = 0, both = 0, mend = 0, again = 0, cutMs = CUT_MS } = rates[name] ?? {};
    if (this.#isOver) return;
    if (this.#cut === this.#lastCut && random.chance(mend) && this.#mend()) count(`cut over: ${name}`);
    const isBoth = random.chance(both);
    const isAgain = random.chance(again);
    const node = isAgain ? this.#lastCut : other;
    if ((isAgain || isBoth || random.chance(cut)) && this.#cutOff(node, random.between(...cutMs))) {
      this.#lastCut = isAgain ? undefined : node;
      count(`node cut off: ${name}`);
    }
    const what = isBoth ? 0 : random.next();
    if (!isBoth && what >= kill + stall) return;
    const kills = isBoth || what < kill;
    const [told, act] = kills
      ? (['killed', this.#parts.kill] as const)
      : (['stalled', this.#parts.stall] as const);
    count(`processor ${told}: ${name}`);
    // Before it saw the answer, or after it sent what follows from it.
    if (random.chance(0.5)) act(process);
    else time.after(0, () => act(process));
  }

  /** From the other nodes alone, one node at a time. */
  #cutOff(node: string | undefined, durationMs: number): boolean {
    const { network, time, nodes } = this.#parts;
    if (node === undefined || !nodes.includes(node) || this.#cut !== undefined) return false;
    this.#cut = node;
    for (const [from, to] of linksAround(node, nodes)) network.block(from, to);
    const nth = ++this.#cuts;
    time.after(durationMs, () => nth === this.#cuts && this.#mend());
    return true;
  }

  #mend(): boolean {
    const { network, nodes } = this.#parts;
    const node = this.#cut;
    this.#cut = undefined;
    if (node === undefined || this.#isOver) return false; // or all was healed
    for (const [from, to] of linksAround(node, nodes)) network.unblock(from, to);
    return true;
  }
}
