import { sleep } from '../../ports/clock.js';
import { asTallyringError } from '../../proto/errors.js';
import type { NodeContext } from '../quorum/context.js';
import type { Exchange } from './exchange.js';
import { LeafSet } from './hash-tree.js';
import type { Reentry } from './reentry.js';

const ASK_EVERY_MS = 250;
const ASK_MS = 2_000;

export interface RecoveryParts {
  context: NodeContext;
  exchange: Exchange;
  reentry: Reentry;
  /**
   * The newest batch that the store had when it was opened. What was committed since says nothing about what
   * it had before: until that question is settled, the others are told this number (`toldBatch`).
   */
  openedAtBatch: number;
  /** Why the store may lack what it acknowledged, as its opening found; empty when it found nothing. */
  doubts: readonly string[];
  /** Told by the operator: the cluster is new, so this store lacks nothing. */
  declaredWhole: boolean;
  /**
   * Told by the operator: what this store may have lost is not waited for. It gets a new identity, or the
   * others' memory of what was lost would put it in doubt again at its next start.
   */
  lossAccepted?: boolean;
  /** Gives the store a new identity, and notes durably why: what it was before is not waited for any more. */
  renewStore(reasons: readonly string[]): Promise<void>;
  /** Notes durably that the store is whole, and which stores it takes the place of. */
  declareWhole(formerIds: readonly string[]): Promise<void>;
}

/**
 * Is my store whole? A starting node is recovering until every live other replica, at least one, remembers
 * no higher batch of it; else until it merged what enough others hold (DESIGN §7).
 */
export class Recovery {
  readonly #parts: RecoveryParts;
  #stopped = false;
  /** Whether it is known if the store was whole when it was opened. */
  #settled = false;
  /** Of each other replica: entries compared in the attempt that came furthest, and taken in all attempts. */
  readonly #merging = new Map<string, { compared: number; pulled: number }>();
  /** What is waited for, for operators; empty when done. */
  waitsFor = 'the other replicas to say whether this store is whole';

  constructor(parts: RecoveryParts) {
    this.#parts = parts;
  }

  stop(): void {
    this.#stopped = true;
  }

  /** The batch number that the others may remember of this store. */
  get toldBatch(): number {
    return this.#settled ? this.#parts.context.replica.store.syncedBatch : this.#parts.openedAtBatch;
  }

  /** Resolves with true when the store is whole, with false when the node stopped before it was. */
  async run(): Promise<boolean> {
    const { context, doubts, declaredWhole, lossAccepted } = this.#parts;
    const told = declaredWhole || lossAccepted === true;
    const reasons = told ? [] : [...doubts];
    if (!declaredWhole && lossAccepted) await this.#acceptLoss();
    if (!told && reasons.length === 0) {
      const found = await this.#askOthers();
      if (found !== undefined) reasons.push(found);
    }
    if (reasons.length > 0 && !this.#stopped) {
      context.logger.warn(
        { reasons },
        'this store may lack what it acknowledged: recovering from the others',
      );
      await this.#rebuild(reasons);
    }
    if (this.#stopped) return false;
    this.#settled = true;
    await this.#parts.declareWhole(reasons.length > 0 || lossAccepted ? await this.#namesRemembered() : []);
    this.waitsFor = '';
    return true;
  }

  /** What can be had of the others at once is taken; nothing is waited for. */
  async #acceptLoss(): Promise<void> {
    const { doubts, renewStore, reentry, context } = this.#parts;
    await renewStore([...doubts, 'an operator accepted the loss']);
    await reentry.run(
      this.#others().filter((id) => context.membership.isLive(id)),
      () => true,
    );
  }

