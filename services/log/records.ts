import { Packr } from 'msgpackr';
import { hash64 } from '../../ports/hash.js';
import { TallyringError } from '../../proto/errors.js';
import type { DeadLetter, Replay, StoredDeadLetter } from './dead-letters.js';
import { IDENTITY_KEY, stateKey, TAIL_KEY } from './keyspace.js';
import { parseLetter, parseReplay, writeLetter, writeReplay } from './letter-codec.js';
import type { LogDescription } from './log.js';
import type { LogWrite } from './store.js';

/** The log's small records: msgpack [format, fields …], then xxhash64 over key and bytes. */

const RECORD_FORMAT = 1;
const CHECKSUM_BYTES = 8;
const packr = new Packr({ int64AsType: 'bigint', useRecords: false });

function seal(key: Buffer, fields: readonly unknown[]): LogWrite {
  const body = packr.pack([RECORD_FORMAT, ...fields]);
  const value = Buffer.allocUnsafe(body.length + CHECKSUM_BYTES);
  body.copy(value);
  value.writeBigUInt64LE(hash64(Buffer.concat([key, body])), body.length);
  return { key, value };
}

function unseal(key: Buffer, value: Buffer, what: string): unknown[] {
  const end = value.length - CHECKSUM_BYTES;
  if (end < 0 || value.readBigUInt64LE(end) !== hash64(Buffer.concat([key, value.subarray(0, end)]))) {
    throw new TallyringError('DATA_LOSS', `${what} of the log is damaged: its checksum is wrong`);
  }
  const [format, ...fields] = packr.unpack(value.subarray(0, end)) as unknown[];
  if (format === RECORD_FORMAT) return fields;
  const text = `${what} of the log has format ${String(format)}, this software knows ${RECORD_FORMAT}: upgrade it`;
  throw new TallyringError('UNSUPPORTED_FORMAT', text);
}

export function identityWrite({ logId, partitions }: LogDescription): LogWrite {
  return seal(IDENTITY_KEY, [logId, partitions]);
}

export function parseIdentity(value: Buffer): LogDescription {
  const [logId, partitions] = unseal(IDENTITY_KEY, value, 'the identity') as [string, number];
  return { logId, partitions };
}

/**
 * Written with every batch: how far each partition goes with it, and from where on its blocks may still stand in
 * LevelDB's own log alone. LevelDB drops an unreadable part of that silently and keeps what follows, so that
 * this is how a loss is found at the next start.
 */
export interface Tail {
  ends: number[];
  checkFrom: number[];
  deadLetters: number;
}

export function tailWrite({ ends, checkFrom, deadLetters }: Tail): LogWrite {
  return seal(TAIL_KEY, [ends, checkFrom, deadLetters]);
}

export function parseTail(value: Buffer): Tail {
  const [ends, checkFrom, deadLetters] = unseal(TAIL_KEY, value, 'the end') as [number[], number[], number];
  return { ends, checkFrom, deadLetters };
}

/** A partition's own facts that do not follow from its blocks. */
export interface PartitionState {
  start: number;
  released: number;
}

export function stateWrite(partition: number, { start, released }: PartitionState): LogWrite {
  return seal(stateKey(partition), [start, released]);
}

export function parseState(partition: number, value: Buffer): PartitionState {
  const what = `the state of partition ${partition}`;
  const [start, released] = unseal(stateKey(partition), value, what) as [number, number];
  return { start, released };
}

/** Of a dead letter, with how far its replay is. */
export function letterWrite(key: Buffer, letter: DeadLetter, replay: Replay | undefined): LogWrite {
  return seal(key, [writeLetter(letter), replay === undefined ? null : writeReplay(replay)]);
}

export function parseStoredLetter(key: Buffer, value: Buffer): StoredDeadLetter {
  const [letter, replay] = unseal(key, value, 'a dead letter') as [Buffer, Buffer | null];
  return replay === null ? parseLetter(letter) : { ...parseLetter(letter), replay: parseReplay(replay) };
}
