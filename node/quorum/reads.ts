import { encodeBatch } from '../../proto/batch.js';
import type { Outcome } from '../../proto/calls.js';
import { type Entry, tokenOf } from '../../proto/entry.js';
import { asTallyringError, errorToData } from '../../proto/errors.js';
import type { ConsistencyLevel } from '../../proto/level.js';
import type { RowQuery } from '../../proto/peer-message.js';
import type { Ring } from '../ring/ring.js';
import { canMeet, isOne, type Requirement, requirementOf } from './consistency.js';
import type { NodeContext } from './context.js';
import { Latency } from './latency.js';
import { PeerReads } from './peer-reads.js';
import { datacenterOf, groupByReplicas } from './placement.js';
import { type MergedRow, mergeAnswers, type Supersedes } from './read-merge.js';
import { choose, failed, type Query } from './read-plan.js';
import { readAll } from './replica.js';
import { Tally, type TallyReplica } from './tally.js';
import { unavailable } from './writes.js';

const MIN_SPECULATION_MS = 5;
const INITIAL_P99_MS = 50;

interface Read {
  queries: Query[];
  requirement: Requirement;
  one: boolean;
  ring: Ring;
  deadlineMs: number;
  onProgress(): void;
}

export interface ReadOptions {
  level: ConsistencyLevel;
  timeoutMs: number;
  ring: Ring;
}

/**
 * Reads rows from as many replicas as the level requires, the fastest first; one more when an answer takes
 * longer than that replica's p99. What the asked replicas lack of the merged state is written back to them
 * before the answer, so that quorum reads never go backwards.
 */
export class Reads {
  readonly #context: NodeContext;
  readonly #supersedes: Supersedes;
  readonly #latencies = new Map<string, Latency>();
  readonly #peerReads: PeerReads;

  constructor(context: NodeContext, supersedes: Supersedes) {
    this.#context = context;
    this.#supersedes = supersedes;
    this.#peerReads = new PeerReads(context);
  }

  async read(rows: readonly RowQuery[], options: ReadOptions): Promise<Outcome<Entry[]>[]> {
    const { clock, datacenter } = this.#context;
    const requirement = requirementOf(options.level, options.ring.replication, datacenter);
    const deadlineMs = clock.monotonicMs() + options.timeoutMs;
    const outcomes: Outcome<Entry[]>[] = new Array(rows.length);
    const queries: (Query | undefined)[] = new Array(rows.length);
    const first = new Map<string, Query[]>();
    const one = isOne(options.level);
    for (const { replicas, indexes } of groupByReplicas(
      options.ring,
      rows.map((row) => tokenOf(row.key)),
    )) {
      const live = this.#byPreference(replicas);
      const chosen = choose(live, requirement);
      for (const i of indexes) {
        if (chosen === undefined) {
          outcomes[i] = { error: errorToData(unavailable(requirement, live)) };
          continue;
        }
        const query: Query = {
          row: rows[i]!,
          tally: new Tally(requirement, chosen, deadlineMs),
          answers: new Map(),
          spare: live.filter((replica) => !chosen.includes(replica)),
        };
        queries[i] = query;
        for (const { nodeId } of chosen) push(first, nodeId, query);
      }
    }
    const open = queries.filter((query) => query !== undefined);
    await this.#collect(open, first, { requirement, one, ring: options.ring, deadlineMs });
    const merged = await this.#mergeAndRepair(open, options, { requirement, deadlineMs });
    let at = 0;
    for (const [i, query] of queries.entries()) if (query !== undefined) outcomes[i] = merged[at++]!;
    return outcomes;
  }

  /**
   * Live replicas: this node first, then the local datacenter, then by latency. Those that gossip calls
   * recovering come last: each says itself whether its answer is whole, and gossip may lag.
   */
  #byPreference(replicas: readonly TallyReplica[]): TallyReplica[] {
    const { membership, nodeId, datacenter, replica } = this.#context;
    const recovering = (id: string) =>
      id === nodeId ? !replica.whole : membership.facts(id)?.status === 'recovering';
    const rank = (r: TallyReplica) =>
      (recovering(r.nodeId) ? 4e9 : 0) +
      (r.datacenter === datacenter ? 0 : 2e9) +
      (r.nodeId === nodeId ? -1 : this.#latency(r.nodeId).p99Ms);
    return replicas.filter((r) => membership.isLive(r.nodeId)).sort((a, b) => rank(a) - rank(b));
  }

