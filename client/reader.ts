import type { Clock, Timers } from '../ports/clock.js';
import type { CallOptions, Outcome } from '../proto/calls.js';
import { asTallyringError, type ErrorData, errorFromData, errorToData } from '../proto/errors.js';
import type { ConsistencyLevel } from '../proto/level.js';
import { HedgeBudget, hedged } from './hedge.js';
import { isUnreachable, type KnownNode } from './node-table.js';
import type { Topology } from './topology.js';
import type { NodeConnection } from './transport.js';

/** Queries of one call; nodes take at most 1,000. */
const MAX_QUERIES_PER_CALL = 500;

/** Reads that take longer than `afterMs` ask a second node, as many as are this share of all. */
export interface Hedging {
  afterMs: number;
  share: number;
}

export interface ReadPlan {
  level: ConsistencyLevel;
  timeoutMs: number;
  signal?: AbortSignal | undefined;
}

interface ReadRun<Q, A> extends ReadPlan {
  deadlineMs: number;
  call(
    connection: NodeConnection,
    queries: readonly Q[],
    level: ConsistencyLevel,
    options: CallOptions,
  ): Promise<Outcome<A>[]>;
}

/** Queries that one call carries, by their indexes, and who is asked first. */
interface Group {
  node: KnownNode | undefined;
  indexes: number[];
}

/**
 * Reads through the replicas of each key. A read changes nothing, so whatever failed for the node's sake is
 * asked of the other nodes in turn, until the deadline.
 */
export class Reader {
  readonly #topology: Topology;
  readonly #clock: Clock;
  readonly #timers: Timers;
  readonly #attemptTimeoutMs: number;
  readonly #hedging: { afterMs: number; budget: HedgeBudget } | undefined;

  constructor(parts: {
    topology: Topology;
    clock: Clock;
    timers: Timers;
    attemptTimeoutMs: number;
    hedging?: Hedging | undefined;
  }) {
    this.#topology = parts.topology;
    this.#clock = parts.clock;
    this.#timers = parts.timers;
    this.#attemptTimeoutMs = parts.attemptTimeoutMs;
    const { hedging } = parts;
    this.#hedging = hedging && { afterMs: hedging.afterMs, budget: new HedgeBudget(hedging.share) };
  }

