import { isUtf8 } from 'node:buffer';
import { Packr } from 'msgpackr';
import { isInt64 } from '../counter/int64.js';
import type { Shard } from '../counter/shard.js';
import { MAX_COLUMN_NAME_BYTES, MAX_EVENT_TYPE_BYTES, MAX_KEY_BYTES } from '../counter/validate.js';
import { GRANULARITIES, GRANULARITY_CODE, type Granularity } from '../counter/window.js';
import { hash64, hash64Text } from '../ports/hash.js';
import { TallyringError } from './errors.js';

/**
 * The form that an entry has on disk and on every wire, made once by the producer and passed on unchanged.
 *
 *   key    u8 format · u8 granularity · u32 period + 2^31 · u64 token · u16 length, key (UTF-8)
 *          · u8 length, eventType (UTF-8) · u48 window index + 2^47 · u8 kind
 *          · of shards 16 bytes producerId, of columns 1 to 128 bytes name (UTF-8)
 *   value  msgpack array of the kind's fields · u64 xxHash64 of key and fields (the checksum, and the
 *          entry's hash in anti-entropy)
 *
 * Numbers are big-endian, so entries sort by granularity, period, token, key, eventType, window, kind and
 * producer or name: a row's windows are one range scan per period, and whole periods can be dropped when they expire.
 */
export interface Entry {
  key: Buffer;
  value: Buffer;
}

export const ENTRY_FORMAT = 1;
export const KIND = { base: 1, shard: 2, register: 3, column: 4 } as const;
export type KindCode = (typeof KIND)[keyof typeof KIND];

export { MAX_EVENT_TYPE_BYTES, MAX_KEY_BYTES };
export const PRODUCER_ID_BYTES = 16;
export const CHECKSUM_BYTES = 8;
/** A replica takes no larger value. */
export const MAX_VALUE_BYTES = 64 * 1024;

/**
 * Windows per period: the unit of expiry, and one range scan of a row each. Some three years of days, half a
 * year of hours, a day of minutes; `total` has one period. Part of the disk format.
 */
const PERIOD_WINDOWS: Record<Granularity, number> = { total: 1, day: 1024, hour: 4096, minute: 1440 };
const HEAD_BYTES = 14; // format, granularity, period, token
const TOKEN_AT = 6;
export const PERIOD_BIAS = 2 ** 31;
export const WINDOW_BIAS = 2 ** 47;

export interface CellAddress {
  key: string;
  eventType: string;
  granularity: Granularity;
  /** Index of the window (counter/window.ts). */
  window: number;
}

export interface EntryAddress extends CellAddress {
  kind: KindCode;
  /** Hex; empty for kinds other than shard. */
  producerId: string;
  token: bigint;
}

export function tokenOf(key: string): bigint {
  return hash64Text(key);
}

export function periodOf(granularity: Granularity, window: number): number {
  return granularity === 'total' ? 0 : Math.floor(window / PERIOD_WINDOWS[granularity]);
}

/** The shared start of all entries of a row's windows in one period (no window, kind or producer). */
export function rowPrefix(address: Omit<CellAddress, 'window'>, period: number, token: bigint): Buffer {
  const keyBytes = Buffer.byteLength(address.key);
  const typeBytes = Buffer.byteLength(address.eventType);
  const out = Buffer.allocUnsafe(HEAD_BYTES + 3 + keyBytes + typeBytes);
  let at = writeHead(out, address.granularity, period, token);
  at = out.writeUInt16BE(keyBytes, at);
  at += out.write(address.key, at);
  at = out.writeUInt8(typeBytes, at);
  out.write(address.eventType, at);
  return out;
}

function writeHead(out: Buffer, granularity: Granularity, period: number, token: bigint): number {
  out[0] = ENTRY_FORMAT;
  out[1] = GRANULARITY_CODE[granularity];
  out.writeUInt32BE(period + PERIOD_BIAS, 2);
  return out.writeBigUInt64BE(token, TOKEN_AT);
}

/** Start of the keys of one window within its row's prefix; all its kinds and producers follow. */
export function windowPrefix(row: Buffer, window: number): Buffer {
  const out = Buffer.allocUnsafe(row.length + 6);
  row.copy(out);
  out.writeUIntBE(window + WINDOW_BIAS, row.length, 6);
  return out;
}

