import { sleep } from '../../ports/clock.js';
import { encodeBatch } from '../../proto/batch.js';
import type { Entry } from '../../proto/entry.js';
import { asTallyringError } from '../../proto/errors.js';
import type { NodeContext } from '../quorum/context.js';
import type { HintStore } from '../storage/hints.js';

const LOOK_EVERY_MS = 1_000;
const LOOKS_PER_AGEING = 60;
const PAGE_ENTRIES = 1_000;
const REQUEST_MS = 5_000;

/** Keeps what replicas missed and delivers it, throttled, when they are live again. */
export class HintReplay {
  readonly #context: NodeContext;
  readonly #hints: HintStore;
  readonly #replaying = new Set<string>();
  /** Entries on their way into the hint store. */
  #waiting = 0;
  #stopped = false;
  #looks = 0;

  constructor(context: NodeContext, hints: HintStore) {
    this.#context = context;
    this.#hints = hints;
  }

  /** Stores a hint for each entry; never waits, never throws: a lost hint is anti-entropy's to find. */
  keep(nodeId: string, entries: readonly Entry[]): void {
    if (nodeId === this.#context.nodeId || entries.length === 0) return;
    const { clock, logger, limits, metrics } = this.#context;
    if (this.#waiting + entries.length > limits.maxWaitingHints) {
      metrics.hintsDropped.inc({ target: nodeId }, entries.length);
      return;
    }
    this.#waiting += entries.length;
    const stored = this.#hints.add(nodeId, entries, clock.wallMs()).catch((error: unknown) => {
      logger.warn({ nodeId }, `hints were not kept: ${asTallyringError(error).message}`);
    });
    void stored.finally(() => {
      this.#waiting -= entries.length;
    });
  }

  start(): void {
    this.#context.timers.after(LOOK_EVERY_MS, () => {
      if (this.#stopped) return;
      this.#looks++;
      for (const target of this.#hints.targets()) {
        if (this.#replaying.has(target)) continue;
        const live = this.#context.membership.isLive(target);
        if (!live && this.#looks % LOOKS_PER_AGEING !== 0) continue;
        this.#replaying.add(target);
        const work = live ? this.#replay(target) : this.#age(target);
        void work.finally(() => this.#replaying.delete(target));
      }
      this.start();
    });
  }

  /** Looking at the oldest hints of a target that stays away drops those over the age limit. */
  async #age(target: string): Promise<void> {
    try {
      await this.#hints.page(target, 1);
    } catch (error) {
      this.#context.logger.debug({ target }, `hints: ${asTallyringError(error).message}`);
    }
  }

  /** Anti-entropy reaches the target again and found it equal: the mark of dropped hints has served. */
  foundEqual(target: string): void {
    if (!this.#hints.stats(target).overflowed) return;
    this.#hints.clearOverflow(target).catch((error: unknown) => {
      this.#context.logger.debug({ target }, `hints: ${asTallyringError(error).message}`);
    });
  }

  stop(): void {
    this.#stopped = true;
  }

  async #replay(target: string): Promise<void> {
    const { peers, limits, logger, metrics, timers } = this.#context;
    let delivered = 0;
    try {
      while (!this.#stopped) {
        const entries = await this.#hints.page(target, PAGE_ENTRIES);
        if (entries.length === 0) break;
        const body = { epoch: this.#context.ring().epoch, batch: encodeBatch(entries) };
        await peers.request(target, 'merge', body, REQUEST_MS);
        await this.#hints.remove(target, entries);
        delivered += entries.length;
        metrics.hintsReplayed.inc({ target }, entries.length);
        await sleep(timers, (entries.length * 1000) / limits.hintReplayPerSecond);
      }
      if (delivered > 0) logger.info({ target, delivered }, 'hints delivered');
    } catch (error) {
      logger.debug({ target }, `hint replay stopped: ${asTallyringError(error).message}`);
    }
  }
}
