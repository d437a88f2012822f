import { open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { TallyringError } from '../../proto/errors.js';

/** Format of the log's folder as a whole. A newer one is refused. */
const FOLDER_FORMAT = 1;
const FILE = 'identity.json';

const identitySchema = z.object({
  format: z.number().int().positive(),
  logId: z.string().regex(/^[0-9a-f]{32}$/),
  partitions: z.number().int().positive(),
  createdAt: z.string(),
});

/** Which log a folder holds: a file outside LevelDB, so that a lost database is told from a new one. */
export type LogIdentity = Omit<z.infer<typeof identitySchema>, 'format'>;

/** Undefined when there is none. Throws UNSUPPORTED_FORMAT, or DATA_LOSS when it is unreadable. */
export async function readIdentity(folder: string): Promise<LogIdentity | undefined> {
  const path = join(folder, FILE);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  const json = parseJson(text);
  const format = z.object({ format: z.number() }).safeParse(json).data?.format;
  if (format !== undefined && format > FOLDER_FORMAT) {
    const message = `${folder} has log format ${format}, this software knows up to ${FOLDER_FORMAT}: upgrade it`;
    throw new TallyringError('UNSUPPORTED_FORMAT', message);
  }
  const identity = identitySchema.safeParse(json).data;
  if (identity !== undefined) return identity;
  throw new TallyringError('DATA_LOSS', `${path} is damaged: restore it from a backup`);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Writes the file so that it is there whole or not at all, and durably. */
export async function writeIdentity(folder: string, identity: LogIdentity): Promise<void> {
  const temporary = join(folder, `${FILE}.tmp`);
  const file = await open(temporary, 'w');
  try {
    await file.writeFile(`${JSON.stringify({ format: FOLDER_FORMAT, ...identity }, null, 2)}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, join(folder, FILE));
  await syncFolder(folder);
}

/** Makes the names in a folder durable. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