  #latency(nodeId: string): Latency {
    let latency = this.#latencies.get(nodeId);
    if (latency === undefined) {
      latency = new Latency(INITIAL_P99_MS);
      this.#latencies.set(nodeId, latency);
    }
    return latency;
  }

  /** Resolves when every query met its level or cannot any more, at the deadline at the latest. */
  #collect(
    queries: Query[],
    first: Map<string, Query[]>,
    parts: Omit<Read, 'queries' | 'onProgress'>,
  ): Promise<void> {
    const { clock, timers } = this.#context;
    return new Promise((resolve) => {
      const timer = timers.after(Math.max(0, parts.deadlineMs - clock.monotonicMs()), resolve);
      const read: Read = {
        ...parts,
        queries,
        onProgress: () => {
          if (queries.some((query) => query.tally.verdict === 'pending')) return;
          timer.cancel();
          resolve();
        },
      };
      for (const [nodeId, asked] of first) this.#ask(nodeId, asked, read);
      read.onProgress();
    });
  }

  #ask(nodeId: string, queries: Query[], read: Read): void {
    const { clock, timers, metrics } = this.#context;
    const startMs = clock.monotonicMs();
    const latency = this.#latency(nodeId);
    const hurry = timers.after(Math.max(MIN_SPECULATION_MS, latency.p99Ms), () => {
      if (this.#askSpare(queries, read)) metrics.speculativeReads.inc();
    });
    this.#rowsOf(nodeId, queries, read).then(
      (answer) => {
        hurry.cancel();
        const nowMs = clock.monotonicMs();
        latency.record(nowMs - startMs);
        const notWhole: Query[] = [];
        for (const [i, query] of queries.entries()) {
          // An answer that the tally does not count is not merged either: nothing rests on it.
          if (answer.whole[i] && nowMs <= read.deadlineMs) query.answers.set(nodeId, answer.entries[i]!);
          else notWhole.push(query);
        }
        for (const i of answer.tooLarge) queries[i]!.tooLarge = true;
        this.#askSpare(notWhole, read);
        for (const [i, query] of queries.entries()) query.tally.answer(nodeId, answer.whole[i]!, nowMs);
        read.onProgress();
      },
      (error: unknown) => {
        hurry.cancel();
        const { code, message } = asTallyringError(error);
        this.#context.logger.debug({ nodeId, code }, `replica did not answer a read: ${message}`);
        this.#askSpare(queries, read);
        for (const query of queries) query.tally.answer(nodeId, false, clock.monotonicMs());
        read.onProgress();
      },
    );
  }

  async #rowsOf(nodeId: string, queries: Query[], read: Read) {
    const rows = queries.map((query) => query.row);
    if (nodeId === this.#context.nodeId) return readAll(this.#context.replica, rows, read.one);
    const timeoutMs = Math.max(1, read.deadlineMs - this.#context.clock.monotonicMs());
    const answers = await this.#peerReads.ask(rows, {
      nodeId,
      one: read.one,
      epoch: read.ring.epoch,
      timeoutMs,
    });
    return {
      whole: answers.map((row) => row.whole),
      entries: answers.map((row) => row.entries),
      tooLarge: [...answers.keys()].filter((i) => answers[i]!.tooLarge),
    };
  }

  /** Asks the next best replica of each query that still waits; whether there was one, and time left. */
  #askSpare(queries: readonly Query[], read: Read): boolean {
    if (this.#context.clock.monotonicMs() >= read.deadlineMs) return false;
    const next = new Map<string, Query[]>();
    for (const query of queries) {
      if (query.tally.verdict !== 'pending') continue;
      const spare = query.spare.shift();
      if (spare === undefined) continue;
      query.tally.ask(spare);
      push(next, spare.nodeId, query);
    }
    for (const [nodeId, asked] of next) this.#ask(nodeId, asked, read);
    return next.size > 0;
  }

  async #mergeAndRepair(
    queries: Query[],
    options: ReadOptions,
    { requirement, deadlineMs }: Pick<Read, 'requirement' | 'deadlineMs'>,
  ): Promise<Outcome<Entry[]>[]> {
    const merged = queries.map(({ tally, answers }): MergedRow | undefined =>
      tally.verdict === 'met' ? mergeAnswers(answers, this.#supersedes) : undefined,
    );
    const stale = new Map<string, Entry[]>();
    for (const row of merged) {
      for (const [nodeId, entries] of row?.stale ?? []) {
        const all = stale.get(nodeId);
        if (all === undefined) stale.set(nodeId, [...entries]);
        else all.push(...entries);
      }
    }
    // An answer that comes while the state is written back is not part of the merge, and holds what it holds.
    const answered = queries.map(({ answers }) => [...answers.keys()]);
    const repaired = new Map<string, boolean>();
    await Promise.all(
      [...stale].map(async ([nodeId, entries]) => {
        repaired.set(nodeId, await this.#writeBack(nodeId, entries, { options, deadlineMs }));
      }),
    );
    const nowMs = this.#context.clock.monotonicMs();
    return merged.map((row, i) => {
      const query = queries[i]!;
      if (row !== undefined && nowMs <= deadlineMs) {
        // Enough of those that answered now hold what is answered, whatever became of the others.
        const holding = answered[i]!.filter((id) => !row.stale.has(id) || repaired.get(id) === true);
        const datacenters = holding.map((id) => datacenterOf(options.ring, id));
        if (canMeet(requirement, datacenters)) return { ok: row.entries };
      }
      return { error: failed(query, { level: options.level, requirement, inTime: nowMs < deadlineMs }) };
    });
  }

  async #writeBack(
    nodeId: string,
    entries: Entry[],
    { options, deadlineMs }: { options: ReadOptions; deadlineMs: number },
  ): Promise<boolean> {
    const { replica, peers, clock, metrics, logger } = this.#context;
    metrics.readRepairs.inc();
    try {
      if (nodeId === this.#context.nodeId) await replica.merge(entries);
      else {
        const timeoutMs = Math.max(1, deadlineMs - clock.monotonicMs());
        const body = { epoch: options.ring.epoch, batch: encodeBatch(entries) };
        await peers.request(nodeId, 'merge', body, timeoutMs);
      }
      return true;
    } catch (error) {
      logger.debug({ nodeId }, `read repair failed: ${asTallyringError(error).message}`);
      return false;
    }
  }
}

function push(map: Map<string, Query[]>, nodeId: string, query: Query): void {
  const queries = map.get(nodeId);
  if (queries === undefined) map.set(nodeId, [query]);
  else queries.push(query);
}
