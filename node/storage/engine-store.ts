import { LRUCache } from 'lru-cache';
import { CHECKSUM_BYTES, type Entry, isIntact, kindOfEntry } from '../../proto/entry.js';
import { TallyringError } from '../../proto/errors.js';
import { DamagedRows, rowOfBadRecord } from './damage.js';
import type { Engine, EngineRecord, EngineWrite } from './engine.js';
import { type CommitJob, CommitQueue, payloadBytes } from './group-commit.js';
import { DAMAGED_PREFIX, EMPTY, keyAfter, prefixEnd } from './keyspace.js';
import { kindOf } from './kinds.js';
import { RecordsOverEngine } from './local-records.js';
import type { MarkerTrail } from './markers.js';
import { decideMerge, type MergeOutcome, type ValueCache } from './merge-group.js';
import type { Change, KeyRange, LocalRecords, LocalWrite, RangeRead, Store } from './store.js';
import type { StoreParts } from './store-parts.js';
import { doubtKey, type StoreState, stateWrite } from './store-state.js';

const SCAN_PAGE = 1_000;
/** Ranges of one read that are scanned at a time: their values are all in memory at once. */
const PARALLEL_SCANS = 32;
const PERIODIC_SYNC_MS = 1_000;
/** What an entry costs in memory beside its bytes while it waits. */
const ENTRY_OVERHEAD_BYTES = 64;

interface Job extends CommitJob {
  entries: readonly Entry[];
  writes: readonly EngineWrite[];
  /** Syncs whatever the durability is. A merge needs none when it changes nothing. */
  sync: boolean;
  changed: number;
  /** Runs when the job's turn comes, alone, and gives the writes. */
  prepare: (() => Promise<EngineWrite[]>) | undefined;
}

/** The replica's store over any engine: LevelDB's, or the simulated disk's. */
export class EngineStore implements Store {
  readonly local: LocalRecords;
  readonly #engine: Engine;
  readonly #parts: StoreParts;
  readonly #state: StoreState;
  readonly #renewIdentity: () => Promise<string>;
  readonly #trail: MarkerTrail;
  readonly #cache: ValueCache;
  readonly #damaged = new DamagedRows();
  readonly #queue: CommitQueue<Job>;
  #syncedBatch: number;
  #failure: TallyringError | undefined;
  #closing: Promise<void> | undefined;
  /** Whether something was written since the last sync. */
  #unsynced = false;
  #syncPlanned = false;

