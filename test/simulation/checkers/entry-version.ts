import { decodeShard, type Entry, KIND, kindOfEntry } from '../../../proto/entry.js';
import { decodeRegister } from '../../../proto/register.js';

/** Room for the writes of one epoch. */
const WRITES_PER_EPOCH = 1_000_000;

/** The version of an entry as one number that grows: a shard's sequence, a register's epoch and write. */
export function versionOf(entry: Entry): number {
  if (kindOfEntry(entry.key) !== KIND.register) return decodeShard(entry.value).sequence;
  const { epoch, write } = decodeRegister(entry.value);
  return epoch * WRITES_PER_EPOCH + write;
}
