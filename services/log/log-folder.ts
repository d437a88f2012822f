import { access, mkdir, statfs } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { Clock } from '../../ports/clock.js';
import type { Random } from '../../ports/random.js';
import { asTallyringError, TallyringError } from '../../proto/errors.js';
import { type LogIdentity, readIdentity, syncFolder, writeIdentity } from './identity-file.js';
import { openLevelStore } from './level-store.js';
import type { LogDescription } from './log.js';
import { createLog, isUntouched, storedDescription } from './opening.js';
import type { LogStore } from './store.js';

const LOG_ID_BYTES = 16;
const RESTORE = 'restore the folder from a backup, or move it aside to begin a new log';

export interface LogFolderOptions {
  folder: string;
  /** Of a log that is made; one that is there must have as many. */
  partitions: number;
  writeBufferBytes: number;
  minFreeDiskBytes: number;
  clock: Clock;
  random: Random;
}

export interface OpenedFolder {
  store: LogStore;
  description: LogDescription;
}

/**
 * Opens the log in a folder, or makes a new one, with an id of its own, where there is none.
 *
 * Throws FAILED_PRECONDITION (in use by another process, no permission, another number of partitions, too little
 * free space), UNSUPPORTED_FORMAT (a newer format) or DATA_LOSS (the database is gone or broken); the text says
 * what to do.
 */
export async function openLogFolder(options: LogFolderOptions): Promise<OpenedFolder> {
  const folder = resolve(options.folder);
  try {
    await mkdir(folder, { recursive: true });
    await checkFreeSpace(folder, options.minFreeDiskBytes);
    const identity = await readIdentity(folder);
    return identity === undefined ? await create(folder, options) : await reopen(folder, identity, options);
  } catch (error) {
    throw inWords(error, folder);
  }
}

async function create(folder: string, options: LogFolderOptions): Promise<OpenedFolder> {
  const path = databaseFolder(folder);
  const store = await openLevelStore(path, { ...options, createIfMissing: true });
  try {
    if (!(await isUntouched(store))) {
      const text = `${folder} has a database but no identity.json: ${RESTORE}`;
      throw new TallyringError('FAILED_PRECONDITION', text);
    }
    const { partitions, random, clock } = options;
    const description = { logId: random.bytes(LOG_ID_BYTES).toString('hex'), partitions };
    await createLog(store, description);
    await syncFolder(path);
    // Written last: without it the next start makes the log anew, with it the database must be there.
    const createdAt = new Date(clock.wallMs()).toISOString();
    await writeIdentity(folder, { ...description, createdAt });
    await syncFolder(dirname(folder));
    return { store, description };
  } catch (error) {
    await store.close();
    throw error;
  }
}

async function reopen(
  folder: string,
  { logId, partitions }: LogIdentity,
  options: LogFolderOptions,
): Promise<OpenedFolder> {
  if (partitions !== options.partitions) {
    throw new TallyringError(
      'FAILED_PRECONDITION',
      `${folder} holds a log of ${partitions} partitions, the configuration says ${options.partitions}: ` +
        'the number cannot be changed, set it back or begin a new log in another folder',
    );
  }
  const path = databaseFolder(folder);
  if (!(await exists(join(path, 'CURRENT')))) {
    throw new TallyringError(
      'DATA_LOSS',
      `the database of ${folder} is gone (no ${path}/CURRENT): ${RESTORE}`,
    );
  }
  const store = await openLevelStore(path, { ...options, createIfMissing: false });
  try {
    const stored = await storedDescription(store);
    if (stored?.logId === logId && stored.partitions === partitions) return { store, description: stored };
    const text = `the data of ${folder} are of log ${stored?.logId}, identity.json says ${logId}: ${RESTORE}`;
    throw new TallyringError('DATA_LOSS', text);
  } catch (error) {
    await store.close();
    throw error;
  }
}

async function checkFreeSpace(folder: string, leastBytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  const freeBytes = bavail * bsize;
  if (freeBytes >= leastBytes) return;
  throw new TallyringError(
    'FAILED_PRECONDITION',
    `only ${freeBytes} bytes are free under ${folder}, the log needs ${leastBytes} to start: free some space`,
  );
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

/** An error of opening, with what to do. */
function inWords(error: unknown, folder: string): TallyringError {
  if (error instanceof TallyringError) return error;
  const cause = ((error as Error).cause ?? error) as NodeJS.ErrnoException;
  const text = cause.message ?? String(cause);
  const failed = (code: 'FAILED_PRECONDITION' | 'DATA_LOSS' | 'STORE_FAILED', message: string) =>
    new TallyringError(code, message, { cause });
  if (cause.code === 'LEVEL_LOCKED') {
    return failed(
      'FAILED_PRECONDITION',
      `${folder} is in use by another process: stop that log first, or give this one a folder of its own`,
    );
  }
  if (['EACCES', 'EPERM', 'EROFS'].includes(cause.code ?? '') || /permission denied/i.test(text)) {
    const what = `${folder} cannot be written (${text}): make it belong to the user that runs the log`;
    return failed('FAILED_PRECONDITION', what);
  }
  if (cause.code === 'ENOTDIR' || cause.code === 'EEXIST') {
    return failed('FAILED_PRECONDITION', `${folder} is not a folder (${text}): choose another`);
  }
  // A file that the database names and that is not there: no disk to be checked, but data that are gone.
  if (cause.code === 'LEVEL_IO_ERROR' && !/no such file/i.test(text)) {
    return failed('STORE_FAILED', `the disk of ${folder} failed (${text}): check it, then restart`);
  }
  if (cause.code?.startsWith('LEVEL_')) {
    return failed('DATA_LOSS', `the database of ${folder} cannot be opened (${text}): ${RESTORE}`);
  }
  return asTallyringError(error);
}
