import { shuffled } from '../../ports/random.js';
import type { Violation } from '../simulation/checkers/violation.js';
import type { SeededRandom } from '../simulation/seeded-random.js';
import type { Clients } from './clients.js';
import type { Fault, Scene } from './faults/fault.js';
import type { Links } from './links.js';
import type { Nodes } from './nodes.js';
import { Operator } from './operator.js';

/** Mean time between two strikes, and how many faults may be going on at once. */
const EVERY_MS = 1_800;
const MAX_AT_ONCE = 2;
const POLL_MS = 250;
/** How long a store fault waits for its moment. */
const WHOLE_BOUND_MS = 60_000;
/** A damaged node recovers under faults for so long; then nothing strikes until it is whole, which has a bound. */
const SPARED_AFTER_MS = 8_000;
const RECOVERY_BOUND_MS = 60_000;

export interface NemesisParts {
  nodes: Nodes;
  clients: Clients;
  links: Links | undefined;
  keyPrefix: string;
  folder: string;
  random: SeededRandom;
  faults: readonly Fault[];
  say(line: string): void;
}

/** Strikes at random moments with all kinds of faults, until it is told to heal. */
export class Nemesis implements Scene {
  readonly nodes: Nodes;
  readonly clients: Clients;
  readonly links: Links | undefined;
  readonly keyPrefix: string;
  survivors = 0;
  readonly folder: string;
  readonly random: SeededRandom;
  readonly say: (line: string) => void;
  /** How often each kind struck. */
  readonly struck: Map<string, number>;
  readonly violations: Violation[] = [];
  readonly #faults: readonly Fault[];
  readonly #operator: Operator;
  readonly #active = new Map<Promise<void>, Fault>();
  readonly #claimed = new Set<string>();
  readonly #wakeUps = new Set<() => void>();
  #bag: Fault[] = [];
  #over = false;
  /** A store fault waits for its moment, or has it: nothing else begins. */
  #calm = false;
  /** A damaged node is left alone: nothing else begins. */
  #spared = false;
  /** The node whose store is in doubt: no second one may be until it is whole again. */
  #doubtful: string | undefined;

  constructor(parts: NemesisParts) {
    const { nodes, clients, links, keyPrefix, folder, random, faults, say } = parts;
    this.nodes = nodes;
    this.clients = clients;
    this.links = links;
    this.keyPrefix = keyPrefix;
    this.folder = folder;
    this.random = random;
    this.say = say;
    this.#faults = faults;
    this.struck = new Map(faults.map(({ name }) => [name, 0]));
    this.#operator = new Operator(this, { isDoubtful: (id) => id === this.#doubtful });
  }

  /** Resolves when `heal` was called and nothing of any fault is left. */
  async run(): Promise<void> {
    const operating = this.#operator.run();
    while (!this.#over) {
      const gapMs = -Math.log(1 - this.random.next()) * EVERY_MS;
      await this.pass(gapMs, gapMs);
      if (this.#over || this.#calm || this.#spared || this.#active.size >= MAX_AT_ONCE) continue;
      const fault = this.#next();
      if (fault !== undefined) this.#strike(fault);
    }
    await Promise.all(this.#active.keys());
    await operating;
  }

  /** No more strikes; those that go on undo what they did. */
  heal(): void {
    this.#over = true;
    this.#wakeAll();
  }

  /** A node that is down by itself, or its store: started again, as an operator would. */
  operate(): Promise<void> {
    return this.#operator.look();
  }

  isOver = () => this.#over;

  pass(fromMs: number, toMs: number): Promise<void> {
    if (this.#over) return Promise.resolve();
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.#wakeUps.delete(done);
        resolve();
      };
      const timer = setTimeout(done, this.random.between(fromMs, toMs));
      this.#wakeUps.add(done);
    });
  }

