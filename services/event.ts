import { Packr } from 'msgpackr';
import { checkEventType, checkKey, MAX_TIMESTAMP_MS } from '../counter/validate.js';
import { hash64Text } from '../ports/hash.js';
import { TallyringError } from '../proto/errors.js';
import { shown } from '../proto/schema-problem.js';

/** What happened to a video: adds 1 to `count` and `value` to `sum` of its cells. */
export interface CountEvent {
  videoId: string;
  eventType: string;
  /** Epoch milliseconds of the event itself. */
  timestampMs: number;
  value: number;
  /** Kept in the log, not counted. */
  attributes?: Record<string, Scalar> | undefined;
}

export type Scalar = string | number | boolean | null;

/** An event as the log holds it. */
export interface EventRecord extends CountEvent {
  /** Names the event in retries (DESIGN §11); without one a retry may count twice. */
  recordId: string | undefined;
}

/**
 * Greatest magnitude of a value: a batch of MAX_BATCH_RECORDS of them stays within 2^62, so that it never takes
 * a shard, which is given up before it passes 2^62, out of int64. As milliseconds it is 139 years.
 */
export const MAX_EVENT_VALUE = 2 ** 42;
export const MAX_BATCH_RECORDS = 2 ** 20;
export const MAX_RECORD_ID_BYTES = 300;
/** Nothing that is counted here happened before 2000-01-01; a timestamp in seconds is found by it. */
export const EARLIEST_EVENT_MS = 946_684_800_000;
/** How far ahead of the log's clock an event may lie. */
export const MAX_AHEAD_MS = 90_000_000;
/** How far ahead of its own clock the edge lets one: an hour less, so that what it took counts though clocks differ. */
export const EDGE_AHEAD_MS = 86_400_000;

const RECORD_FORMAT = 1;
const packr = new Packr({ int64AsType: 'bigint', useRecords: false });

export function encodeRecord(record: EventRecord): Buffer {
  const { recordId, videoId, eventType, timestampMs, value, attributes } = record;
  return packr.pack([
    RECORD_FORMAT,
    recordId ?? null,
    videoId,
    eventType,
    timestampMs,
    value,
    attributes ?? null,
  ]);
}

/**
 * The event of a log record of any origin, or why there is none: a function of the bytes alone. Throws
 * INVALID_ARGUMENT, or UNSUPPORTED_FORMAT for a newer format.
 */
export function decodeRecord(payload: Buffer): EventRecord {
  let fields: unknown;
  try {
    fields = packr.unpack(payload);
  } catch (cause) {
    throw new TallyringError('INVALID_ARGUMENT', 'the record is no msgpack', { cause });
  }
  if (!Array.isArray(fields)) throw new TallyringError('INVALID_ARGUMENT', 'the record is no array');
  if (fields[0] !== RECORD_FORMAT) {
    throw new TallyringError(
      'UNSUPPORTED_FORMAT',
      `record format ${String(fields[0])} is not ${RECORD_FORMAT}`,
    );
  }
  if (fields.length !== 7)
    throw new TallyringError('INVALID_ARGUMENT', `the record has ${fields.length} fields`);
  const [, recordId, videoId, eventType, timestampMs, value, attributes] = fields as unknown[];
  if (recordId !== null && typeof recordId !== 'string') {
    throw new TallyringError('INVALID_ARGUMENT', 'the record id is no text');
  }
  return {
    recordId: recordId ?? undefined,
    videoId: checkKey(videoId),
    eventType: checkEventType(eventType),
    timestampMs: checkTime(timestampMs),
    value: checkEventValue(value),
    attributes: (attributes as CountEvent['attributes'] | null) ?? undefined,
  };
}

/** What can be read of a record, unchecked: for people, and for whoever corrects it. */
export function fieldsOf(payload: Buffer): Record<string, unknown> {
  try {
    const fields: unknown = packr.unpack(payload);
    if (!Array.isArray(fields) || fields[0] !== RECORD_FORMAT) return {};
    const [, recordId, videoId, eventType, timestampMs, value, attributes] = fields as unknown[];
    const read = { recordId, videoId, eventType, timestampMs, value, attributes };
    return Object.fromEntries(Object.entries(read).filter(([, field]) => field != null));
  } catch {
    return {};
  }
}

function checkTime(value: unknown): number {
  if (Number.isInteger(value) && Math.abs(value as number) <= MAX_TIMESTAMP_MS) return value as number;
  throw new TallyringError('INVALID_ARGUMENT', 'the timestamp is no integer of milliseconds');
}

/** A value that the pipeline takes: an integer of at most 2^42 either way. Throws INVALID_ARGUMENT. */
export function checkEventValue(value: unknown): number {
  if (Number.isInteger(value) && Math.abs(value as number) <= MAX_EVENT_VALUE)
    return value === 0 ? 0 : (value as number);
  throw new TallyringError('INVALID_ARGUMENT', `value must be an integer within ±2^42, not ${shown(value)}`);
}

/**
 * Whether an event's time may count, seen from `nowMs`: the sender's edge asks with its clock, the processing
 * with the time at which the log took the record, so that every reader decides the same.
 */
export function checkEventTime(timestampMs: number, nowMs: number, aheadMs = MAX_AHEAD_MS): void {
  if (timestampMs < EARLIEST_EVENT_MS) {
    throw new TallyringError(
      'INVALID_ARGUMENT',
      `timestamp ${timestampMs} lies before 2000-01-01; give milliseconds since 1970-01-01 UTC`,
    );
  }
  if (timestampMs > nowMs + aheadMs) {
    throw new TallyringError(
      'INVALID_ARGUMENT',
      `timestamp ${isoOf(timestampMs)} is more than ${aheadMs / 3_600_000} hours ahead of ${isoOf(nowMs)}`,
    );
  }
}

/** As a reader knows it; a number that is no date stays one. */
function isoOf(timestampMs: number): string {
  const date = new Date(timestampMs);
  return Number.isNaN(date.getTime()) ? String(timestampMs) : date.toISOString();
}

/** The partition of a video: its events keep their order. */
export function partitionOf(videoId: string, partitions: number): number {
  return Number(hash64Text(videoId) % BigInt(partitions));
}
