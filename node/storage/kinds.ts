import type { Granularity } from '../../counter/window.js';
import { compareStamps, decodeColumn, isColumnKey } from '../../proto/column.js';
import {
  checkEntryForm,
  decodeShard,
  type Entry,
  KIND,
  type KindCode,
  kindOfEntry,
} from '../../proto/entry.js';
import { TallyringError } from '../../proto/errors.js';
import { isPlainShard, plainSequenceOf } from '../../proto/plain-shard.js';
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
  /** A number that grows with every value of a key; absent where it takes whole values to tell the newer one. */
  versionOf?(value: Buffer): number;
  /** On disk before anybody sees it, whatever the durability and whoever brought it. */
  alwaysSynced: boolean;
}

const KINDS = new Map<number, EntryKind>([
  [KIND.shard, { validate: validateShard, merge: mergeShard, versionOf: sequenceOf, alwaysSynced: false }],
  [KIND.register, { validate: validateRegister, merge: mergeRegister, alwaysSynced: true }],
  [KIND.column, { validate: validateColumn, merge: mergeColumn, alwaysSynced: false }],
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
 *
 * @param checked an entry that passed before: where both are of one series, that is not checked again.
 */
export function checkEntry(entry: Entry, checked?: Entry): { kind: KindCode; granularity: Granularity } {
  const form = checkEntryForm(entry, checked);
  kindOf(form.kind).validate(entry);
  return form;
}

/** Which of two values of one entry key stays. The key's form was checked. */
export function mergeValues(key: Buffer, held: Buffer, incoming: Buffer): Verdict {
  return kindOf(kindOfEntry(key)).merge(held, incoming);
}

/** The version of a value of this entry key; NaN where its kind has none. The key's form was checked. */
export function versionOf({ key, value }: Entry): number {
  return kindOf(kindOfEntry(key)).versionOf?.(value) ?? Number.NaN;
}

/** Whether the incoming one stays, by version or, where that is the same, by what decides a conflict. */
export function replaces(key: Buffer, incoming: Buffer, held: Buffer): boolean {
  const verdict = mergeValues(key, held, incoming);
  return verdict === 'incoming' || verdict === 'conflictIncoming';
}

function validateShard({ value }: Entry): void {
  if (!isPlainShard(value)) decodeShard(value);
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

/** A column lies where `columnKey` puts it, and nowhere else. */
function validateColumn({ key, value }: Entry): void {
  decodeColumn(value);
  if (isColumnKey(key)) return;
  throw new TallyringError('INVALID_ARGUMENT', 'malformed column: not the key of a column');
}

/** The later stamp wins. A writer gives a stamp one text only. */
function mergeColumn(held: Buffer, incoming: Buffer): Verdict {
  if (held.equals(incoming)) return 'unchanged';
  const order = compareStamps(decodeColumn(incoming), decodeColumn(held));
  if (order !== 0) return order > 0 ? 'incoming' : 'held';
  return held.compare(incoming) < 0 ? 'conflictIncoming' : 'conflictHeld';
}

/** The sequence of a shard's value; most are read without decoding the rest. */
export function sequenceOf(value: Buffer): number {
  return plainSequenceOf(value) ?? decodeShard(value).sequence;
}