  /** One outcome per query, in order. Rejects only with the signal's reason. */
  async read<Q extends { key: string }, A>(
    queries: readonly Q[],
    call: ReadRun<Q, A>['call'],
    plan: ReadPlan,
  ): Promise<Outcome<A>[]> {
    plan.signal?.throwIfAborted();
    const run: ReadRun<Q, A> = { ...plan, call, deadlineMs: this.#clock.monotonicMs() + plan.timeoutMs };
    const outcomes: Outcome<A>[] = new Array(queries.length);
    const reading = Promise.all(
      this.#group(queries, plan.level).map(async ({ node, indexes }) => {
        const asked = indexes.map((index) => queries[index]!);
        const part = await this.#readGroup(asked, node, run);
        for (const [i, index] of indexes.entries()) outcomes[index] = part[i]!;
      }),
    );
    await orAborted(reading, plan.signal);
    return outcomes;
  }

  /**
   * As `read`, for calls that answer the first of their queries, as many as an answer holds, one at least: the
   * node is asked again for the rest.
   */
  readInParts<Q extends { key: string }, A>(
    queries: readonly Q[],
    call: ReadRun<Q, A>['call'],
    plan: ReadPlan,
  ): Promise<Outcome<A>[]> {
    const whole: ReadRun<Q, A>['call'] = async (connection, asked, level, { timeoutMs, signal }) => {
      const deadlineMs = this.#clock.monotonicMs() + timeoutMs;
      const outcomes: Outcome<A>[] = [];
      while (outcomes.length < asked.length) {
        const leftMs = Math.max(1, deadlineMs - this.#clock.monotonicMs());
        const rest = asked.slice(outcomes.length);
        outcomes.push(...(await call(connection, rest, level, { timeoutMs: leftMs, signal })));
      }
      return outcomes;
    };
    return this.read(queries, whole, plan);
  }

  /** Indexes of the queries that one call may carry: same preferred coordinator, not too many. */
  #group(queries: readonly { key: string }[], level: ConsistencyLevel): Group[] {
    const bySet = new Map<number, KnownNode | undefined>();
    const open = new Map<KnownNode | undefined, Group>();
    const groups: Group[] = [];
    for (const [i, { key }] of queries.entries()) {
      const { index, nodeIds } = this.#topology.replicasOfKey(key);
      if (!bySet.has(index)) bySet.set(index, this.#topology.choose(nodeIds, { level }));
      const node = bySet.get(index);
      let group = open.get(node);
      if (group === undefined || group.indexes.length >= MAX_QUERIES_PER_CALL) {
        group = { node, indexes: [] };
        open.set(node, group);
        groups.push(group);
      }
      group.indexes.push(i);
    }
    return groups;
  }

  async #readGroup<Q extends { key: string }, A>(
    queries: readonly Q[],
    preferred: KnownNode | undefined,
    run: ReadRun<Q, A>,
  ): Promise<Outcome<A>[]> {
    const silence = { error: noAnswer(run.timeoutMs) };
    const outcomes = queries.map((): Outcome<A> => silence);
    const { nodeIds } = this.#topology.replicasOfKey(queries[0]!.key);
    const tried = new Set<string>();
    let open = queries.map((_, i) => i);
    while (open.length > 0 && !run.signal?.aborted) {
      const leftMs = run.deadlineMs - this.#clock.monotonicMs();
      const isFirst = tried.size === 0;
      const node = isFirst ? preferred : this.#topology.choose(nodeIds, { level: run.level, except: tried });
      if (leftMs <= 0 || node === undefined) break;
      // A node that is down is a last resort, not a second opinion on what another one said.
      if (!node.up && !isFirst && open.every((i) => !isCallFailure(outcomes[i]!))) break;
      const timeoutMs = Math.min(leftMs, this.#attemptTimeoutMs * 2 ** tried.size);
      tried.add(node.nodeId);
      open = await this.#attempt(node, timeoutMs, { queries, open, outcomes, run });
    }
    return outcomes;
  }

  /** Asks one node for what is open; gives back what another node may answer. */
  async #attempt<Q extends { key: string }, A>(
    node: KnownNode,
    timeoutMs: number,
    state: { queries: readonly Q[]; open: number[]; outcomes: Outcome<A>[]; run: ReadRun<Q, A> },
  ): Promise<number[]> {
    const { queries, open, outcomes, run } = state;
    try {
      const asked = open.map((i) => queries[i]!);
      const { answers, nodeId } = await this.#ask(node, asked, timeoutMs, run);
      this.#topology.nodes.succeeded(nodeId);
      for (const [at, i] of open.entries()) outcomes[i] = answers[at] ?? outcomes[i]!;
    } catch (thrown) {
      const error = asTallyringError(thrown);
      if (run.signal?.aborted) return [];
      this.#topology.nodes.failed(node.nodeId, error);
      for (const i of open) outcomes[i] = { error: errorToData(error) };
    }
    const again = open.filter((i) => mayAskAnother(outcomes[i]!));
    if (again.some((i) => codeOf(outcomes[i]!) === 'STALE_RING')) await this.#topology.refresh();
    return again;
  }

  /** Asks a node, and where the client hedges another one too when it takes long. */
  async #ask<Q extends { key: string }, A>(
    node: KnownNode,
    asked: readonly Q[],
    timeoutMs: number,
    run: ReadRun<Q, A>,
  ): Promise<{ answers: Outcome<A>[]; nodeId: string }> {
    const { level, signal } = run;
    const askOne = async ({ connection, nodeId }: KnownNode) => ({
      answers: await run.call(connection, asked, level, { timeoutMs, signal }),
      nodeId,
    });
    const first = askOne(node);
    if (this.#hedging === undefined) return first;
    const another = () => {
      const { nodeIds } = this.#topology.replicasOfKey(asked[0]!.key);
      const other = this.#topology.choose(nodeIds, { level, except: new Set([node.nodeId]) });
      return other?.up ? askOne(other) : undefined;
    };
    return hedged(first, { timers: this.#timers, ...this.#hedging, another });
  }
}

function codeOf(outcome: Outcome<unknown>): string | undefined {
  return 'error' in outcome ? outcome.error.code : undefined;
}

function isCallFailure(outcome: Outcome<unknown>): boolean {
  return 'error' in outcome && isUnreachable(errorFromData(outcome.error));
}

function mayAskAnother(outcome: Outcome<unknown>): boolean {
  return 'error' in outcome && (outcome.error.retryable || isCallFailure(outcome));
}

/** Plain data: every read begins with it, and an Error would cost it a stack trace. */
function noAnswer(timeoutMs: number): ErrorData {
  const message = `no node answered within ${timeoutMs} ms`;
  return { code: 'READ_TIMEOUT', message, mayHaveApplied: false, retryable: true };
}

/** Rejects with the signal's reason as soon as it aborts, whatever the transport does with it. */
export async function orAborted(reading: Promise<unknown>, signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) {
    await reading;
    return;
  }
  let stop = () => {};
  const aborted = new Promise<never>((_, reject) => {
    const onAbort = () => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    stop = () => signal.removeEventListener('abort', onAbort);
  });
  try {
    await Promise.race([reading, aborted]);
  } finally {
    stop();
  }
}
