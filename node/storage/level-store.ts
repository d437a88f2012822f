import { access, mkdir, rename, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Level } from 'level';
import { hash64Text } from '../../ports/hash.js';
import type { Random } from '../../ports/random.js';
import { asTallyringError, TallyringError } from '../../proto/errors.js';
import type { Engine, EngineRecord, EngineWrite } from './engine.js';
import {
  checkIdentity,
  type Identity,
  readIdentity,
  STORE_FORMAT,
  syncFolder,
  writeIdentity,
} from './identity-file.js';
import { createOver, isUntouched, openOver } from './opening.js';
import type { OpenedStore } from './store.js';
import type { StoreParts } from './store-parts.js';

const STORE_ID_BYTES = 16;
/**
 * How much an iterator reads ahead in one step of its thread: rows are small and many are read at a time, and
 * what is allocated for them outside the heap is not given back soon; pages of scans are large.
 */
const ROW_READ_BYTES = 16 * 1024;
const PAGE_READ_BYTES = 256 * 1024;
const FIRST_STEP = 8;
const REBUILD =
  'move the folder aside (tallyring cluster rebuild does); the node then rebuilds itself from its peers';

export interface LevelStoreOptions extends StoreParts {
  /** The node's data folder: identity.json and, below it, LevelDB's files. Made when it is not there. */
  folder: string;
  random: Random;
}

type Database = Level<Buffer, Buffer>;

/**
 * Opens the store in a data folder, or makes a new one where there is none.
 *
 * Throws FAILED_PRECONDITION (another cluster's or node's folder, in use by another process, no permission,
 * too little free space), UNSUPPORTED_FORMAT (a newer format) or DATA_LOSS (the database is gone or broken);
 * the text says what to do.
 */
export async function openLevelStore(options: LevelStoreOptions): Promise<OpenedStore> {
  try {
    await mkdir(options.folder, { recursive: true });
    await checkFreeSpace(options.folder, options.limits.minFreeDiskBytes);
    const identity = await readIdentity(options.folder);
    if (identity === undefined) return await create(options);
    checkIdentity(identity, options);
    return await reopen(options, identity);
  } catch (error) {
    throw inWords(error, options.folder);
  }
}

async function checkFreeSpace(folder: string, leastBytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  const freeBytes = bavail * bsize;
  if (freeBytes >= leastBytes) return;
  throw new TallyringError(
    'FAILED_PRECONDITION',
    `only ${freeBytes} bytes are free under ${folder}, a store needs ${leastBytes} to start: free some space`,
  );
}

async function create(options: LevelStoreOptions): Promise<OpenedStore> {
  const { folder, cluster, nodeId, random, clock } = options;
  const engine = await openEngine(options, true);
  try {
    if (!(await isUntouched(engine))) {
      throw new TallyringError(
        'FAILED_PRECONDITION',
        `${folder} has a database but no identity.json: restore that file, or ${REBUILD}`,
      );
    }
    const identity: Identity = {
      format: STORE_FORMAT,
      cluster,
      nodeId,
      storeId: random.bytes(STORE_ID_BYTES).toString('hex'),
      createdAt: new Date(clock.wallMs()).toISOString(),
    };
    await createOver(engine, identity.storeId);
    await syncFolder(databaseFolder(folder));
    // Written last: without it the next start makes the store anew, with it the database must be there.
    await writeIdentity(folder, identity);
    await syncFolder(dirname(folder));
    return await openOver(engine, options, found(options, identity, []));
  } catch (error) {
    await engine.close();
    throw error;
  }
}

async function reopen(options: LevelStoreOptions, identity: Identity): Promise<OpenedStore> {
  const path = databaseFolder(options.folder);
  if (!(await exists(join(path, 'CURRENT')))) {
    throw new TallyringError(
      'DATA_LOSS',
      `the database of ${options.folder} is gone (no ${path}/CURRENT): ${REBUILD}`,
    );
  }
  const engine = await openEngine(options, false);
  try {
    // LevelDB's repair leaves what it took apart in this folder.
    const repaired = await exists(join(path, 'lost'));
    const doubts = repaired ? ["LevelDB's repair was run on the database"] : [];
    const opened = await openOver(engine, options, found(options, identity, doubts));
    // The doubt is noted now: it must not come up again after it was resolved.
    if (repaired)
      await rename(join(path, 'lost'), join(options.folder, `repaired-${options.clock.wallMs()}`));
    return opened;
  } catch (error) {
    await engine.close();
    throw error;
  }
}

/** What the identity file says, and how it is given another storeId. */
function found({ folder, random }: LevelStoreOptions, identity: Identity, doubts: readonly string[]) {
  const renew = async () => {
    const storeId = random.bytes(STORE_ID_BYTES).toString('hex');
    await writeIdentity(folder, { ...identity, storeId });
    return storeId;
  };
  return { storeId: identity.storeId, doubts, renew };
}

function databaseFolder(folder: string): string {
  return join(folder, 'db');
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch {
    return false;
  }
}

async function openEngine(options: LevelStoreOptions, createIfMissing: boolean): Promise<Engine> {
  const database = new Level<Buffer, Buffer>(databaseFolder(options.folder), levelOptions(options));
  await database.open({ createIfMissing, errorIfExists: false });
  const engine = new LevelEngine(database);
  return options.wrapEngine?.(engine) ?? engine;
}

/**
 * Replicas get the same writes at the same time; with buffers of one size they would also compact at the same
 * time, and a quorum would be slow at once. So each node has its own size, at most the configured one.
 */
function writeBufferOf({ nodeId, limits }: LevelStoreOptions): number {
  const share = Number(hash64Text(nodeId) % 1_000n) / 1_000;
  return Math.floor(limits.writeBufferBytes * (0.5 + share / 2));
}

function levelOptions(options: LevelStoreOptions) {
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

  constructor(database: Database) {
    this.#database = database;
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

/** An error of opening, with what to do. */
function inWords(error: unknown, folder: string): TallyringError {
  if (error instanceof TallyringError) return error;
  const cause = ((error as Error).cause ?? error) as NodeJS.ErrnoException;
  const text = cause.message ?? String(cause);
  if (cause.code === 'LEVEL_LOCKED') {
    return new TallyringError(
      'FAILED_PRECONDITION',
      `${folder} is in use by another process: stop that node first, or give this one a folder of its own`,
      { cause },
    );
  }
  if (
    cause.code === 'EACCES' ||
    cause.code === 'EPERM' ||
    cause.code === 'EROFS' ||
    /permission denied/i.test(text)
  ) {
    return new TallyringError(
      'FAILED_PRECONDITION',
      `${folder} cannot be written (${text}): make it belong to the user that runs the node`,
      { cause },
    );
  }
  if (cause.code === 'ENOTDIR' || cause.code === 'EEXIST') {
    return new TallyringError('FAILED_PRECONDITION', `${folder} is not a folder (${text}): choose another`, {
      cause,
    });
  }
  // A file that the database names and that is not there: no disk to be checked, but data that are gone.
  if (cause.code === 'LEVEL_IO_ERROR' && !/no such file/i.test(text)) {
    return new TallyringError(
      'STORE_FAILED',
      `the disk of ${folder} failed (${text}): check it, then restart`,
      { cause },
    );
  }
  if (cause.code?.startsWith('LEVEL_')) {
    return new TallyringError(
      'DATA_LOSS',
      `the database of ${folder} cannot be opened (${text}): ${REBUILD}`,
      { cause },
    );
  }
  return asTallyringError(error);
}
