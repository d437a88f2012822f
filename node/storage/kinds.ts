import type { Granularity } from '../../counter/window.js';
import {
  CHECKSUM_BYTES,
  checkEntryForm,
  decodeShard,
  type Entry,
  KIND,
  type KindCode,
  kindOfEntry,
} from '../../proto/entry.js';
import { TallyringError } from '../../proto/errors.js';
import { decodeRegister, isNewer, registerKey, registerName } from '../../proto/register.js';

/** Which of two values of one key stays. A conflict is two different values of one version: a bug somewhere. */
export type Verdict = 'unchanged' | 'held' | 'incoming' | 'conflictHeld' | 'conflictIncoming';

/**
 * What the store needs to know of an entry kind. Merging always keeps one of the two values, bytes as they
 * are: values carry their producer's checksum, and nobody re-encodes them.
 */
export interface EntryKind {
  /** Checks the value's form; the key and the checksum are checked apart. Throws INVALID_ARGUMENT. */
  validate(entry: Entry): void;
  /** Commutative, associative and idempotent. Hot path: decodes no more than it must. */
  merge(held: Buffer, incoming: Buffer): Verdict;
}

const KINDS = new Map<number, EntryKind>([
  [KIND.shard, { validate: validateShard, merge: mergeShard }],
  [KIND.register, { validate: validateRegister, merge: mergeRegister }],
]);

/** The kind of this code. Throws UNSUPPORTED_FORMAT for one that this software does not know. */
export function kindOf(code: number): EntryKind {
  const kind = KINDS.get(code);
  if (kind !== undefined) return kind;
  throw new TallyringError(
    'UNSUPPORTED_FORMAT',
    `entries of kind ${code} are not supported; upgrade this node`,
  );
}

/**
 * Checks an entry of any origin whole: key, token, kind, fields, checksum. Throws INVALID_ARGUMENT or
 * UNSUPPORTED_FORMAT.
 */
export function checkEntry(entry: Entry): { kind: KindCode; granularity: Granularity } {
  const form = checkEntryForm(entry);
  kindOf(form.kind).validate(entry);
  return form;
}

/** Which of two values of one entry key stays. The key's form was checked. */
export function mergeValues(key: Buffer, held: Buffer, incoming: Buffer): Verdict {
  return kindOf(kindOfEntry(key)).merge(held, incoming);
}

function validateShard(entry: Entry): void {
  decodeShard(entry.value);
  sequenceOf(entry.value);
}

/** The greater sequence wins. One producer gives a sequence one state only; if not, the greater count stays. */
function mergeShard(held: Buffer, incoming: Buffer): Verdict {
  const ours = sequenceOf(held);
  const theirs = sequenceOf(incoming);
  if (theirs !== ours) return theirs > ours ? 'incoming' : 'held';
  if (held.equals(incoming)) return 'unchanged';
  const heldCount = decodeShard(held).count;
  const incomingCount = decodeShard(incoming).count;
  // Equal counts: the greater bytes, so that every replica decides the same whatever came first.
  if (heldCount === incomingCount) return held.compare(incoming) < 0 ? 'conflictIncoming' : 'conflictHeld';
  return incomingCount > heldCount ? 'conflictIncoming' : 'conflictHeld';
}

/** A register's record lies where `registerKey` puts it, and nowhere else. */
function validateRegister({ key, value }: Entry): void {
  decodeRegister(value);
  if (registerKey(registerName(key)).equals(key)) return;
  throw new TallyringError('INVALID_ARGUMENT', 'malformed register: not the key of a register');
}

/** The newer version wins. An owner gives a version one value only. */
function mergeRegister(held: Buffer, incoming: Buffer): Verdict {
  if (held.equals(incoming)) return 'unchanged';
  const [ours, theirs] = [decodeRegister(held), decodeRegister(incoming)];
  if (isNewer(theirs, ours)) return 'incoming';
  if (isNewer(ours, theirs)) return 'held';
  return held.compare(incoming) < 0 ? 'conflictIncoming' : 'conflictHeld';
}

const FIXARRAY_5 = 0x95;
/** An array head, five fields of a byte each, the checksum: enough to read any number at 2. */
const LEAST_SHARD_BYTES = 6 + CHECKSUM_BYTES;

/** The sequence of a shard's value: the first element of its msgpack array, read without decoding the rest. */
export function sequenceOf(value: Buffer): number {
  const tag = value[1];
  if (value[0] === FIXARRAY_5 && tag !== undefined && value.length >= LEAST_SHARD_BYTES) {
    if (tag < 0x80) return tag;
    if (tag === 0xcc) return value[2]!;
    if (tag === 0xcd) return value.readUInt16BE(2);
    if (tag === 0xce) return value.readUInt32BE(2);
    if (tag === 0xcb) return value.readDoubleBE(2);
    if (tag === 0xcf) return Number(value.readBigUInt64BE(2));
  }
  // Not a form that our encoder writes, or too short to read safely: let the full decoder judge.
  return decodeShard(value).sequence;
}
