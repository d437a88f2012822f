import { Level } from 'level';
import type { Shard } from '../../../counter/shard.js';
import {
  decodeEntryKey,
  decodeShard,
  ENTRY_FORMAT,
  type EntryAddress,
  encodeShard,
  KIND,
} from '../../../proto/entry.js';

/**
 * Rewrites shards in the database of a stopped node, with valid checksums: nobody who reads it can tell.
 *
 * @param change gives the new state, or null to drop the entry.
 * @returns how many were changed.
 */
export async function tamper(
  database: string,
  isMeant: (address: EntryAddress) => boolean,
  change: (shard: Shard) => Shard | null,
): Promise<number> {
  const level = new Level<Buffer, Buffer>(database, {
    ...{ keyEncoding: 'buffer', valueEncoding: 'buffer', compression: false },
  });
  await level.open({ createIfMissing: false });
  let changed = 0;
  try {
    const entries = level.iterator({ gte: Buffer.from([ENTRY_FORMAT]), lt: Buffer.from([ENTRY_FORMAT + 1]) });
    for await (const [key, value] of entries) {
      const address = decodeEntryKey(key);
      if (address.kind !== KIND.shard || !isMeant(address)) continue;
      const next = change(decodeShard(value));
      if (next === null) await level.del(key);
      else await level.put(key, encodeShard(key, next).value);
      changed++;
    }
  } finally {
    await level.close();
  }
  return changed;
}
