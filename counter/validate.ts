import { TallyringError } from '../proto/errors.js';
import { type Int64, toInt64 } from './int64.js';

/**
 * What may be counted, checked at the edge: by the SDK before an increment is taken, and by a node for
 * plain callers. All of it throws INVALID_ARGUMENT (OUT_OF_RANGE for what is no int64) and costs nothing
 * to speak of on the usual path, since it runs per event.
 */

declare global {
  interface String {
    /** ES2024; there in every supported Node. */
    isWellFormed(): boolean;
  }
}

export const MAX_KEY_BYTES = 1024;
export const MAX_EVENT_TYPE_BYTES = 128;
export const MAX_COLUMN_NAME_BYTES = 128;

/** How far ahead of the clock an event may lie. */
const MAX_AHEAD_MS = 86_400_000;
/** What `Date` can say: 100,000,000 days on either side of the epoch. */
export const MAX_TIMESTAMP_MS = 8.64e15;
const SHOWN_CHARACTERS = 40;

function refuse(message: string): never {
  throw new TallyringError('INVALID_ARGUMENT', message);
}

function show(value: unknown): string {
  if (typeof value === 'string') {
    const cut = value.length > SHOWN_CHARACTERS ? `${value.slice(0, SHOWN_CHARACTERS)}…` : value;
    return JSON.stringify(cut);
  }
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value === 'number' || typeof value === 'boolean' || value == null) return String(value);
  return `a value of type ${typeof value}`;
}

function checkText(what: string, value: unknown, maxBytes: number): string {
  if (value === undefined) refuse(`${what} is missing; give a string`);
  if (typeof value !== 'string') refuse(`${what} must be a string, not ${show(value)}`);
  if (value.length === 0) refuse(`${what} is empty; give at least one character`);
  // A UTF-16 unit is at most three bytes of UTF-8, so short texts need no count.
  if (value.length * 3 > maxBytes) {
    const bytes = value.length > maxBytes ? value.length : Buffer.byteLength(value);
    if (bytes > maxBytes) {
      refuse(`${what} ${show(value)} is longer than ${maxBytes} bytes of UTF-8; shorten it`);
    }
  }
  if (!value.isWellFormed()) {
    refuse(`${what} ${show(value)} holds a lone surrogate, which has no UTF-8 form; repair the text`);
  }
  return value;
}

/** A key: 1 to MAX_KEY_BYTES bytes of well-formed Unicode. `what`: how the caller's messages name it. */
export function checkKey(value: unknown, what = 'key'): string {
  return checkText(what, value, MAX_KEY_BYTES);
}

/** An eventType: 1 to MAX_EVENT_TYPE_BYTES bytes of well-formed Unicode. */
export function checkEventType(value: unknown): string {
  return checkText('eventType', value, MAX_EVENT_TYPE_BYTES);
}

/** The name of a column: 1 to MAX_COLUMN_NAME_BYTES bytes of well-formed Unicode. */
export function checkColumnName(value: unknown): string {
  return checkText('column name', value, MAX_COLUMN_NAME_BYTES);
}

/** The text of a column: well-formed Unicode of at most so many bytes, none at all too. */
export function checkColumnText(value: unknown, maxBytes: number): string {
  return value === '' ? value : checkText('column text', value, maxBytes);
}

/** The value of an event in its normal form: a number must be a safe integer, a bigint an int64. */
export function checkValue(value: unknown): Int64 {
  if (typeof value === 'number') {
    if (Number.isSafeInteger(value)) return value === 0 ? 0 : value; // −0 has other bytes
    refuse(
      Number.isInteger(value)
        ? `value ${value} is not a safe integer and may already be rounded; give a bigint`
        : `value ${value} is not an integer; count in a smaller unit`,
    );
  }
  if (typeof value === 'bigint') {
    const normal = toInt64(value);
    if (normal !== undefined) return normal;
    throw new TallyringError('OUT_OF_RANGE', `value ${value} is outside int64; split it into several events`);
  }
  return refuse(`value must be a number or a bigint, not ${show(value)}`);
}

/** The time of an event: integer epoch milliseconds, at most one day ahead of `nowMs`. Old ones are fine. */
export function checkTimestamp(value: unknown, nowMs: number): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || Math.abs(value) > MAX_TIMESTAMP_MS) {
    refuse(`timestamp ${show(value)} is no time; give integer milliseconds since 1970-01-01 UTC`);
  }
  if (value > nowMs + MAX_AHEAD_MS) {
    refuse(
      `timestamp ${value} (${new Date(value).toISOString()}) is more than a day ahead of now, ${new Date(nowMs).toISOString()}; give milliseconds of the event's own time`,
    );
  }
  return value === 0 ? 0 : value;
}
