/** One write of an atomic batch; `undefined` deletes. */
export interface LogWrite {
  key: Buffer;
  value: Buffer | undefined;
}

export interface StoredRecord {
  key: Buffer;
  value: Buffer;
}

export interface ScanOptions {
  limit: number;
  fillCache: boolean;
  /** The scan may end behind the record with which it has as many bytes: for what holds large values. */
  maxBytes: number;
}

/**
 * What the log asks of an ordered key-value store: LevelDB (level-store.ts), and the simulated disk of tests,
 * which models what a kill takes away.
 */
export interface LogStore {
  getMany(keys: readonly Buffer[]): Promise<(Buffer | undefined)[]>;
  /** Atomic. With `sync`, resolves when this batch and all before it are durable; reads do not see it before. */
  write(writes: readonly LogWrite[], sync: boolean): Promise<void>;
  /** Records from `from` (inclusive) to `to` (exclusive), in byte order: one at least, when there is one. */
  scan(from: Buffer, to: Buffer, options: ScanOptions): Promise<StoredRecord[]>;
  close(): Promise<void>;
}
