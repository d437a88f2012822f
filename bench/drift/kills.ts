import type { System } from './system.js';

export interface Kill {
  /** The index of the event before which the node dies. */
  atEvent: number;
  node: number;
}

/** Where in the stream each node dies: at the same events in every system. The rest is for the last one's return. */
const AT = [
  { share: 0.05, node: 1 },
  { share: 0.35, node: 2 },
  { share: 0.65, node: 3 },
];
/** How long a node stays dead before it is started again. */
export const DEAD_MS = 3_000;

export function killsOf(events: number): Kill[] {
  return AT.map(({ share, node }) => ({ atEvent: Math.floor(share * events), node }));
}

/**
 * Kills nodes at their events, one after the other, and brings each back. Never two at once: while a node is not
 * back, the event of the next kill waits.
 */
export class Killing {
  readonly #system: Pick<System, 'kill' | 'start'>;
  readonly #kills: Kill[];
  readonly #deadMs: number;
  #back: Promise<void> = Promise.resolve();
  /** For the progress line. */
  state = 'all nodes up';
  killed = 0;

  constructor(system: Pick<System, 'kill' | 'start'>, kills: readonly Kill[], deadMs = DEAD_MS) {
    this.#system = system;
    this.#kills = [...kills];
    this.#deadMs = deadMs;
  }

  /** To be awaited before the event is sent. */
  before(index: number): Promise<void> | undefined {
    if (index !== this.#kills[0]?.atEvent) return undefined;
    return this.#strike(this.#kills.shift()!.node);
  }

  /** Resolves when the node killed last is back; rejects when one did not come back. */
  allBack(): Promise<void> {
    return this.#back;
  }

  async #strike(node: number): Promise<void> {
    await this.#back;
    this.#system.kill(node);
    this.killed++;
    this.#back = this.#bringBack(node);
    this.#back.catch(() => undefined); // thrown to whoever awaits it next
  }

  async #bringBack(node: number): Promise<void> {
    this.state = `node ${node} killed`;
    await new Promise((resolve) => setTimeout(resolve, this.#deadMs));
    this.state = `node ${node} starts`;
    await this.#system.start(node);
    this.state = 'all nodes up';
  }
}