/** The key of a shard. `producerId` has 16 bytes. */
export function shardKey(address: CellAddress, token: bigint, producerId: Uint8Array): Buffer {
  const row = rowPrefix(address, periodOf(address.granularity, address.window), token);
  const out = Buffer.allocUnsafe(row.length + 7 + PRODUCER_ID_BYTES);
  row.copy(out);
  const at = out.writeUIntBE(address.window + WINDOW_BIAS, row.length, 6);
  out[at] = KIND.shard;
  out.set(producerId, at + 1);
  return out;
}

/** Token of an entry key, without decoding the rest. */
export function tokenOfEntry(key: Buffer): bigint {
  return key.readBigUInt64BE(TOKEN_AT);
}

/** Kind of an entry key whose form was checked. */
export function kindOfEntry(key: Buffer): KindCode {
  return key[kindAtOf(key)] as KindCode;
}

/** An entry key whose form was checked, up to its kind: what the entries of one kind in one cell share. */
export function cellOfEntry(key: Buffer): Buffer {
  return key.subarray(0, kindAtOf(key) + 1);
}

function kindAtOf(key: Buffer): number {
  const typeAt = HEAD_BYTES + 2 + key.readUInt16BE(HEAD_BYTES);
  return typeAt + 1 + key[typeAt]! + 6;
}

/** The error of an entry or a batch that is not one. */
export function malformed(what: string): TallyringError {
  return new TallyringError('INVALID_ARGUMENT', `malformed entry: ${what}`);
}

/** Of what follows the kind, at least and at most. */
const SUFFIX_BYTES: Record<KindCode, readonly [number, number]> = {
  [KIND.base]: [0, 0],
  [KIND.shard]: [PRODUCER_ID_BYTES, PRODUCER_ID_BYTES],
  [KIND.register]: [0, 0],
  [KIND.column]: [1, MAX_COLUMN_NAME_BYTES],
};

/** Where the parts of an entry key lie. Throws INVALID_ARGUMENT, or UNSUPPORTED_FORMAT for a newer format. */
function layoutOf(key: Buffer) {
  if (key.length < HEAD_BYTES + 3) throw malformed('key too short');
  if (key[0] !== ENTRY_FORMAT) {
    const text = `entry format ${key[0]} is not ${ENTRY_FORMAT}; upgrade this node`;
    throw new TallyringError('UNSUPPORTED_FORMAT', text);
  }
  const granularity = GRANULARITIES[key[1]!];
  if (granularity === undefined) throw malformed(`granularity code ${key[1]}`);
  const keyBytes = key.readUInt16BE(HEAD_BYTES);
  const typeAt = HEAD_BYTES + 2 + keyBytes;
  if (keyBytes === 0 || keyBytes > MAX_KEY_BYTES || typeAt >= key.length) throw malformed('key length');
  const typeBytes = key[typeAt]!;
  const windowAt = typeAt + 1 + typeBytes;
  if (typeBytes > MAX_EVENT_TYPE_BYTES || windowAt + 7 > key.length) throw malformed('eventType length');
  const window = key.readUIntBE(windowAt, 6) - WINDOW_BIAS;
  const kind = key[windowAt + 6] as KindCode;
  if (kind < KIND.base || kind > KIND.column) throw malformed(`kind ${kind}`);
  const rest = key.length - windowAt - 7;
  const [least, most] = SUFFIX_BYTES[kind];
  if (rest < least || rest > most) throw malformed('producerId or name length');
  if (key.readUInt32BE(2) - PERIOD_BIAS !== periodOf(granularity, window)) throw malformed('period');
  return { granularity, kind, window, typeAt, windowAt };
}

/** Decodes and checks an entry key of any origin. Throws INVALID_ARGUMENT, or UNSUPPORTED_FORMAT for a newer one. */
export function decodeEntryKey(key: Buffer): EntryAddress {
  const { granularity, kind, window, typeAt, windowAt } = layoutOf(key);
  return {
    key: key.toString('utf8', HEAD_BYTES + 2, typeAt),
    eventType: key.toString('utf8', typeAt + 1, windowAt),
    granularity,
    window,
    kind,
    producerId: kind === KIND.shard ? key.toString('hex', windowAt + 7) : '',
    token: key.readBigUInt64BE(TOKEN_AT),
  };
}

