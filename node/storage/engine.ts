/** One write of an atomic batch; `undefined` deletes. Entries of a merge are such writes as they are. */
export interface EngineWrite {
  key: Buffer;
  value: Buffer | undefined;
}

export interface EngineRecord {
  key: Buffer;
  value: Buffer;
}

/**
 * The little that the store asks of an ordered key-value engine. LevelDB and the simulated disk implement it;
 * group commit, markers, checksums and hints stand above it and are the same for both.
 */
export interface Engine {
  getMany(keys: readonly Buffer[]): Promise<(Buffer | undefined)[]>;
  /** Atomic. With `sync`, resolves when this batch and all before it are durable; reads do not see it before. */
  write(writes: readonly EngineWrite[], sync: boolean): Promise<void>;
  /** At most `limit` records from `from` (inclusive) to `to` (exclusive), in byte order. */
  scan(from: Buffer, to: Buffer, options: { limit: number; fillCache: boolean }): Promise<EngineRecord[]>;
  /** Looks through what lies below the records, slowly; what is damaged, in words. */
  faultOfFiles?(): Promise<string | undefined>;
  close(): Promise<void>;
}
