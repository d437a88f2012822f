import { Level } from 'level';
import type { LogStore, LogWrite, ScanOptions, StoredRecord } from './store.js';

type Database = Level<Buffer, Buffer>;

/** Readers mostly read what was written of late, which the memtable has. */
const BLOCK_CACHE_BYTES = 8 * 1024 * 1024;
/** Blocks are large and never change: with LevelDB's 2 MiB there would be very many tables. */
const TABLE_BYTES = 16 * 1024 * 1024;

/** Opens LevelDB in a folder. Rejects with its own errors. */
export async function openLevelStore(
  path: string,
  options: { createIfMissing: boolean; writeBufferBytes: number },
): Promise<LogStore> {
  const database: Database = new Level<Buffer, Buffer>(path, {
    keyEncoding: 'buffer',
    valueEncoding: 'buffer',
    cacheSize: BLOCK_CACHE_BYTES,
    writeBufferSize: options.writeBufferBytes,
    maxFileSize: TABLE_BYTES,
    // A flipped bit is one bad block that way, which its own checksum finds.
    compression: false,
  });
  await database.open({ createIfMissing: options.createIfMissing, errorIfExists: false });
  return new LevelStore(database);
}

class LevelStore implements LogStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  getMany(keys: readonly Buffer[]): Promise<(Buffer | undefined)[]> {
    return this.#database.getMany(keys as Buffer[]);
  }

  async write(writes: readonly LogWrite[], sync: boolean): Promise<void> {
    const batch = this.#database.batch();
    for (const { key, value } of writes) {
      if (value === undefined) batch.del(key);
      else batch.put(key, value);
    }
    await batch.write({ sync });
  }

  async scan(from: Buffer, to: Buffer, { limit, fillCache, maxBytes }: ScanOptions): Promise<StoredRecord[]> {
    const range = { gte: from, lt: to, limit, fillCache, highWaterMarkBytes: maxBytes };
    const iterator = this.#database.iterator(range);
    try {
      const pairs = await iterator.nextv(limit);
      return pairs.map(([key, value]) => ({ key, value }));
    } finally {
      await iterator.close();
    }
  }

  close(): Promise<void> {
    return this.#database.close();
  }
}
