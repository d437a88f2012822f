import { type Entry, isIntact, kindOfEntry } from '../../proto/entry.js';
import { TallyringError } from '../../proto/errors.js';
import { CellCache, isOneCell } from './cell-cache.js';
import { Committer } from './committer.js';
import type { Engine, EngineRecord } from './engine.js';
import { HeldCache } from './held-cache.js';
import { keyAfter } from './keyspace.js';
import { kindOf } from './kinds.js';
import { RecordsOverEngine } from './local-records.js';
import type { MarkerTrail } from './markers.js';
import type { KeyRange, LocalRecords, RangeRead, Store } from './store.js';
import { StoreHealth } from './store-health.js';
import type { StoreParts } from './store-parts.js';
import { type StoreState, stateWrite, withFormer } from './store-state.js';

const SCAN_PAGE = 1_000;
/** Ranges of one read that are scanned at a time: their values are all in memory at once. */
const PARALLEL_SCANS = 32;
/** What an entry costs in memory beside its bytes while it waits. */
const ENTRY_OVERHEAD_BYTES = 64;

/** The replica's store over any engine: LevelDB's, or the simulated disk's. */
export class EngineStore implements Store {
  readonly local: LocalRecords;
  readonly #engine: Engine;
  readonly #health: StoreHealth;
  readonly #committer: Committer;
  readonly #cells: CellCache;
  readonly #renewIdentity: () => Promise<string>;

  constructor(
    engine: Engine,
    store: StoreParts,
    found: {
      state: StoreState;
      damagedRows: readonly Buffer[];
      trail: MarkerTrail;
      /** Writes another storeId to where the identity is kept, durably. */
      renewIdentity: () => Promise<string>;
    },
  ) {
    const cache = new HeldCache(store.limits.storeCacheEntries);
    this.#engine = engine;
    this.#cells = new CellCache(store.limits.readCacheCells);
    this.#renewIdentity = found.renewIdentity;
    this.#health = new StoreHealth(found, { cache, metrics: store.metrics, logger: store.logger });
    this.#committer = new Committer({
      engine,
      store,
      cache,
      cells: this.#cells,
      health: this.#health,
      trail: found.trail,
    });
    this.local = new RecordsOverEngine({
      // Not counted as pending merges: these are the node's own, and whoever writes them bounds them.
      write: (writes, sync) => this.#committer.run({ writes, sync }),
      read: (read) => this.#read(() => read(this.#engine)),
    });
  }

  get storeId(): string {
    return this.#health.state.storeId;
  }

  get formerStoreIds(): readonly string[] {
    return this.#health.state.formerIds;
  }

  get syncedBatch(): number {
    return this.#committer.syncedBatch;
  }

  get failure(): Error | undefined {
    return this.#committer.failure;
  }

  get doubts(): readonly string[] {
    return this.#health.state.doubts;
  }

  async merge(
    entries: readonly Entry[],
    options: { sync: boolean } = { sync: false },
  ): Promise<{ changed: number; batch: number }> {
    let bytes = 0;
    for (const { key, value } of entries) {
      kindOf(kindOfEntry(key));
      bytes += key.length + value.length + ENTRY_OVERHEAD_BYTES;
    }
    const changed = await this.#committer.run({ entries, bytes, sync: options.sync });
    return { changed, batch: this.syncedBatch };
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
    const oneCell = isOneCell(range);
    const known = oneCell ? this.#cells.get(range) : undefined;
    if (known !== undefined) return { entries: [...known], damaged: this.#health.rows.touches(range) };
    const start = oneCell ? this.#cells.begin() : undefined;
    const read: RangeRead = { entries: [], damaged: false };
    let from = range.from;
    for (;;) {
      const records = await this.#engine.scan(from, range.to, { limit: SCAN_PAGE, fillCache: true });
      if (this.#takeIntact(records, read.entries).length > 0) read.damaged = true;
      if (records.length < SCAN_PAGE) break;
      from = keyAfter(records[records.length - 1]!.key);
    }
    // Asked last, so that damage which others find meanwhile counts.
    read.damaged ||= this.#health.rows.touches(range);
    if (!read.damaged) this.#cells.remember(range, [...read.entries], start);
    return read;
  }

  async page(
    range: KeyRange,
    limit: number,
  ): Promise<{ entries: Entry[]; bad: Buffer[]; next: Buffer | undefined }> {
    const options = { limit, fillCache: false };
    const records = await this.#read(() => this.#engine.scan(range.from, range.to, options));
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
    return this.#health.rows.list();
  }

  async healed(row: Buffer): Promise<void> {
    let healed = false;
    const prepare = async () => {
      const { writes, whole } = await this.#health.heal(this.#engine, row);
      healed = whole;
      return writes;
    };
    await this.#committer.run({ prepare, sync: true });
    if (!healed) {
      throw new TallyringError(
        'NOT_WHOLE',
        'more bad records were found in the row: merge it from the others again',
      );
    }
    this.#health.healed(row);
    this.#cells.clear();
  }

  async exclusively(work: () => Promise<void>): Promise<void> {
    const prepare = async () => {
      await work();
      return [];
    };
    await this.#committer.run({ prepare, sync: false });
  }

  async declareWhole(formerIds: readonly string[] = []): Promise<void> {
    let doubts: string[] = [];
    const { state } = this.#health;
    for (const id of formerIds) if (id !== state.storeId) state.formerIds = withFormer(state.formerIds, id);
    const prepare = async () => {
      const { writes, resolved } = this.#health.resolve();
      doubts = resolved;
      return writes;
    };
    await this.#committer.run({ prepare, sync: true });
    this.#health.resolved(doubts);
  }

  async renew(reasons: readonly string[]): Promise<void> {
    const { state } = this.#health;
    const noted = reasons.flatMap((reason) => this.#health.doubt(reason));
    await this.#committer.run({ writes: [...noted, stateWrite({ ...state, whole: false })], sync: true });
    state.whole = false;
    state.formerIds = withFormer(state.formerIds, state.storeId);
    try {
      state.storeId = await this.#renewIdentity();
    } catch (error) {
      this.#committer.fail(error as Error);
      throw this.failure ?? error;
    }
    // A restart before this one is through finds the identity and the state at odds: a doubt as well.
    await this.#committer.run({ writes: [stateWrite(state)], sync: true });
  }

  async checkFiles(): Promise<void> {
    const fault = await this.#read(async () => this.#engine.faultOfFiles?.());
    if (fault !== undefined) this.#committer.fail(new Error(fault));
  }

  close(): Promise<void> {
    return this.#committer.close();
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

  #foundBad(key: Buffer): void {
    this.#cells.clear();
    const writes = this.#health.noteBad(key);
    if (writes.length === 0) return;
    // Nobody waits for the note: until it is durable, the record is there to be met again.
    this.#committer.run({ writes, sync: true }).catch(() => undefined);
  }

  async #read<T>(read: () => Promise<T>): Promise<T> {
    this.#committer.assertOpen();
    try {
      return await read();
    } catch (error) {
      // Not one bad record (those are read and judged) but something that the engine cannot read at all.
      this.#committer.fail(error as Error);
      throw this.failure ?? new TallyringError('CLOSED', 'the store was closed', { cause: error });
    }
  }
}
