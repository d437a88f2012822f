import { type Entry, kindOfEntry } from '../../proto/entry.js';
import { TallyringError } from '../../proto/errors.js';
import type { CellCache } from './cell-cache.js';
import type { Engine, EngineWrite } from './engine.js';
import { type CommitJob, CommitQueue, payloadBytes } from './group-commit.js';
import { type HeldCache, hold } from './held-cache.js';
import { kindOf } from './kinds.js';
import type { MarkerTrail } from './markers.js';
import { decideMerge, type MergeOutcome } from './merge-group.js';
import type { Change } from './store.js';
import type { StoreHealth } from './store-health.js';
import type { StoreParts } from './store-parts.js';

const PERIODIC_SYNC_MS = 1_000;

/** What a job wants written; all of it in one batch, with what others of its group want. */
export interface WantedJob {
  /** Merged by their kinds' rule. */
  entries?: readonly Entry[];
  writes?: readonly EngineWrite[];
  /** Gives writes when the job's turn comes; it then has a group of its own. */
  prepare?: () => Promise<EngineWrite[]>;
  /** Counted against the bound of what may wait. Default 0. */
  bytes?: number;
  /** Syncs whatever the durability is. A merge asks for none: the durability decides. */
  sync: boolean;
}

type Job = WantedJob & CommitJob & { changed: number };

export interface CommitterParts {
  engine: Engine;
  store: StoreParts;
  cache: HeldCache;
  /** Told before each write what it changes. */
  cells: CellCache;
  health: StoreHealth;
  trail: MarkerTrail;
}

/** All writes of a store: grouped, decided, numbered, synced, then made visible. Fails for good at the first error. */
export class Committer {
  readonly #parts: CommitterParts;
  readonly #queue: CommitQueue<Job>;
  #syncedBatch: number;
  #failure: TallyringError | undefined;
  #closing: Promise<void> | undefined;
  /** Whether something was written since the last sync. */
  #unsynced = false;
  #syncPlanned = false;

