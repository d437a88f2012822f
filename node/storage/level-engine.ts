import { Level } from 'level';
import { sleep } from '../../ports/clock.js';
import { hash64Text } from '../../ports/hash.js';
import type { Engine, EngineRecord, EngineWrite } from './engine.js';
import type { StoreParts } from './store-parts.js';
import { checkTables } from './table-check.js';

/**
 * How much an iterator reads ahead in one step of its thread: rows are small and many are read at a time, and
 * what is allocated for them outside the heap is not given back soon; pages of scans are large.
 */
const ROW_READ_BYTES = 16 * 1024;
const PAGE_READ_BYTES = 256 * 1024;
/** A day of hours in one step, for each costs a thread's turn. */
const FIRST_STEP = 32;
/** Between two tables that are checked while the node serves. */
const TABLE_REST_MS = 250;

type Database = Level<Buffer, Buffer>;

/** Opens LevelDB in a folder. Rejects with its own errors. */
export async function openEngine(
  path: string,
  options: StoreParts,
  createIfMissing: boolean,
): Promise<Engine> {
  const database = new Level<Buffer, Buffer>(path, levelOptions(options));
  await database.open({ createIfMissing, errorIfExists: false });
  const engine = new LevelEngine(database, () => faultOfTables(path, options));
  return options.wrapEngine?.(engine) ?? engine;
}

/** Only complete tables count: one that is being written has no footer yet. */
async function faultOfTables(path: string, { timers }: StoreParts): Promise<string | undefined> {
  const rest = () => sleep(timers, TABLE_REST_MS);
  const { damaged } = await checkTables(path, rest);
  return damaged.length === 0 ? undefined : `damaged tables: ${damaged.join('; ')}`;
}

/**
 * Replicas get the same writes at the same time; with buffers of one size they would also compact at the same
 * time, and a quorum would be slow at once. So each node has its own size, at most the configured one.
 */
function writeBufferOf({ nodeId, limits }: StoreParts): number {
  const share = Number(hash64Text(nodeId) % 1_000n) / 1_000;
  return Math.floor(limits.writeBufferBytes * (0.5 + share / 2));
}

function levelOptions(options: StoreParts) {
  const { limits } = options;
  return {
    keyEncoding: 'buffer',
    valueEncoding: 'buffer',
    cacheSize: limits.blockCacheBytes,
    writeBufferSize: writeBufferOf(options),
    // Measured: keys share prefixes, which blocks do not repeat anyway, and the rest is hashes and small
    // numbers. Off saves some 10 % of the CPU of a write and makes a flipped bit one bad record, not a bad block.
    compression: false,
  };
}

/** The engine port on LevelDB. */
class LevelEngine implements Engine {
  readonly #database: Database;
  readonly faultOfFiles: () => Promise<string | undefined>;

  constructor(database: Database, faultOfFiles: () => Promise<string | undefined>) {
    this.#database = database;
    this.faultOfFiles = faultOfFiles;
  }

  getMany(keys: readonly Buffer[]): Promise<(Buffer | undefined)[]> {
    return this.#database.getMany(keys as Buffer[]);
  }

  async write(writes: readonly EngineWrite[], sync: boolean): Promise<void> {
    const batch = this.#database.batch();
    for (const { key, value } of writes) {
      if (value === undefined) batch.del(key);
      else batch.put(key, value);
    }
    await batch.write({ sync });
  }

  async scan(
    from: Buffer,
    to: Buffer,
    options: { limit: number; fillCache: boolean },
  ): Promise<EngineRecord[]> {
    const highWaterMarkBytes = options.fillCache ? ROW_READ_BYTES : PAGE_READ_BYTES;
    const iterator = this.#database.iterator({ gte: from, lt: to, highWaterMarkBytes, ...options });
    try {
      const records: EngineRecord[] = [];
      // The iterator sets memory aside for all that a step may give, so steps start small: most rows are.
      let step = options.fillCache ? FIRST_STEP : options.limit;
      while (records.length < options.limit) {
        const asked = Math.min(step, options.limit - records.length);
        const pairs = await iterator.nextv(asked);
        let bytes = 0;
        for (const [key, value] of pairs) {
          records.push({ key, value });
          bytes += key.length + value.length;
        }
        // Fewer than asked for, and not for their size: that was the end, no need to ask again.
        if (pairs.length < asked && bytes <= highWaterMarkBytes) break;
        step *= 4;
      }
      return records;
    } finally {
      await iterator.close();
    }
  }

  close(): Promise<void> {
    return this.#database.close();
  }
}
