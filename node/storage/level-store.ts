import { access, mkdir, rename, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Random } from '../../ports/random.js';
import { asTallyringError, TallyringError } from '../../proto/errors.js';
import {
  checkIdentity,
  type Identity,
  readIdentity,
  STORE_FORMAT,
  syncFolder,
  writeIdentity,
} from './identity-file.js';
import { openEngine } from './level-engine.js';
import { createOver, isUntouched, openOver } from './opening.js';
import type { OpenedStore } from './store.js';
import type { StoreParts } from './store-parts.js';
import { checkTables } from './table-check.js';

const STORE_ID_BYTES = 16;
const SET_ASIDE = 'the former database was damaged and set aside';
const REBUILD =
  'move the folder aside (tallyring cluster rebuild does); the node then rebuilds itself from its peers';

export interface LevelStoreOptions extends StoreParts {
  /** The node's data folder: identity.json and, below it, LevelDB's files. Made when it is not there. */
  folder: string;
  random: Random;
}

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

async function create(options: LevelStoreOptions, doubts: readonly string[] = []): Promise<OpenedStore> {
  const { folder, cluster, nodeId, random, clock } = options;
  const engine = await openEngine(databaseFolder(folder), options, true);
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
    return await openOver(engine, options, found(options, identity, doubts));
  } catch (error) {
    await engine.close();
    throw error;
  }
}

async function reopen(options: LevelStoreOptions, identity: Identity): Promise<OpenedStore> {
  const path = databaseFolder(options.folder);
  const aside = asideFolder(options.folder);
  if (!(await exists(path)) && (await exists(aside))) return create(options, [SET_ASIDE]);
  if (!(await exists(join(path, 'CURRENT')))) {
    throw new TallyringError(
      'DATA_LOSS',
      `the database of ${options.folder} is gone (no ${path}/CURRENT): ${REBUILD}`,
    );
  }
  // Before LevelDB sees them: some flipped bits make its assertions abort the process.
  const { damaged, unfinished } = await checkTables(path);
  if (damaged.length > 0) return startAnew(options, damaged);
  const engine = await openEngine(path, options, false);
  try {
    // Opening has removed what a killed process was writing; what is still there belongs to the database.
    for (const name of unfinished) {
      if (!(await exists(join(path, name)))) continue;
      await engine.close();
      return await startAnew(options, [`${name}: its footer is damaged`]);
    }
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

/**
 * A damaged table cannot be mended from the other replicas row by row: nobody knows what it held, and what it
 * shows may hide what is written later. So the database is set aside, and the node starts as one that lost its
 * store. Once: a disk that damages tables again before somebody looked is not to be trusted.
 */
async function startAnew(options: LevelStoreOptions, damaged: readonly string[]): Promise<OpenedStore> {
  const { folder, logger } = options;
  const aside = asideFolder(folder);
  const what = damaged.join('; ');
  if (await exists(aside)) {
    throw new TallyringError(
      'DATA_LOSS',
      `the database of ${folder} is damaged (${what}), and one that was set aside for the same reason is still ` +
        `there: check the disk, delete ${aside}, then start the node again`,
    );
  }
  await rename(databaseFolder(folder), aside);
  await syncFolder(folder);
  logger.error(
    { tables: damaged, aside },
    'the database is damaged: it was set aside, and the node rebuilds itself from its peers',
  );
  return create(options, [`${SET_ASIDE}: ${what}`]);
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

function asideFolder(folder: string): string {
  return join(folder, 'db.damaged');
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch {
    return false;
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
