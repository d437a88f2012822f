import { Packr } from 'msgpackr';
import { PRODUCER_ID_BYTES } from '../../proto/entry.js';
import { TallyringError } from '../../proto/errors.js';
import { type Correction, packCorrection, unpackCorrection } from './correction.js';

/**
 * How far a partition of a log was counted (DESIGN §11), kept in a quorum register. Offsets are *next* offsets:
 * all before `committed` is counted, and a pending batch is [committed, end). The record is msgpack
 * `[format, logId, rules, committed, producerId, end, owner, beat, mark]`, with a correction behind them in format 2.
 */
export interface Checkpoint {
  /** Of the log that the offsets belong to. */
  logId: string;
  /** By what rules its records count, the newest last: at least one, MAX_RULES at most. */
  rules: Rule[];
  committed: number;
  /** Of the owner; null before the first one had any. */
  producerId: Buffer | null;
  /** Of the batch that may be flushed in part under `producerId`, with this sequence. */
  end: number | undefined;
  /** Who owns the partition, in words for status; empty: given back, so that anybody may take it at once. */
  owner: string;
  /** Grows with every write, so that candidates see the owner live. */
  beat: number;
  /** The newest record that was counted or is pending, when the source can tell records apart. */
  mark?: Mark | undefined;
  /** What a recount began to write: whoever owns the partition completes it first. */
  correction?: Correction | undefined;
}

export interface Mark {
  offset: number;
  digest: string;
}

/**
 * From which offset on a rule decides what counts. Everything that it decides by is here or in the records, so
 * that a successor decides the same.
 */
export interface Rule {
  from: number;
  /** Of the code: it never falls. */
  version: number;
  /** How many offsets before a record are looked at for its id (dedupWindow)… */
  lookBack: number;
  /** … but none before this one. */
  lookBackFrom: number;
}

const FORMAT = 1;
/** A software that knows nothing of corrections must not go on over one. */
const FORMAT_WITH_CORRECTION = 2;
/** Older ones are dropped: a recount goes no farther back. */
export const MAX_RULES = 16;

const packr = new Packr({ int64AsType: 'bigint', useRecords: false });

export function encodeCheckpoint(checkpoint: Checkpoint): Buffer {
  const { logId, rules, committed, producerId, end, owner, beat, mark, correction } = checkpoint;
  const packed = rules.map(({ from, version, lookBack, lookBackFrom }) => [
    from,
    version,
    lookBack,
    lookBackFrom,
  ]);
  const marked = mark === undefined ? null : [mark.offset, mark.digest];
  const fields = [logId, packed, committed, producerId, end ?? null, owner, beat, marked];
  if (correction === undefined) return packr.pack([FORMAT, ...fields]);
  return packr.pack([FORMAT_WITH_CORRECTION, ...fields, packCorrection(correction)]);
}

/** Throws DATA_LOSS for what is no checkpoint, UNSUPPORTED_FORMAT for that of a newer software. */
export function decodeCheckpoint(value: Buffer): Checkpoint {
  const fields: unknown = packr.unpack(value);
  if (!Array.isArray(fields)) throw unreadable();
  const [format, logId, rules, committed, producerId, end, owner, beat, marked, packed] = fields as unknown[];
  if (format !== FORMAT && format !== FORMAT_WITH_CORRECTION) {
    throw new TallyringError(
      'UNSUPPORTED_FORMAT',
      `checkpoint format ${String(format)} is above ${FORMAT_WITH_CORRECTION}; upgrade`,
    );
  }
  if (typeof logId !== 'string' || typeof owner !== 'string') throw unreadable();
  if (!isOffset(committed) || !isOffset(beat) || (end !== null && !isOffset(end))) throw unreadable();
  if (end !== null && end <= committed) throw unreadable();
  if (producerId !== null && !isProducerId(producerId)) throw unreadable();
  if (end !== null && producerId === null) throw unreadable();
  if (!Array.isArray(rules) || rules.length === 0) throw unreadable();
  const correction = format === FORMAT ? undefined : unpackCorrection(packed);
  if (format === FORMAT_WITH_CORRECTION && correction === undefined) throw unreadable();
  return {
    ...{ logId, rules: rules.map(decodeRule), committed, producerId, end: end ?? undefined, owner, beat },
    ...(marked !== null && { mark: decodeMark(marked) }),
    ...(correction && { correction }),
  };
}

