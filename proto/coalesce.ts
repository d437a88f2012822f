import type { Clock } from '../ports/clock.js';
import { TallyringError } from './errors.js';

export interface CoalescerParts<Q, A> {
  clock: Clock;
  /** Calls on their way at a time; what comes beyond goes together in the next one. */
  maxInFlight: number;
  /** Items of one call. */
  maxItems: number;
  /** One call. Resolves with one answer per item, in order. */
  send(items: readonly Q[], timeoutMs: number): Promise<A[]>;
}

interface Waiting<Q, A> {
  items: readonly Q[];
  deadlineMs: number;
  resolve(answers: A[]): void;
  reject(error: unknown): void;
}

/**
 * Many small calls to one place as few larger ones: while `maxInFlight` calls are on their way, what is asked
 * meanwhile waits and then goes in one call. An idle place is asked at once; a busy one is spared the cost of
 * a call per item, which is most of what a small read costs.
 */
export class Coalescer<Q, A> {
  readonly #parts: CoalescerParts<Q, A>;
  #waiting: Waiting<Q, A>[] = [];
  #inFlight = 0;

  constructor(parts: CoalescerParts<Q, A>) {
    this.#parts = parts;
  }

  /** Rejects as `send` does, or with READ_TIMEOUT when `timeoutMs` passed before the items' turn came. */
  ask(items: readonly Q[], timeoutMs: number): Promise<A[]> {
    const deadlineMs = this.#parts.clock.monotonicMs() + timeoutMs;
    return new Promise((resolve, reject) => {
      this.#waiting.push({ items, deadlineMs, resolve, reject });
      this.#pump();
    });
  }

  #pump(): void {
    while (this.#inFlight < this.#parts.maxInFlight && this.#waiting.length > 0) {
      const group = this.#takeGroup();
      if (group.length > 0) void this.#send(group);
    }
  }

  /** The next calls that fit into one; those whose time is over are told so. */
  #takeGroup(): Waiting<Q, A>[] {
    const nowMs = this.#parts.clock.monotonicMs();
    const group: Waiting<Q, A>[] = [];
    let size = 0;
    let taken = 0;
    for (const one of this.#waiting) {
      if (group.length > 0 && size + one.items.length > this.#parts.maxItems) break;
      if (group.length > 0 && !alike(one.deadlineMs - nowMs, group[0]!.deadlineMs - nowMs)) break;
      taken++;
      if (one.deadlineMs <= nowMs) {
        one.reject(
          new TallyringError('READ_TIMEOUT', 'the node was busy until the deadline; nothing was sent'),
        );
        continue;
      }
      group.push(one);
      size += one.items.length;
    }
    this.#waiting = this.#waiting.slice(taken);
    return group;
  }

  async #send(group: readonly Waiting<Q, A>[]): Promise<void> {
    this.#inFlight++;
    try {
      const timeoutMs = Math.min(...group.map((one) => one.deadlineMs)) - this.#parts.clock.monotonicMs();
      const items = group.length === 1 ? group[0]!.items : group.flatMap((one) => one.items);
      const answers = await this.#parts.send(items, timeoutMs);
      let at = 0;
      for (const one of group) {
        one.resolve(answers.slice(at, at + one.items.length));
        at += one.items.length;
      }
    } catch (error) {
      for (const one of group) one.reject(error);
    } finally {
      this.#inFlight--;
      this.#pump();
    }
  }
}

/** Calls share the shortest of their deadlines, so only those go together whose time left is about the same. */
function alike(leftMs: number, otherMs: number): boolean {
  return leftMs <= otherMs * 2 && otherMs <= leftMs * 2;
}
