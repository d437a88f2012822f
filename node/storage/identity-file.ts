import { open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { TallyringError } from '../../proto/errors.js';

/** Format of the data folder as a whole. A newer one is refused. */
export const STORE_FORMAT = 1;
const FILE = 'identity.json';

const identitySchema = z.object({
  format: z.number().int().positive(),
  cluster: z.string(),
  nodeId: z.string(),
  storeId: z.string().regex(/^[0-9a-f]{32}$/),
  createdAt: z.string(),
});

/** Whose data a folder holds: a file outside LevelDB, so that a lost database is told from a new one. */
export type Identity = z.infer<typeof identitySchema>;

/** Undefined when there is none. Throws UNSUPPORTED_FORMAT, or DATA_LOSS when it is unreadable. */
export async function readIdentity(folder: string): Promise<Identity | undefined> {
  const path = join(folder, FILE);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  const { format, identity } = parse(text);
  if (format !== undefined && format > STORE_FORMAT) {
    throw new TallyringError(
      'UNSUPPORTED_FORMAT',
      `${folder} has store format ${format}, this software knows up to ${STORE_FORMAT}: upgrade it`,
    );
  }
  if (identity !== undefined) return identity;
  throw new TallyringError(
    'DATA_LOSS',
    `${path} is damaged: restore it, or move the folder aside (tallyring cluster rebuild does); the node then rebuilds itself from its peers`,
  );
}

function parse(text: string): { format: number | undefined; identity: Identity | undefined } {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return { format: undefined, identity: undefined };
  }
  const format = z.object({ format: z.number() }).safeParse(json).data?.format;
  return { format, identity: identitySchema.safeParse(json).data };
}

/** Throws FAILED_PRECONDITION when the data are another cluster's or node's. */
export function checkIdentity(
  identity: Identity,
  expected: { cluster: string; nodeId: string; folder: string },
): void {
  const { cluster, nodeId, folder } = expected;
  if (identity.cluster === cluster && identity.nodeId === nodeId) return;
  throw new TallyringError(
    'FAILED_PRECONDITION',
    `${folder} holds the data of node ${identity.nodeId} of cluster ${identity.cluster}, ` +
      `not of ${nodeId} of ${cluster}: give this node a folder of its own`,
  );
}

/** Writes the file so that it is there whole or not at all, and durably. */
export async function writeIdentity(folder: string, identity: Identity): Promise<void> {
  const temporary = join(folder, `${FILE}.tmp`);
  const file = await open(temporary, 'w');
  try {
    await file.writeFile(`${JSON.stringify(identity, null, 2)}\n`);
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
