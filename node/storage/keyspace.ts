/**
 * The engine's key space. Entries start with their format byte (1); all that is this node's own lies behind
 * the first byte 0xF0:
 *
 *   F0 01 u64 number   marker of a batch (markers.ts)
 *   F0 02              state: storeId, and whether the store was declared whole
 *   F0 03 row          a damaged row
 *   F0 04 text         a doubt found and not yet resolved
 *   F0 10 key          LocalRecords
 */
const LOCAL = 0xf0;

const MARKER = 0x01;
const HEAD_BYTES = 14;

export const STATE_KEY = Buffer.from([LOCAL, 0x02]);
export const DAMAGED_PREFIX = Buffer.from([LOCAL, 0x03]);
export const DOUBT_PREFIX = Buffer.from([LOCAL, 0x04]);
export const RECORDS_PREFIX = Buffer.from([LOCAL, 0x10]);
export const MARKER_PREFIX = Buffer.from([LOCAL, MARKER]);
export const EMPTY = Buffer.alloc(0);

export function markerKey(batch: number): Buffer {
  const key = Buffer.allocUnsafe(10);
  key[0] = LOCAL;
  key[1] = MARKER;
  key.writeBigUInt64BE(BigInt(batch), 2);
  return key;
}

export function batchOfMarker(key: Buffer): number {
  return Number(key.readBigUInt64BE(2));
}

/** The first key behind all keys that start with `prefix` (whose last byte is not 0xff all through). */
export function prefixEnd(prefix: Buffer): Buffer {
  let length = prefix.length;
  while (length > 0 && prefix[length - 1] === 0xff) length--;
  const end = Buffer.from(prefix.subarray(0, length));
  if (length > 0) end[length - 1]! += 1;
  return end;
}

/** The key that follows `key` directly. */
export function keyAfter(key: Buffer): Buffer {
  return Buffer.concat([key, Buffer.from([0])]);
}

/** The row of an entry key whose form was checked: its prefix up to the eventType. Shares the key's memory. */
export function rowOfKey(key: Buffer): Buffer {
  const typeAt = HEAD_BYTES + 2 + key.readUInt16BE(HEAD_BYTES);
  return key.subarray(0, typeAt + 1 + key[typeAt]!);
}
