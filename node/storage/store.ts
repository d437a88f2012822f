import type { Entry } from '../../proto/entry.js';

/** Keys from `from` (inclusive) to `to` (exclusive), in byte order. */
export interface KeyRange {
  from: Buffer;
  to: Buffer;
}

/** The hash of an entry, the last 8 bytes of its value, as two signed words. */
export interface HeldHash {
  high: number;
  low: number;
}

/** What one commit changed, told after it was synced: the hash of an entry's former value, if any, and the new value. */
export interface Change {
  key: Buffer;
  /** Good for as long as the call that tells it. */
  before: Readonly<HeldHash> | undefined;
  after: Buffer;
}

export interface RangeRead {
  entries: Entry[];
  /** A record here failed its checksum and was not yet healed: the entries are not all there is. */
  damaged: boolean;
}

/**
 * What a replica keeps. Everything that it answers rests on synced state only: `merge` resolves when the
 * state that covers the entries is synced, whether they changed anything or not, and reads see only what
 * was synced. After its first write error the store is failed: every later call rejects STORE_FAILED.
 */
export interface Store {
  readonly storeId: string;
  /** Its storeIds before it was renewed: a peer that remembers one of them remembers nothing of this store. */
  readonly formerStoreIds: readonly string[];
  /** Number of the newest synced batch; grows by one with every commit. */
  readonly syncedBatch: number;
  readonly failure: Error | undefined;

  /**
   * Merges entries (whose form was checked) by their kinds' rule. Resolves when durable; with `sync`, on disk
   * whatever the cluster's durability is.
   */
  merge(entries: readonly Entry[], options?: { sync: boolean }): Promise<{ changed: number; batch: number }>;
  /** All entries of each range, checked. */
  read(ranges: readonly KeyRange[]): Promise<RangeRead[]>;
  /** A page of at most `limit` intact entries of a range, and where the next one starts; bad keys apart. */
  page(
    range: KeyRange,
    limit: number,
  ): Promise<{ entries: Entry[]; bad: Buffer[]; next: Buffer | undefined }>;
  /** The entries of these very keys; `undefined` where there is none, or a bad one. */
  get(keys: readonly Buffer[]): Promise<(Entry | undefined)[]>;

  /** Rows (key prefixes up to the eventType) that met a bad record and are not yet merged back from others. */
  damagedRows(): Buffer[];
  /**
   * Declares a damaged row whole again, after what the other replicas hold was merged in. Durable. Rejects
   * NOT_WHOLE when it finds bad records that were not met before: merge from the others and try again.
   */
  healed(row: Buffer): Promise<void>;

  /**
   * Why the store may lack what it acknowledged: found at open or later, durable until `declareWhole`. Empty
   * when nothing was found.
   */
  readonly doubts: readonly string[];
  /**
   * Says that the store is known to hold all that it must, in place of former stores of this node: resolves the
   * doubts that are known now. Durable.
   */
  declareWhole(formerIds?: readonly string[]): Promise<void>;

  /**
   * Gives the store another storeId, and notes durably why it may lack what it acknowledged under the former
   * one: nobody shall wait for that any more, nor take the next restart for one more rollback. It stays in
   * doubt until `declareWhole`.
   */
  renew(reasons: readonly string[]): Promise<void>;

  /**
   * Looks through the files below the records, in the background. What is damaged there may hide or show
   * anything, so the store fails; at its next start it is set aside.
   */
  checkFiles(): Promise<void>;

  /** Runs `work` while no commit is under way: what it reads is all that there is. */
  exclusively(work: () => Promise<void>): Promise<void>;

  /** Records of this node's own, never replicated: hints, what it remembers of its peers. */
  readonly local: LocalRecords;

  /** Syncs what is pending and closes. */
  close(): Promise<void>;
}

export interface LocalWrite {
  key: Buffer;
  /** `undefined` deletes. */
  value: Buffer | undefined;
}

/**
 * A small ordered map beside the entries. Writes are atomic, and durable when `sync` is asked. They wait their
 * turn with the merges, but are not refused for the merges' bound: who writes bounds what it writes.
 */
export interface LocalRecords {
  write(writes: readonly LocalWrite[], options: { sync: boolean }): Promise<void>;
  get(key: Buffer): Promise<Buffer | undefined>;
  getMany(keys: readonly Buffer[]): Promise<(Buffer | undefined)[]>;
  page(range: KeyRange, limit: number): Promise<{ key: Buffer; value: Buffer }[]>;
}

/** What was found when a store was opened (§7: is my store whole?). */
export interface Opening {
  /** A new store was made, now or at an earlier start, and `declareWhole` was never called since. */
  created: boolean;
  /** Why the store may lack what it acknowledged: a gap in the batches, a repair. Empty when nothing was found. */
  doubts: string[];
}

export interface OpenedStore {
  store: Store;
  opening: Opening;
}

/** Called synchronously after each sync, before the merges of that commit resolve. */
export type OnCommit = (changes: readonly Change[]) => void;
