import { type Int64, toInt64 } from '../counter/int64.js';
import { noTime, TIME_FORMS, timeOf } from '../counter/time.js';
import { checkEventType, checkKey, checkTimestamp, checkValue } from '../counter/validate.js';
import { asTallyringError } from '../proto/errors.js';
import type { SinkEvent } from './environment.js';
import { usage } from './exit.js';
import type { Line } from './lines.js';

/** Why a line was not counted: `kind` groups the summary, `message` tells of this very line. */
export interface Rejection {
  kind: string;
  message: string;
}

export type ParsedEvent = { event: Omit<SinkEvent, 'line'> } | { rejected: Rejection };

function reject(kind: string, error: unknown): ParsedEvent {
  return { rejected: { kind, message: asTallyringError(error).message } };
}

function eventValue(value: unknown): Int64 {
  if (value === undefined) return 1;
  if (typeof value !== 'string') return checkValue(value);
  const parsed = /^-?\d{1,19}$/.test(value) ? toInt64(BigInt(value)) : undefined;
  if (parsed === undefined)
    throw usage(`value ${JSON.stringify(value.slice(0, 40))} is no integer of 64 bits`);
  return parsed;
}

function eventTime(timestamp: unknown, nowMs: number): number {
  // Not now: other fields are passed over, so a misspelt one would move a whole file to today.
  if (timestamp === undefined) throw usage(`timestamp is missing; give ${TIME_FORMS}`);
  const timestampMs = timeOf(timestamp);
  if (timestampMs !== undefined) return checkTimestamp(timestampMs, nowMs);
  throw usage(`timestamp ${noTime(timestamp)}`);
}

/**
 * An event of a line `{videoId, eventType, timestamp, value}`: timestamp in epoch milliseconds or ISO 8601,
 * value (1 when absent) an integer, as a string of digits where it is not safe. Other fields are no matter.
 */
export function parseEventLine(line: Line, nowMs: number): ParsedEvent {
  if (typeof line !== 'string') return { rejected: { kind: 'unreadable line', message: line.unreadable } };
  let fields: Record<string, unknown>;
  try {
    fields = JSON.parse(line) as Record<string, unknown>;
  } catch (error) {
    return { rejected: { kind: 'not JSON', message: (error as Error).message } };
  }
  if (typeof fields !== 'object' || fields === null || Array.isArray(fields)) {
    return { rejected: { kind: 'not an object', message: 'a line must be one JSON object' } };
  }
  let kind = 'bad videoId';
  try {
    const key = checkKey(fields.videoId);
    kind = 'bad eventType';
    const eventType = checkEventType(fields.eventType);
    kind = 'bad timestamp';
    const timestampMs = eventTime(fields.timestamp, nowMs);
    kind = 'bad value';
    const { eventId, attributes } = fields;
    return { event: { key, eventType, value: eventValue(fields.value), timestampMs, eventId, attributes } };
  } catch (error) {
    return reject(kind, error);
  }
}

const MAX_KINDS = 50;

/** What was rejected: how many of each kind, and the first few in full. */
export class Rejections {
  total = 0;
  readonly byKind = new Map<string, number>();
  readonly first: { line: number; message: string }[] = [];
  readonly #shown: number;

  constructor(shown: number) {
    this.#shown = shown;
  }

  add(line: number, { kind, message }: Rejection): void {
    this.total++;
    const name = this.byKind.has(kind) || this.byKind.size < MAX_KINDS ? kind : 'other';
    this.byKind.set(name, (this.byKind.get(name) ?? 0) + 1);
    if (this.first.length < this.#shown) this.first.push({ line, message });
  }
}
