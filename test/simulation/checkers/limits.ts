import { getOrMake } from './grouping.js';
import type { Violation } from './violation.js';

/** How much of something a node holds at a moment, and how much it may. */
export interface Held {
  nodeId: string;
  /** In words, the same at every sample: "hint bytes for node-2". */
  what: string;
  amount: number;
  limit: number;
}

/** Watches samples of bounded things: none may hold more than its limit. Each is reported once. */
export class LimitWatch {
  /** The most that was ever held of each, as a share of its limit. */
  readonly fullest = new Map<string, number>();
  readonly #over = new Map<string, Violation>();

  get violations(): Violation[] {
    return [...this.#over.values()];
  }

  sampled(held: readonly Held[]): void {
    for (const { nodeId, what, amount, limit } of held) {
      this.fullest.set(what, Math.max(amount / limit, this.fullest.get(what) ?? 0));
      if (amount <= limit) continue;
      getOrMake(this.#over, `${nodeId} ${what}`, () => ({
        check: 'nothing grows beyond its limit',
        detail: `${nodeId} held ${amount} ${what}, ${limit} are allowed`,
      }));
    }
  }
}