/**
 * Checks an entry of any origin whole, before anything is done with it: form, token, checksum. Gives its
 * kind and granularity; the fields are its kind's to check. Throws INVALID_ARGUMENT or UNSUPPORTED_FORMAT.
 * Hot path: builds no strings.
 *
 * @param checked an entry that passed before: where both are of one series, that is not checked again.
 */
export function checkEntryForm(
  { key, value }: Entry,
  checked?: Entry,
): { kind: KindCode; granularity: Granularity } {
  const { granularity, kind, typeAt, windowAt } = layoutOf(key);
  if (checked === undefined || !isOfSeries(checked.key, key, windowAt)) checkSeries(key, typeAt, windowAt);
  if (value.length > MAX_VALUE_BYTES || !isIntact({ key, value })) throw malformed('checksum');
  return { kind, granularity };
}

/** Whether a key has the token, key and eventType of another, which end at `windowAt`. */
function isOfSeries(key: Buffer, other: Buffer, windowAt: number): boolean {
  if (key.length < windowAt) return false;
  for (let at = TOKEN_AT; at < windowAt; at++) if (key[at] !== other[at]) return false;
  return true;
}

function checkSeries(key: Buffer, typeAt: number, windowAt: number): void {
  const keyBytes = key.subarray(HEAD_BYTES + 2, typeAt);
  if (!isUtf8(keyBytes) || !isUtf8(key.subarray(typeAt + 1, windowAt))) throw malformed('UTF-8');
  if (hash64(keyBytes) !== key.readBigUInt64BE(TOKEN_AT)) throw malformed('token is not the hash of the key');
}

const packr = new Packr({ int64AsType: 'bigint', useRecords: false });

/** Fields with the checksum over key and fields behind them. */
export function sealValue(key: Buffer, fields: Buffer): Buffer {
  const out = Buffer.allocUnsafe(fields.length + CHECKSUM_BYTES);
  fields.copy(out);
  out.writeBigUInt64BE(checksum(key, fields, fields.length), fields.length);
  return out;
}

const scratch = new Uint8Array(4096);
/** Its beginnings by length: a new view for each checksum is felt at 100,000 a second. */
const scratchViews: Uint8Array[] = [];

/** Over a key and the first bytes of a value, its fields. */
function checksum(key: Buffer, value: Buffer, fieldBytes: number): bigint {
  const length = key.length + fieldBytes;
  if (key.length + value.length > scratch.length) {
    return hash64(Buffer.concat([key, value.subarray(0, fieldBytes)]));
  }
  scratch.set(key);
  scratch.set(value, key.length);
  scratchViews[length] ??= scratch.subarray(0, length);
  return hash64(scratchViews[length]);
}

/** Whether key and value are what their producer sealed. */
export function isIntact({ key, value }: Entry): boolean {
  const at = value.length - CHECKSUM_BYTES;
  return at > 0 && checksum(key, value, at) === value.readBigUInt64BE(at);
}

export function encodeShard(key: Buffer, shard: Shard): Entry {
  const fields = packr.pack([shard.sequence, shard.count, shard.sum, shard.min, shard.max]);
  return { key, value: sealValue(key, fields) };
}

/** Decodes a shard's value; throws INVALID_ARGUMENT when it is not one. The checksum is checked apart. */
export function decodeShard(value: Buffer): Shard {
  const fields = unpackFields(value);
  if (!Array.isArray(fields) || fields.length !== 5) throw malformed('shard fields');
  const [sequence, count, sum, min, max] = fields as unknown[];
  if (!Number.isSafeInteger(sequence) || (sequence as number) < 0) throw malformed('sequence');
  if (!isInt64(count) || !isInt64(sum)) throw malformed('count or sum');
  if ((min !== null && !isInt64(min)) || (max !== null && !isInt64(max))) throw malformed('min or max');
  return { sequence: sequence as number, count, sum, min: min as Shard['min'], max: max as Shard['max'] };
}

export function unpackFields(value: Buffer): unknown {
  try {
    return packr.unpack(value.subarray(0, value.length - CHECKSUM_BYTES));
  } catch (cause) {
    throw malformed(`fields do not decode (${(cause as Error).message})`);
  }
}