  claim(nodeId?: string): string | undefined {
    const free = this.nodes.ids.filter((id) => !this.#claimed.has(id));
    const claimed = nodeId === undefined ? shuffled(this.random, free)[0] : free.find((id) => id === nodeId);
    if (claimed !== undefined) this.#claimed.add(claimed);
    return claimed;
  }

  release(nodeId: string): void {
    this.#claimed.delete(nodeId);
  }

  violated(violation: Violation): void {
    this.violations.push(violation);
    this.say(`VIOLATED ${violation.check}: ${violation.detail}`);
  }

  async start(nodeId: string, { mayFail } = { mayFail: false }): Promise<boolean> {
    const result = await this.nodes.start(nodeId);
    if (result === 'answers') return true;
    if (!mayFail) this.violated({ check: 'nodes start', detail: `${nodeId}: ${result.ended}` });
    return false;
  }

  async whenWhole(act: () => Promise<string | undefined>): Promise<boolean> {
    this.#calm = true;
    this.#wakeAll(); // what goes on ends sooner
    try {
      if (!(await this.#untilCalm())) return false;
      this.#doubtful = await act();
      if (this.#doubtful === undefined) return false;
      void this.#untilWhole(this.#doubtful);
      return true;
    } finally {
      this.#calm = false;
    }
  }

  #wakeAll(): void {
    for (const wakeUp of this.#wakeUps) wakeUp();
  }

  async #untilCalm(): Promise<boolean> {
    const untilMs = performance.now() + WHOLE_BOUND_MS;
    while (!this.#over && performance.now() < untilMs) {
      const isAlone = this.#active.size === 1 && this.#claimed.size === 0;
      if (isAlone && this.#doubtful === undefined && (await this.nodes.allWhole())) return !this.#over;
      await this.pass(POLL_MS, POLL_MS);
    }
    return false;
  }

  /** Faults go on while it recovers, for a while; then it must get there. */
  async #untilWhole(nodeId: string): Promise<void> {
    const startMs = performance.now();
    let isLate = false;
    while (!this.#over && !(await this.nodes.isWhole(nodeId))) {
      await this.pass(POLL_MS, POLL_MS);
      const passedMs = performance.now() - startMs;
      this.#spared = passedMs > SPARED_AFTER_MS;
      if (isLate || passedMs < SPARED_AFTER_MS + RECOVERY_BOUND_MS) continue;
      isLate = true;
      const detail = `${nodeId} did not within ${RECOVERY_BOUND_MS / 1_000} s: ${await this.nodes.describe()}`;
      this.violated({ check: 'a damaged node recovers when it is left alone', detail });
    }
    this.#spared = false;
    if (this.#over) return;
    this.say(`${nodeId} is whole again`);
    this.#doubtful = undefined;
  }

  /** Every kind comes up before any comes up again, as far as it may strike now. */
  #next(): Fault | undefined {
    if (this.#bag.length === 0) {
      const all = this.#faults.flatMap((fault) => Array.from({ length: fault.weight ?? 1 }, () => fault));
      this.#bag = shuffled(this.random, all);
    }
    const isStoreBusy =
      this.#doubtful !== undefined || [...this.#active.values()].some(({ losesStore }) => losesStore);
    const at = this.#bag.findIndex((fault) => !(fault.losesStore && isStoreBusy));
    if (at < 0) this.#bag.push(...this.#faults.filter((fault) => !fault.losesStore));
    return at < 0 ? undefined : this.#bag.splice(at, 1)[0];
  }

  #strike(fault: Fault): void {
    const striking = fault
      .strike(this)
      .then((hasStruck) => {
        if (hasStruck) this.struck.set(fault.name, this.struck.get(fault.name)! + 1);
      })
      .catch((error: unknown) => {
        this.violated({ check: 'the run itself', detail: `${fault.name}: ${(error as Error).stack}` });
      })
      .finally(() => this.#active.delete(striking));
    this.#active.set(striking, fault);
  }
}
