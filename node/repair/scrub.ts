import { sleep } from '../../ports/clock.js';
import { decodeBatch } from '../../proto/batch.js';
import { isIntact, KIND, kindOfEntry, tokenOfEntry } from '../../proto/entry.js';
import { asTallyringError } from '../../proto/errors.js';
import type { NodeContext } from '../quorum/context.js';
import { leafOf } from './hash-tree.js';
import { END_OF_ENTRIES, FIRST_ENTRY } from './leaf-scan.js';
import type { ShardCensus } from './shard-census.js';

const PAGE_ENTRIES = 500;
const HEAL_EVERY_MS = 1_000;
const REST_BETWEEN_PASSES_MS = 60_000;
const REQUEST_MS = 5_000;

export interface ScrubParts {
  census: ShardCensus;
  /** Of the hash tree, after a row was healed. */
  refreshLeaf(leaf: number): Promise<void>;
}

/** Looks at every record in the background, and merges rows that met a bad record back from the others. */
export class Scrub {
  readonly #context: NodeContext;
  readonly #parts: ScrubParts;
  /** When each damaged row was first seen, on the monotonic clock. */
  readonly #seenMs = new Map<string, number>();
  #stopped = false;

  constructor(context: NodeContext, parts: ScrubParts) {
    this.#context = context;
    this.#parts = parts;
  }

  start(): void {
    void this.#healForever();
    void this.#scrubForever();
  }

  stop(): void {
    this.#stopped = true;
  }

  async #scrubForever(): Promise<void> {
    const { replica, timers, limits, logger } = this.#context;
    let from: Buffer = FIRST_ENTRY;
    while (!this.#stopped) {
      await sleep(timers, (PAGE_ENTRIES * 1000) / limits.scrubEntriesPerSecond);
      if (this.#stopped) return;
      try {
        const page = await replica.store.page({ from, to: END_OF_ENTRIES }, PAGE_ENTRIES);
        for (const { key } of page.entries) if (kindOfEntry(key) === KIND.shard) this.#parts.census.see(key);
        from = page.next ?? FIRST_ENTRY;
        if (page.next !== undefined) continue;
        this.#endPass();
        await replica.store.checkFiles();
        await sleep(timers, REST_BETWEEN_PASSES_MS);
      } catch (error) {
        logger.debug({}, `scrub stopped: ${asTallyringError(error).message}`);
        return; // the store failed or was closed
      }
    }
  }

  #endPass(): void {
    const { metrics, limits, logger } = this.#context;
    this.#parts.census.endPass();
    const { mostShards } = this.#parts.census;
    metrics.mostShardsPerCell.set(mostShards);
    if (mostShards > limits.warnShardsPerCell) logger.warn({ mostShards }, 'a cell has very many shards');
  }

  async #healForever(): Promise<void> {
    const { timers, replica } = this.#context;
    while (!this.#stopped) {
      await sleep(timers, HEAL_EVERY_MS);
      if (this.#stopped || replica.store.failure !== undefined) return;
      for (const row of replica.store.damagedRows()) {
        if (!this.#stopped && this.#isRipe(row)) await this.#heal(row);
      }
    }
  }

  /**
   * Whether no request lives any more that counted what was lost here: before, the others may not have it yet,
   * and what is merged from them would be taken for all that was acknowledged (DESIGN §7, as for a lost store).
   */
  #isRipe(row: Buffer): boolean {
    const { clock, limits } = this.#context;
    const name = row.toString('latin1');
    const nowMs = clock.monotonicMs();
    const seenMs = this.#seenMs.get(name);
    if (seenMs === undefined) this.#seenMs.set(name, nowMs);
    return seenMs !== undefined && nowMs - seenMs > limits.maxRequestMs;
  }

  /** A row is whole again when it was merged back from N − Q + 1 of the other replicas. */
  async #heal(row: Buffer): Promise<void> {
    const { ring, nodeId, membership, replica, logger } = this.#context;
    const members = ring().replicasOf(tokenOfEntry(row)).nodeIds;
    const required = members.length - Math.floor(members.length / 2);
    let merged = 0;
    for (const other of members) {
      if (other === nodeId || !membership.isLive(other)) continue;
      if (await this.#mergeFrom(other, row)) merged++;
    }
    if (merged < required) {
      logger.debug({ merged, required }, 'a damaged row waits for more replicas');
      return;
    }
    this.#seenMs.delete(row.toString('latin1')); // whatever comes of it: what is found bad now waits anew
    try {
      await replica.store.healed(row);
      await this.#parts.refreshLeaf(leafOf(row));
      logger.info({ from: merged }, 'a damaged row was merged back from the other replicas');
    } catch (error) {
      logger.warn({}, `a damaged row was not healed: ${asTallyringError(error).message}`);
    }
  }

  async #mergeFrom(other: string, row: Buffer): Promise<boolean> {
    const { peers, ring, replica } = this.#context;
    try {
      const reply = await peers.request(other, 'row', { epoch: ring().epoch, row }, REQUEST_MS);
      const entries = decodeBatch(reply.batch).filter(isIntact);
      if (entries.length > 0) await replica.merge(entries);
      return reply.whole;
    } catch {
      return false; // asked again a second later
    }
  }
}