  constructor(parts: CommitterParts) {
    this.#parts = parts;
    this.#syncedBatch = parts.trail.newest;
    this.#queue = new CommitQueue<Job>({
      maxPendingBytes: parts.store.limits.maxPendingMergeBytes,
      run: (jobs) => this.#commit(jobs),
      onFailure: (cause) => this.#failed(cause),
    });
  }

  get syncedBatch(): number {
    return this.#syncedBatch;
  }

  get failure(): TallyringError | undefined {
    return this.#failure;
  }

  get closed(): boolean {
    return this.#closing !== undefined;
  }

  /** Throws the failure, or CLOSED. */
  assertOpen(): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.closed) throw new TallyringError('CLOSED', 'the store is closed');
  }

  /** Resolves when the job's group is through, with how many of its entries changed something. */
  async run(wanted: WantedJob): Promise<number> {
    this.assertOpen();
    return this.#enqueue(wanted);
  }

  /** Reports an error of the engine met elsewhere. */
  fail(error: Error): void {
    if (!this.closed) this.#queue.fail(error);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#queue.idle();
    if (this.#failure === undefined && this.#unsynced) await this.#enqueue({ sync: true });
    await this.#parts.engine.close();
  }

  async #enqueue(wanted: WantedJob): Promise<number> {
    const { entries = [], writes = [], bytes = 0 } = wanted;
    const size = entries.length + writes.length;
    const alone = wanted.prepare !== undefined;
    const job = { ...wanted, bytes, size, alone, changed: 0 } as Job;
    const done = new Promise<void>((resolve, reject) => {
      job.resolve = resolve;
      job.reject = reject;
    });
    try {
      this.#queue.push(job);
    } catch (error) {
      if ((error as TallyringError).code === 'OVERLOADED') {
        this.#parts.store.metrics.overloaded.inc({ queue: 'merge' });
      }
      throw error;
    }
    await done;
    return job.changed;
  }

  /** Runs one group. Rejects with the engine's error. */
  async #commit(jobs: readonly Job[]): Promise<void> {
    const { engine, cache, health } = this.#parts;
    const merges = jobs.filter((job) => job.entries !== undefined);
    const lists = merges.map((job) => job.entries!);
    const outcome = await decideMerge(engine, cache, lists);
    // What follows the winners in the batch is the store's own; `publish` looks at the winners only.
    const writes = outcome.winners;
    const changed = writes.length;
    const sync = jobs.some((job) => job.sync) || this.#mustSync(writes);
    for (const key of outcome.bad) writes.push(...health.noteBad(key));
    for (const job of jobs) {
      for (const write of job.writes ?? []) writes.push(write);
      for (const write of (await job.prepare?.()) ?? []) writes.push(write);
    }
    if (changed > 0) this.#parts.cells.beginCommit(keysOf(writes, changed));
    if (sync || changed > 0) {
      await this.#writeNumbered(writes, changed, sync || this.#parts.store.durability === 'sync');
    } else if (writes.length > 0) {
      this.#unsynced = true;
      await engine.write(writes, false);
    }
    this.#parts.cells.endCommit();
    merges.forEach((job, i) => {
      job.changed = outcome.changed[i]!;
    });
    this.#publish(outcome, changed, lists);
  }

  #mustSync(winners: readonly EngineWrite[]): boolean {
    if (this.#parts.store.durability === 'sync') return false; // a commit that changes anything is synced anyway
    return winners.some(({ key }) => kindOf(kindOfEntry(key)).alwaysSynced);
  }

  async #writeNumbered(writes: EngineWrite[], entries: number, sync: boolean): Promise<void> {
    const { metrics, clock } = this.#parts.store;
    const batch = this.#parts.trail.append(writes, payloadBytes(writes));
    const startedMs = clock.monotonicMs();
    await this.#parts.engine.write(writes, sync);
    metrics.commits.inc();
    metrics.commitEntries.observe(entries);
    metrics.commitSeconds.observe((clock.monotonicMs() - startedMs) / 1_000);
    this.#syncedBatch = batch;
    this.#unsynced = !sync;
    if (!sync) this.#planSync();
  }

  /** Makes a commit visible: cache, metrics, the listener; the merges resolve after this. */
  #publish(outcome: MergeOutcome, changed: number, lists: readonly (readonly Entry[])[]): void {
    const { metrics, logger, onCommit } = this.#parts.store;
    for (const key of outcome.conflicts) {
      metrics.shardConflicts.inc();
      logger.error({ key: key.toString('hex') }, 'two shards of one producer and sequence differ: a bug');
    }
    const seen = lists.reduce((sum, list) => sum + list.length, 0);
    if (seen > changed) metrics.mergedEntries.inc({ changed: 'false' }, seen - changed);
    if (changed === 0) return;
    metrics.mergedEntries.inc({ changed: 'true' }, changed);
    const changes = new Array<Change>(changed);
    for (let i = 0; i < changed; i++) {
      const { key, value } = outcome.winners[i]!;
      changes[i] = { key, before: outcome.before[i], after: value! };
    }
    onCommit(changes);
    this.#remember(outcome, changes);
  }

  /** After everybody was told what was held before: that is overwritten. */
  #remember({ keys, before, isCached }: MergeOutcome, changes: readonly Change[]): void {
    for (let i = 0; i < changes.length; i++) {
      const held = before[i];
      // What was written once may never be again; what is written a second time is worth the memory.
      if (held === undefined || Number.isNaN(held.version)) continue;
      const { key, after } = changes[i]!;
      hold(held, { key, value: after });
      if (!isCached[i]) this.#parts.cache.set(keys[i]!, held);
    }
  }

  #planSync(): void {
    if (this.#syncPlanned) return;
    this.#syncPlanned = true;
    this.#parts.store.timers.after(PERIODIC_SYNC_MS, () => {
      this.#syncPlanned = false;
      if (!this.#unsynced || this.closed) return;
      // Its failure is the store's, which onFailure tells.
      this.#enqueue({ sync: true }).catch(() => undefined);
    });
  }

  #failed(cause: Error): Error {
    const { logger, onFailure } = this.#parts.store;
    const failure = new TallyringError(
      'STORE_FAILED',
      `the store stopped at its first error (${cause.message}); free space or repair the disk, then restart the node`,
      { cause, mayHaveApplied: true },
    );
    this.#failure = failure;
    logger.error({ error: cause.message }, 'the store failed and stopped');
    this.#closing ??= this.#parts.engine.close().catch(() => undefined);
    onFailure?.(failure);
    return failure;
  }
}

/** Keys of the first writes: those of the entries that won. */
function* keysOf(writes: readonly EngineWrite[], count: number): Generator<Buffer> {
  for (let i = 0; i < count; i++) yield writes[i]!.key;
}