function decodeMark(fields: unknown): Mark {
  if (!Array.isArray(fields)) throw unreadable();
  const [offset, digest] = fields as unknown[];
  if (!isOffset(offset) || typeof digest !== 'string') throw unreadable();
  return { offset, digest };
}

function decodeRule(fields: unknown): Rule {
  if (!Array.isArray(fields) || fields.length !== 4 || !fields.every(isOffset)) throw unreadable();
  const [from, version, lookBack, lookBackFrom] = fields as [number, number, number, number];
  return { from, version, lookBack, lookBackFrom };
}

function isOffset(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isProducerId(value: unknown): value is Buffer {
  return Buffer.isBuffer(value) && value.length === PRODUCER_ID_BYTES;
}

function unreadable(): TallyringError {
  return new TallyringError(
    'DATA_LOSS',
    'the register holds no checkpoint; was its name used for something else?',
  );
}

export interface Bounds {
  start: number;
  end: number;
}

/** The rule that decides now and the log as it is: what an owner is about to go by. */
export interface Wanted {
  logId: string;
  version: number;
  lookBack: number;
}

/** The checkpoint of a log that nobody counted yet: from its start on. */
export function firstCheckpoint({ logId, version, lookBack }: Wanted, { start }: Bounds): Checkpoint {
  const rule = { from: start, version, lookBack, lookBackFrom: start };
  return { logId, rules: [rule], committed: start, producerId: null, end: undefined, owner: '', beat: 0 };
}

/**
 * Throws when the log is not the one that the checkpoint speaks of, or does not hold what is to be read next:
 * FAILED_PRECONDITION for another log, a newer rule and a log that ends too early, DATA_LOSS for one that starts
 * too late. Nothing is counted then, and nothing is forgotten.
 */
export function checkLog(checkpoint: Checkpoint, wanted: Wanted, bounds: Bounds): void {
  const { logId, committed, end } = checkpoint;
  if (logId !== wanted.logId) {
    throw new TallyringError(
      'FAILED_PRECONDITION',
      `this is log ${wanted.logId}, and the checkpoint is of log ${logId}: it was reset, or the address is wrong. ` +
        'Bring the former log back, or count the new one under another pipeline name',
    );
  }
  if (bounds.start > committed) {
    throw new TallyringError(
      'DATA_LOSS',
      `the log starts at ${bounds.start}, and the records from ${committed} on were not counted yet: they are gone. ` +
        'Bring back a copy that has them, or count what is left under another pipeline name',
    );
  }
  if (bounds.end < (end ?? committed)) {
    throw new TallyringError(
      'FAILED_PRECONDITION',
      `the log ends at ${bounds.end}, and was counted up to ${end ?? committed}: it was cut or restored from a copy. ` +
        'Bring the whole log back; if it is lost, start an empty one and count that under another pipeline name',
    );
  }
  if (newestRule(checkpoint).version > wanted.version) {
    throw new TallyringError(
      'FAILED_PRECONDITION',
      `the log counts by rule ${newestRule(checkpoint).version}, and this software knows ${wanted.version}; upgrade it`,
    );
  }
}

export function newestRule({ rules }: Checkpoint): Rule {
  return rules.at(-1)!;
}

/** The rules for what comes after `committed`: as they were, or with a new one that the next intent brings. */
export function rulesFor(checkpoint: Checkpoint, wanted: Wanted, bounds: Bounds): Rule[] {
  const { rules, committed } = checkpoint;
  const newest = newestRule(checkpoint);
  if (newest.version === wanted.version && newest.lookBack === wanted.lookBack) return rules;
  // What the former rule did not need any more may be trimmed at any time: nobody looks at it again, so that all
  // decide the same.
  const lookBackFrom = Math.max(bounds.start, lookBackStart(newest, committed));
  const next = { from: committed, version: wanted.version, lookBack: wanted.lookBack, lookBackFrom };
  return [...rules.filter(({ from }) => from < committed), next].slice(-MAX_RULES);
}

/** The first offset that a rule looks at to decide about `offset`. */
export function lookBackStart({ lookBack, lookBackFrom }: Rule, offset: number): number {
  return Math.max(lookBackFrom, offset - lookBack);
}
