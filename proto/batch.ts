import { Packr } from 'msgpackr';
import { ENTRY_FORMAT, type Entry, malformed } from './entry.js';
import { TallyringError } from './errors.js';

/** Entries as they travel together. */

const packr = new Packr({ int64AsType: 'bigint', useRecords: false });

/** What an entry takes of a batch, about. */
export function bytesOf({ key, value }: Entry): number {
  return key.length + value.length + 10;
}

/** A batch of entries: msgpack `[formatVersion, [key, value, key, value, …]]`. */
export function encodeBatch(entries: readonly Entry[]): Buffer {
  const flat: Buffer[] = new Array(entries.length * 2);
  let at = 0;
  for (const { key, value } of entries) {
    flat[at++] = key;
    flat[at++] = value;
  }
  return packr.pack([ENTRY_FORMAT, flat]);
}

/** Checks the batch's form, not its entries: `isIntact` and `decodeEntryKey` do that. */
export function decodeBatch(payload: Uint8Array): Entry[] {
  let batch: unknown;
  try {
    batch = packr.unpack(payload);
  } catch (cause) {
    throw malformed(`batch does not decode (${(cause as Error).message})`);
  }
  if (!Array.isArray(batch) || batch.length !== 2) throw malformed('batch is not [format, entries]');
  const [format, flat] = batch as [unknown, unknown];
  if (format !== ENTRY_FORMAT) {
    throw new TallyringError('UNSUPPORTED_FORMAT', `batch format ${String(format)} is not ${ENTRY_FORMAT}`);
  }
  if (!Array.isArray(flat) || flat.length % 2 !== 0) throw malformed('batch entries');
  const entries: Entry[] = new Array(flat.length / 2);
  for (let i = 0; i < flat.length; i += 2) {
    const [key, value] = [flat[i], flat[i + 1]];
    if (!Buffer.isBuffer(key) || !Buffer.isBuffer(value)) throw malformed('batch entry is not bytes');
    entries[i / 2] = { key, value };
  }
  return entries;
}
