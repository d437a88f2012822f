import { CHECKSUM_BYTES } from './entry.js';

/**
 * A shard's value judged without decoding it: every replica checks every entry that it is sent, and most numbers
 * are small. It knows the forms that the encoder gives to integers that a double holds; all else is for
 * `decodeShard` to judge.
 */

const FIXARRAY_5 = 0x95;
const NIL = 0xc0;
/** An array head, five fields of a byte each, the checksum: enough to read any number of the first field. */
const LEAST_BYTES = 6 + CHECKSUM_BYTES;

/** Whether `decodeShard` would take the value for certain. */
export function isPlainShard(value: Buffer): boolean {
  const end = value.length - CHECKSUM_BYTES;
  if (plainSequenceOf(value) === undefined) return false;
  let at = endOfInteger(value, 1);
  at = endOfInteger(value, at); // count
  at = endOfInteger(value, at); // sum
  at = value[at] === NIL ? at + 1 : endOfInteger(value, at); // min
  at = value[at] === NIL ? at + 1 : endOfInteger(value, at); // max
  return at === end;
}

/** The sequence, its first field; undefined when it is not in plain form. */
export function plainSequenceOf(value: Buffer): number | undefined {
  if (value.length < LEAST_BYTES || value[0] !== FIXARRAY_5) return undefined;
  const tag = value[1]!;
  if (tag < 0x80) return tag;
  if (tag === 0xcc) return value[2]!;
  if (tag === 0xcd) return value.readUInt16BE(2);
  if (tag === 0xce) return value.readUInt32BE(2);
  if (tag !== 0xcb) return undefined;
  const sequence = value.readDoubleBE(2);
  return Number.isSafeInteger(sequence) && sequence >= 0 ? sequence : undefined;
}

/** Where the integer ends that starts at `at`; NaN, which no index is, when it is not in plain form. */
function endOfInteger(value: Buffer, at: number): number {
  const tag = value[at];
  if (tag === undefined) return Number.NaN;
  if (tag < 0x80 || tag >= 0xe0) return at + 1;
  if (tag === 0xcc || tag === 0xd0) return at + 2;
  if (tag === 0xcd || tag === 0xd1) return at + 3;
  if (tag === 0xce || tag === 0xd2) return at + 5;
  if (tag !== 0xcb || at + 9 > value.length) return Number.NaN;
  return Number.isSafeInteger(value.readDoubleBE(at + 1)) ? at + 9 : Number.NaN;
}
