import { Packr } from 'msgpackr';
import { checkKey } from '../counter/validate.js';
import {
  type CellAddress,
  decodeEntryKey,
  type Entry,
  KIND,
  rowPrefix,
  sealValue,
  tokenOf,
  unpackFields,
  windowPrefix,
} from './entry.js';
import { TallyringError } from './errors.js';

/**
 * The record of a quorum register (DESIGN §10) as an entry of its own kind: it lies under the register's name,
 * with no eventType, in the one window of `total`; its value is msgpack `[epoch, write, quorum, value]`.
 */
export interface RegisterRecord {
  /** Of the owner: an epoch has one owner at most. */
  epoch: number;
  /** Number of the owner's write; (epoch, write) is the record's version. */
  write: number;
  /** The stores that promised to the owner: a replica that knows a newer store of one of them refuses. */
  quorum: StoreOf[];
  /** `null` before anything was ever written. */
  value: Buffer | null;
}

/** One node's store by its number: 1 for its first, greater each time it lost its store and re-entered. */
export type StoreOf = [nodeId: string, storeNumber: number];

const packr = new Packr({ int64AsType: 'bigint', useRecords: false });

/** The entry key of a register. Throws INVALID_ARGUMENT for what is no name (1 to 1,024 bytes of UTF-8). */
export function registerKey(name: string): Buffer {
  checkKey(name);
  const address: Omit<CellAddress, 'window'> = { key: name, eventType: '', granularity: 'total' };
  const window = windowPrefix(rowPrefix(address, 0, tokenOf(name)), 0);
  return Buffer.concat([window, Buffer.from([KIND.register])]);
}

export function registerName(key: Buffer): string {
  return decodeEntryKey(key).key;
}

export function encodeRegister(name: string, record: RegisterRecord): Entry {
  const key = registerKey(name);
  return {
    key,
    value: sealValue(key, packr.pack([record.epoch, record.write, record.quorum, record.value])),
  };
}

/** Decodes a record's value; throws INVALID_ARGUMENT when it is not one. The checksum is checked apart. */
export function decodeRegister(sealed: Buffer): RegisterRecord {
  const fields = unpackFields(sealed);
  if (!Array.isArray(fields) || fields.length !== 4) throw malformed('fields');
  const [epoch, write, quorum, value] = fields as unknown[];
  if (!isVersion(epoch) || !isVersion(write)) throw malformed('version');
  if (!Array.isArray(quorum) || !quorum.every(isStoreOf)) throw malformed('quorum');
  if (value !== null && !Buffer.isBuffer(value)) throw malformed('value');
  return { epoch, write, quorum, value };
}

/** Whether a is the newer of two versions. */
export function isNewer(a: { epoch: number; write: number }, b: { epoch: number; write: number }): boolean {
  return a.epoch > b.epoch || (a.epoch === b.epoch && a.write > b.write);
}

function isVersion(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) > 0;
}

function isStoreOf(value: unknown): value is StoreOf {
  return Array.isArray(value) && value.length === 2 && typeof value[0] === 'string' && isVersion(value[1]);
}

function malformed(what: string): TallyringError {
  return new TallyringError('INVALID_ARGUMENT', `malformed register: ${what}`);
}
