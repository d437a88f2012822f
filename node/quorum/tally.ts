import type { Requirement } from './consistency.js';

export type Verdict = 'pending' | 'met' | 'lost';

export interface TallyReplica {
  nodeId: string;
  datacenter: string;
}

interface Count {
  datacenter: string | undefined;
  required: number;
  received: number;
  /** Replicas that may still answer. */
  outstanding: number;
}

/**
 * Counts the answers of one request's replicas. Each replica counts once; an answer that comes after the
 * deadline does not count, however late it is looked at: a recovering replica relies on no tally outliving
 * it (DESIGN §7). A three-valued vote, as etcd's raft/quorum.
 */
export class Tally {
  readonly deadlineMs: number;
  readonly #counts: Count[];
  readonly #open: Map<string, string>;

  /** `asked`: the replicas that the request is sent to. `deadlineMs` on the monotonic clock. */
  constructor(requirement: Requirement, asked: readonly TallyReplica[], deadlineMs: number) {
    this.deadlineMs = deadlineMs;
    this.#open = new Map(asked.map(({ nodeId, datacenter }) => [nodeId, datacenter]));
    this.#counts = requirement.map(({ datacenter, required }) => ({
      datacenter,
      required,
      received: 0,
      outstanding: asked.filter((r) => datacenter === undefined || r.datacenter === datacenter).length,
    }));
  }

  /** Answers that count toward the requirement, as `countedOf` counts them. */
  get received(): number {
    let sum = 0;
    for (const { required, received } of this.#counts) {
      sum += this.#counts.length === 1 ? received : Math.min(received, required);
    }
    return sum;
  }

  get verdict(): Verdict {
    let met = true;
    for (const { required, received, outstanding } of this.#counts) {
      if (received + outstanding < required) return 'lost';
      if (received < required) met = false;
    }
    return met ? 'met' : 'pending';
  }

  /** One more replica was asked (speculative retry). */
  ask({ nodeId, datacenter }: TallyReplica): void {
    if (this.#open.has(nodeId)) return;
    this.#open.set(nodeId, datacenter);
    for (const count of this.#counts) if (matches(count, datacenter)) count.outstanding++;
  }

  /** A replica answered at `nowMs`. Answers of strangers, second answers and late ones change nothing. */
  answer(nodeId: string, good: boolean, nowMs: number): Verdict {
    const datacenter = this.#open.get(nodeId);
    if (datacenter === undefined) return this.verdict;
    if (good && nowMs > this.deadlineMs) return this.verdict;
    this.#open.delete(nodeId);
    for (const count of this.#counts) {
      if (!matches(count, datacenter)) continue;
      count.outstanding--;
      if (good) count.received++;
    }
    return this.verdict;
  }
}

function matches(count: Count, datacenter: string): boolean {
  return count.datacenter === undefined || count.datacenter === datacenter;
}