  /** What the others call this node's former stores: a wiped one has forgotten what it was called. */
  async #namesRemembered(): Promise<string[]> {
    const { context } = this.#parts;
    const { storeId } = context.replica.store;
    const live = this.#others().filter((id) => context.membership.isLive(id));
    const asked = live.map(async (other) => {
      const { others } = await context.peers.request(other, 'remembered', { storeId }, ASK_MS);
      return others;
    });
    const answers = await Promise.allSettled(asked);
    return answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
  }

  #others(): string[] {
    const { ring, nodeId } = this.#parts.context;
    const others = new Set<string>();
    for (const { nodeIds } of ring().replicaSets) {
      if (nodeIds.includes(nodeId)) for (const id of nodeIds) others.add(id);
    }
    others.delete(nodeId);
    return [...others].sort();
  }

  /** Undefined when the store is whole as far as the others remember; else the reason why not. */
  async #askOthers(): Promise<string | undefined> {
    const { context } = this.#parts;
    const others = this.#others();
    if (others.length === 0) return undefined; // nobody else ever held what this store acknowledged
    const answered = new Map<string, string | undefined>();
    while (!this.#stopped) {
      const open = others.filter((id) => !answered.has(id) && context.membership.isLive(id));
      if (open.length === 0 && answered.size > 0) break;
      await Promise.all(open.map((id) => this.#ask(id, answered)));
      const waiting = others.filter((id) => !answered.has(id));
      this.waitsFor = `an answer of ${waiting.join(', ')} on whether this store is whole`;
      if (others.some((id) => !answered.has(id) && context.membership.isLive(id)) || answered.size === 0) {
        await sleep(context.timers, ASK_EVERY_MS);
      }
    }
    return [...answered.values()].find((reason) => reason !== undefined);
  }

  async #ask(other: string, answered: Map<string, string | undefined>): Promise<void> {
    const { context, openedAtBatch } = this.#parts;
    const { peers, replica } = context;
    const { storeId, formerStoreIds } = replica.store;
    try {
      const theirs = await peers.request(other, 'remembered', { storeId }, ASK_MS);
      // What a former store held was settled before this one was whole.
      const stranger = theirs.others.find((id) => !formerStoreIds.includes(id));
      if (stranger !== undefined) {
        answered.set(other, `${other} remembers another store of this node, ${stranger}`);
      } else if (theirs.batch > openedAtBatch) {
        answered.set(
          other,
          `${other} remembers batch ${theirs.batch} of this store, which ended at ${openedAtBatch}`,
        );
      } else answered.set(other, undefined);
    } catch (error) {
      const { code, message } = asTallyringError(error);
      context.logger.debug({ other, code }, `did not say what it remembers: ${message}`);
    }
  }

  /**
   * Waits until no request that counted the former store lives; has the others fence every owner of a register
   * that counted it; then merges what enough of them hold.
   */
  async #rebuild(reasons: readonly string[]): Promise<void> {
    const { context } = this.#parts;
    this.waitsFor = 'requests that may have counted the former store to end (step 1 of 3)';
    await this.#parts.renewStore(reasons);
    this.#settled = true; // nobody remembers anything of the new storeId
    await sleep(context.timers, context.limits.maxRequestMs);
    await this.#reenter();
    const merged = new Set<string>();
    while (!this.#stopped) {
      if (this.#missing(merged) === undefined) return;
      this.#tellMerging(merged);
      for (const other of this.#others()) if (!merged.has(other)) await this.#mergeFrom(other, merged);
      if (this.#missing(merged) !== undefined) await sleep(context.timers, ASK_EVERY_MS);
    }
  }

  async #reenter(): Promise<void> {
    const { context, reentry } = this.#parts;
    const enough = (noted: ReadonlySet<string>) => this.#missing(noted) === undefined;
    while (!this.#stopped) {
      const missing = this.#missing(NOBODY);
      if (missing === undefined) return; // nobody else holds anything
      this.waitsFor = `registers: ${missing} (step 2 of 3)`;
      const live = this.#others().filter((id) => context.membership.isLive(id));
      if (await reentry.run(live, enough)) return;
      await sleep(context.timers, ASK_EVERY_MS);
    }
  }

  /** N − Q + 1 of the other replicas of every set, none of them recovering, hold all that a quorum acknowledged. */
  #missing(merged: ReadonlySet<string>): string | undefined {
    const { ring, nodeId } = this.#parts.context;
    for (const { nodeIds } of ring().replicaSets) {
      if (!nodeIds.includes(nodeId)) continue;
      const required = nodeIds.length - Math.floor(nodeIds.length / 2);
      const others = nodeIds.filter((id) => id !== nodeId);
      const left = others.filter((id) => !merged.has(id));
      if (others.length - left.length >= required) continue;
      if (others.length < required)
        return `an operator: only ${others.length} other replicas exist (--accept-loss)`;
      return `${required} of ${others.join(', ')} to be merged from; left: ${left.join(', ')}`;
    }
    return undefined;
  }

  #tellMerging(merged: ReadonlySet<string>): void {
    const missing = this.#missing(merged) ?? 'the merge to end';
    const progress = [...this.#merging].map(
      ([other, { compared, pulled }]) => `${other}: ${compared} entries compared, ${pulled} pulled`,
    );
    this.waitsFor = [`${missing} (step 3 of 3)`, ...progress].join('; ');
  }

  async #mergeFrom(other: string, merged: Set<string>): Promise<void> {
    const { context, exchange } = this.#parts;
    if (!context.membership.isLive(other) || this.#stopped) return;
    const known = this.#merging.get(other) ?? { compared: 0, pulled: 0 };
    this.#merging.set(other, known);
    let reached = 0;
    const onPage = ({ compared, pulled }: { compared: number; pulled: number }) => {
      reached += compared;
      known.compared = Math.max(known.compared, reached);
      known.pulled += pulled;
      this.#tellMerging(merged);
    };
    try {
      const { pulled, whole } = await exchange.run(other, LeafSet.all(), onPage);
      if (whole) merged.add(other);
      this.#tellMerging(merged);
      context.logger.info({ other, pulled, whole }, 'recovery merged what a replica holds');
    } catch (error) {
      const { code, message } = asTallyringError(error);
      context.logger.warn({ other, code }, `recovery from a replica failed, trying again: ${message}`);
    }
  }
}

const NOBODY: ReadonlySet<string> = new Set();
