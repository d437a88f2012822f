import type { Violation } from '../../simulation/checkers/violation.js';
import type { SeededRandom } from '../../simulation/seeded-random.js';
import type { Clients } from '../clients.js';
import type { Links } from '../links.js';
import type { Nodes } from '../nodes.js';

/** What a fault may touch. */
export interface Scene {
  nodes: Nodes;
  clients: Clients;
  /** Undefined when the nodes' connections do not pass through this process. */
  links: Links | undefined;
  /** What the run's own keys start with. */
  keyPrefix: string;
  /** Entries that were looked at before and after a restart. */
  survivors: number;
  /** For what a fault keeps aside. */
  folder: string;
  random: SeededRandom;
  say(line: string): void;
  /** Something that must not happen, whatever strikes. */
  violated(violation: Violation): void;
  /** Passes some time, or less: resolves when the faults are to end. */
  pass(fromMs: number, toMs: number): Promise<void>;
  isOver(): boolean;
  /** A node whose process no other fault is busy with; undefined when there is none. */
  claim(nodeId?: string): string | undefined;
  release(nodeId: string): void;
  /** Starts a node and says whether it came up; what keeps it from it is a violation unless `mayFail`. */
  start(nodeId: string, options?: { mayFail: boolean }): Promise<boolean>;
  /**
   * Runs `act` when every node is up and whole, no store is in doubt and no other fault is going on. `act` gives
   * the node whose store it damaged: no store fault may strike until that one is whole again. False when the
   * moment did not come, or nothing was damaged.
   */
  whenWhole(act: () => Promise<string | undefined>): Promise<boolean>;
}

/** A way to hurt a running cluster. `strike` does it, waits, and undoes it: after it nothing of it is left. */
export interface Fault {
  name: string;
  /** Takes from a store what it had acknowledged: only where that was allowed, and one node at a time. */
  losesStore?: boolean;
  /** How often, beside the others. */
  weight?: number;
  /** Resolves with false when it could not strike now. */
  strike(scene: Scene): Promise<boolean>;
}