  constructor(
    engine: Engine,
    parts: StoreParts,
    found: {
      state: StoreState;
      renewIdentity: () => Promise<string>;
      trail: MarkerTrail;
      damagedRows: Buffer[];
    },
  ) {
    this.#engine = engine;
    this.#parts = parts;
    this.#state = found.state;
    this.#renewIdentity = found.renewIdentity;
    this.#trail = found.trail;
    this.#syncedBatch = found.trail.newest;
    this.#cache = new LRUCache({ max: parts.limits.storeCacheEntries });
    for (const row of found.damagedRows) this.#damaged.add(row, undefined);
    this.#queue = new CommitQueue<Job>({
      maxPendingBytes: parts.limits.maxPendingMergeBytes,
      run: (jobs) => this.#commit(jobs),
      onFailure: (cause) => this.#failed(cause),
    });
    this.local = new RecordsOverEngine({
      write: (writes, sync) => this.#write(writes, sync),
      read: (read) => this.#read(() => read(this.#engine)),
    });
  }

  get storeId(): string {
    return this.#state.storeId;
  }

  get syncedBatch(): number {
    return this.#syncedBatch;
  }

  get failure(): Error | undefined {
    return this.#failure;
  }

  get doubts(): readonly string[] {
    return this.#state.doubts;
  }

  async merge(entries: readonly Entry[]): Promise<{ changed: number; batch: number }> {
    if (entries.length === 0) return { changed: 0, batch: this.#syncedBatch };
    let bytes = 0;
    for (const { key, value } of entries) {
      kindOf(kindOfEntry(key));
      bytes += key.length + value.length + ENTRY_OVERHEAD_BYTES;
    }
    const job = await this.#enqueue({ entries, bytes, size: entries.length, sync: false });
    return { changed: job.changed, batch: this.#syncedBatch };
  }

  async read(ranges: readonly KeyRange[]): Promise<RangeRead[]> {
    const reads: RangeRead[] = [];
    for (let i = 0; i < ranges.length; i += PARALLEL_SCANS) {
      const some = ranges.slice(i, i + PARALLEL_SCANS);
      reads.push(...(await this.#read(() => Promise.all(some.map((range) => this.#readRange(range))))));
    }
    return reads;
  }

  async #readRange(range: KeyRange): Promise<RangeRead> {
    const read: RangeRead = { entries: [], damaged: false };
    let from = range.from;
    for (;;) {
      const records = await this.#engine.scan(from, range.to, { limit: SCAN_PAGE, fillCache: true });
      if (this.#takeIntact(records, read.entries).length > 0) read.damaged = true;
      if (records.length < SCAN_PAGE) break;
      from = keyAfter(records[records.length - 1]!.key);
    }
    // Asked last, so that damage which others find meanwhile counts.
    read.damaged ||= this.#damaged.touches(range);
    return read;
  }

  async page(
    range: KeyRange,
    limit: number,
  ): Promise<{ entries: Entry[]; bad: Buffer[]; next: Buffer | undefined }> {
    const records = await this.#read(() =>
      this.#engine.scan(range.from, range.to, { limit, fillCache: false }),
    );
    const entries: Entry[] = [];
    const bad = this.#takeIntact(records, entries);
    const next = records.length < limit ? undefined : keyAfter(records[records.length - 1]!.key);
    return { entries, bad, next };
  }

  async get(keys: readonly Buffer[]): Promise<(Entry | undefined)[]> {
    const values = await this.#read(() => this.#engine.getMany(keys));
    return values.map((value, i) => {
      if (value === undefined) return undefined;
      const entry = { key: keys[i]!, value };
      if (isIntact(entry)) return entry;
      this.#foundBad(entry.key);
      return undefined;
    });
  }

  damagedRows(): Buffer[] {
    return this.#damaged.list();
  }

  async healed(row: Buffer): Promise<void> {
    await this.#enqueue({
      prepare: async () => {
        const writes = await this.#badRecordsOf(row);
        writes.push({ key: Buffer.concat([DAMAGED_PREFIX, row]), value: undefined });
        return writes;
      },
    });
    if (this.#damaged.remove(row)) this.#parts.metrics.healedRows.inc();
  }

  async declareWhole(batchAbove = 0): Promise<void> {
    let resolved: string[] = [];
    await this.#enqueue({
      prepare: async () => {
        resolved = [...this.#state.doubts];
        const writes: EngineWrite[] = resolved.map((doubt) => ({ key: doubtKey(doubt), value: undefined }));
        writes.push(stateWrite({ ...this.#state, whole: true }));
        if (this.#trail.newest < batchAbove) this.#trail.jumpTo(batchAbove, writes);
        return writes;
      },
    });
    this.#state.whole = true;
    this.#state.doubts = this.#state.doubts.filter((doubt) => !resolved.includes(doubt));
  }

  async renew(reasons: readonly string[]): Promise<void> {
    const noted: EngineWrite[] = [];
    for (const reason of reasons) this.#doubt(reason, noted);
    noted.push(stateWrite({ ...this.#state, whole: false }));
    await this.#write(noted, true);
    this.#state.whole = false;
    // Between the two, a restart finds the file and the state record at odds: a doubt as well.
    this.#state.storeId = await this.#renewIdentity();
    await this.#write([stateWrite(this.#state)], true);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#queue.idle();
    if (this.#failure === undefined && this.#unsynced) await this.#enqueue({}, true);
    await this.#engine.close();
  }

  /** Queues a job and waits for its group. */
  async #enqueue(wanted: Partial<Job>, closing = false): Promise<Job> {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#closing !== undefined && !closing) throw new TallyringError('CLOSED', 'the store is closed');
    const job = {
      entries: [],
      writes: [],
      bytes: 0,
      size: 1,
      sync: true,
      changed: 0,
      ...wanted,
    } as unknown as Job;
    const done = new Promise<void>((resolve, reject) => {
      Object.assign(job, { alone: job.prepare !== undefined, resolve, reject });
    });
    try {
      this.#queue.push(job);
    } catch (error) {
      if ((error as TallyringError).code === 'OVERLOADED')
        this.#parts.metrics.overloaded.inc({ queue: 'merge' });
      throw error;
    }
    await done;
    return job;
  }

  async #write(writes: readonly LocalWrite[], sync: boolean): Promise<void> {
    // Not counted as pending merges: these are the node's own, and whoever writes them bounds them.
    await this.#enqueue({ writes, sync, size: writes.length });
  }

  /** Runs one group: decide, write, publish. Rejects with the engine's error. */
  async #commit(jobs: readonly Job[]): Promise<void> {
    const merges = jobs.filter((job) => job.entries.length > 0);
    const outcome = await decideMerge(
      this.#engine,
      this.#cache,
      merges.map((job) => job.entries),
    );
    const writes = outcome.winners;
    const entries = writes.length;
    for (const key of outcome.bad) this.#markBad(key, writes);
    for (const job of jobs) {
      for (const write of job.prepare === undefined ? job.writes : await job.prepare()) writes.push(write);
    }
    const sync = jobs.some((job) => job.sync);
    if (sync || entries > 0) {
      await this.#writeNumbered(writes, entries, sync || this.#parts.durability === 'sync');
    } else if (writes.length > 0) {
      this.#unsynced = true;
      await this.#engine.write(writes, false);
    }
    merges.forEach((job, i) => {
      job.changed = outcome.changed[i]!;
    });
    this.#publish(outcome, entries, merges);
  }

  async #writeNumbered(writes: EngineWrite[], entries: number, sync: boolean): Promise<void> {
    const { metrics, clock } = this.#parts;
    const batch = this.#trail.append(writes, payloadBytes(writes));
    const startedMs = clock.monotonicMs();
    await this.#engine.write(writes, sync);
    metrics.commits.inc();
    metrics.commitEntries.observe(entries);
    metrics.commitSeconds.observe((clock.monotonicMs() - startedMs) / 1_000);
    this.#syncedBatch = batch;
    this.#unsynced = !sync;
    if (!sync) this.#planSync();
  }

  /** Makes a commit visible: cache, metrics, the listener; the merges resolve after this. */
  #publish(outcome: MergeOutcome, entries: number, merges: readonly Job[]): void {
    const { metrics, logger, onCommit } = this.#parts;
    for (const key of outcome.conflicts) {
      metrics.shardConflicts.inc();
      logger.error(
        { key: key.toString('hex') },
        'two shards of one producer and sequence differ; this is a bug',
      );
    }
    let seen = 0;
    for (const job of merges) seen += job.entries.length;
    if (seen > entries) metrics.mergedEntries.inc({ changed: 'false' }, seen - entries);
    if (entries === 0) return;
    metrics.mergedEntries.inc({ changed: 'true' }, entries);
    const changes = new Array<Change>(entries);
    for (let i = 0; i < entries; i++) {
      const { key, value } = outcome.winners[i]!;
      this.#cache.set(outcome.keys[i]!, value!.toString('latin1'));
      const before = outcome.before[i];
      changes[i] = { key, before: before && hashOf(before), after: hashOf(value!) };
    }
    onCommit(changes);
  }

  #planSync(): void {
    if (this.#syncPlanned) return;
    this.#syncPlanned = true;
    this.#parts.timers.after(PERIODIC_SYNC_MS, () => {
      this.#syncPlanned = false;
      if (this.#unsynced && this.#closing === undefined) this.#inBackground(this.#enqueue({}));
    });
  }

  /** Moves the intact records to `entries`; the keys of the bad ones are noted and given back. */
  #takeIntact(records: readonly EngineRecord[], entries: Entry[]): Buffer[] {
    const bad: Buffer[] = [];
    for (const record of records) {
      if (isIntact(record)) {
        entries.push(record);
      } else {
        bad.push(record.key);
        this.#foundBad(record.key);
      }
    }
    return bad;
  }

  /** A read met a bad record: marks its row, at once in memory and soon on disk (the record stays until then). */
  #foundBad(key: Buffer): void {
    const writes: EngineWrite[] = [];
    this.#markBad(key, writes);
    if (writes.length > 0 && this.#closing === undefined) this.#inBackground(this.#write(writes, true));
  }

  /** Notes a bad record; appends what makes the note durable. */
  #markBad(key: Buffer, writes: EngineWrite[]): void {
    // The next merge of this key must look at the disk and write, even what it held before.
    this.#cache.delete(key.toString('latin1'));
    const { metrics, logger } = this.#parts;
    const row = rowOfBadRecord(key);
    if (row === undefined) {
      // Nobody can say which row lacks a record now, nor merge into this key: the whole store is in doubt.
      metrics.badRecords.inc();
      this.#doubt(`a record was found whose key is unreadable (${key.toString('hex')})`, writes);
      writes.push({ key, value: undefined });
      return;
    }
    const { newRow, newRecord } = this.#damaged.add(row, key);
    if (newRecord) {
      metrics.badRecords.inc();
      logger.error(
        { key: key.toString('hex') },
        'bad record: its checksum is wrong; its row is merged from peers',
      );
    }
    if (newRow) writes.push({ key: Buffer.concat([DAMAGED_PREFIX, row]), value: EMPTY });
  }

  #doubt(text: string, writes: EngineWrite[]): void {
    if (this.#state.doubts.includes(text)) return;
    this.#state.doubts.push(text);
    this.#parts.logger.error({ doubt: text }, 'the store may lack what it acknowledged');
    writes.push({ key: doubtKey(text), value: EMPTY });
  }

  /** Deletions of the row's records that are still bad. */
  async #badRecordsOf(row: Buffer): Promise<EngineWrite[]> {
    const writes: EngineWrite[] = [];
    const end = prefixEnd(row);
    let from = row;
    for (;;) {
      const records = await this.#engine.scan(from, end, { limit: SCAN_PAGE, fillCache: false });
      for (const record of records) {
        if (isIntact(record)) continue;
        this.#cache.delete(record.key.toString('latin1'));
        writes.push({ key: record.key, value: undefined });
      }
      if (records.length < SCAN_PAGE) return writes;
      from = keyAfter(records[records.length - 1]!.key);
    }
  }

  async #read<T>(read: () => Promise<T>): Promise<T> {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#closing !== undefined) throw new TallyringError('CLOSED', 'the store is closed');
    try {
      return await read();
    } catch (error) {
      // Not one bad record (those are read and judged) but a table that LevelDB itself cannot read.
      if (this.#closing === undefined) this.#queue.fail(error as Error);
      throw this.#failure ?? new TallyringError('CLOSED', 'the store was closed', { cause: error });
    }
  }

  #inBackground(work: Promise<unknown>): void {
    // Its failure is the store's, which onFailure tells.
    work.catch(() => undefined);
  }

  #failed(cause: Error): Error {
    const failure = new TallyringError(
      'STORE_FAILED',
      `the store stopped at its first error (${cause.message}); free space or repair the disk, then restart the node`,
      { cause, mayHaveApplied: true },
    );
    this.#failure = failure;
    this.#parts.logger.error({ error: cause.message }, 'the store failed and stopped');
    this.#closing ??= this.#engine.close().catch(() => undefined);
    this.#parts.onFailure?.(failure);
    return failure;
  }
}

function hashOf(value: Buffer): Buffer {
  return value.subarray(value.length - CHECKSUM_BYTES);
}
