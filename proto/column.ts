import { Packr } from 'msgpackr';
import { checkColumnName, checkKey, MAX_COLUMN_NAME_BYTES } from '../counter/validate.js';
import {
  type CellAddress,
  cellOfEntry,
  decodeEntryKey,
  type Entry,
  KIND,
  PRODUCER_ID_BYTES,
  rowPrefix,
  sealValue,
  tokenOf,
  unpackFields,
  windowPrefix,
} from './entry.js';
import { TallyringError } from './errors.js';

/**
 * A column: a descriptive fact of a key, as an entry of its own kind. The last writer wins by hybrid clock
 * (Kulkarni, Demirbas, Madappa, Avva, Leone, "Logical Physical Clocks", 2014). All columns of a key lie together:
 * under the key, with no eventType, in the one window of `total`, each with its name behind the kind; the value is
 * msgpack `[time, logical, writer, text]`.
 */
export interface Column extends ColumnStamp {
  name: string;
  /** `null`: deleted. */
  text: string | null;
}

/** When and by whom a column was written: no two writes have the same stamp, but for columns of one write. */
export interface ColumnStamp {
  /** Epoch milliseconds of the writer's hybrid clock, and its count within this time. */
  timeMs: number;
  logical: number;
  /** 16 bytes that no other writer has: a producerId. */
  writer: Buffer;
}

/** Of a text in UTF-8. */
export const MAX_COLUMN_BYTES = 32 * 1024;
export { MAX_COLUMN_NAME_BYTES };

const packr = new Packr({ int64AsType: 'bigint', useRecords: false });

/** The entry key of a column. Throws INVALID_ARGUMENT for what is no key or no name. */
export function columnKey(key: string, name: string): Buffer {
  checkKey(key);
  checkColumnName(name);
  const address: Omit<CellAddress, 'window'> = { key, eventType: '', granularity: 'total' };
  const window = windowPrefix(rowPrefix(address, 0, tokenOf(key)), 0);
  return Buffer.concat([window, Buffer.from([KIND.column]), Buffer.from(name)]);
}

/** The name in an entry key of this kind. */
export function columnName(entryKey: Buffer): string {
  return entryKey.toString('utf8', cellOfEntry(entryKey).length);
}

/** Whether an entry key is one that `columnKey` makes. */
export function isColumnKey(entryKey: Buffer): boolean {
  return columnKey(decodeEntryKey(entryKey).key, columnName(entryKey)).equals(entryKey);
}

export function encodeColumn(key: string, column: Column): Entry {
  const { name, timeMs, logical, writer, text } = column;
  const entryKey = columnKey(key, name);
  return { key: entryKey, value: sealValue(entryKey, packr.pack([timeMs, logical, writer, text])) };
}

/** Decodes a column's value; throws INVALID_ARGUMENT when it is not one. The checksum is checked apart. */
export function decodeColumn(sealed: Buffer): Omit<Column, 'name'> {
  const fields = unpackFields(sealed);
  if (!Array.isArray(fields) || fields.length !== 4) throw malformed('fields');
  const [timeMs, logical, writer, text] = fields as unknown[];
  if (!isCount(timeMs) || !isCount(logical)) throw malformed('time');
  if (!Buffer.isBuffer(writer) || writer.length !== PRODUCER_ID_BYTES) throw malformed('writer');
  if (text !== null && (typeof text !== 'string' || Buffer.byteLength(text) > MAX_COLUMN_BYTES)) {
    throw malformed('text');
  }
  return { timeMs, logical, writer, text };
}

/** Positive where a is the later one, 0 where they are the same. */
export function compareStamps(a: ColumnStamp, b: ColumnStamp): number {
  return a.timeMs - b.timeMs || a.logical - b.logical || a.writer.compare(b.writer);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function malformed(what: string): TallyringError {
  return new TallyringError('INVALID_ARGUMENT', `malformed column: ${what}`);
}
