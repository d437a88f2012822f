import { noTime, timeOf } from '../../../counter/time.js';
import { checkEventType, checkKey } from '../../../counter/validate.js';
import { TallyringError } from '../../../proto/errors.js';
import { type CountEvent, checkEventTime, checkEventValue, EDGE_AHEAD_MS, type Scalar } from '../../event.js';

/** An event as a caller sends it, checked by hand: this runs per event. */
export interface InputEvent extends CountEvent {
  eventId: string | undefined;
}

export const EVENT_FIELDS = ['eventId', 'videoId', 'eventType', 'timestamp', 'value', 'attributes'] as const;
export const MAX_EVENT_ID_BYTES = 256;
export const MAX_ATTRIBUTES = 16;
/** Of the attributes as JSON. */
export const MAX_ATTRIBUTES_BYTES = 2048;
const SHOWN_CHARACTERS = 40;

function refuse(message: string): never {
  throw new TallyringError('INVALID_ARGUMENT', message);
}

/**
 * The event of a JSON value. What is absent: a timestamp is `nowMs`, a value 1. Throws INVALID_ARGUMENT for
 * unknown fields, wrong types and what may not be counted.
 */
export function checkEvent(input: unknown, nowMs: number): InputEvent {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) {
    refuse(`an event must be an object with the fields ${EVENT_FIELDS.join(', ')}`);
  }
  for (const name in input) if (!isEventField(name)) refuse(unknownField(name));
  const { eventId, videoId, eventType, timestamp, value, attributes } = input as Record<string, unknown>;
  return {
    eventId: eventId === undefined ? undefined : checkEventId(eventId),
    videoId: checkKey(videoId, 'videoId'),
    eventType: checkEventType(eventType),
    timestampMs: timestamp === undefined ? nowMs : checkTime(timestamp, nowMs),
    value: value === undefined ? 1 : checkEventValue(value),
    attributes: attributes === undefined ? undefined : checkAttributes(attributes),
  };
}

function isEventField(name: string): boolean {
  switch (name) {
    case 'videoId':
    case 'eventType':
    case 'timestamp':
    case 'value':
    case 'eventId':
    case 'attributes':
      return true;
    default:
      return false;
  }
}

function unknownField(name: string): string {
  const shown = JSON.stringify(name.slice(0, SHOWN_CHARACTERS));
  const list = name === 'events' ? '; a list of them goes to /processEvents' : '';
  return `unknown field ${shown}; an event has the fields ${EVENT_FIELDS.join(', ')}${list}`;
}

function checkTime(timestamp: unknown, nowMs: number): number {
  const timestampMs = timeOf(timestamp);
  if (timestampMs === undefined) refuse(`timestamp ${noTime(timestamp)}`);
  checkEventTime(timestampMs, nowMs, EDGE_AHEAD_MS);
  return timestampMs;
}

function checkEventId(value: unknown): string {
  if (typeof value !== 'string') refuse(`eventId must be a string, not ${typeOf(value)}`);
  // A UTF-16 unit is at most three bytes of UTF-8, so short texts need no count.
  const isLong = value.length * 3 > MAX_EVENT_ID_BYTES && Buffer.byteLength(value) > MAX_EVENT_ID_BYTES;
  if (value.length === 0 || isLong) refuse(`eventId must have 1 to ${MAX_EVENT_ID_BYTES} bytes of UTF-8`);
  if (!value.isWellFormed()) refuse('eventId holds a lone surrogate, which has no UTF-8 form');
  return value;
}

function checkAttributes(value: unknown): Record<string, Scalar> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    refuse(`attributes must be an object of scalars, not ${typeOf(value)}`);
  }
  const entries = Object.entries(value);
  if (entries.length > MAX_ATTRIBUTES)
    refuse(`${entries.length} attributes are more than ${MAX_ATTRIBUTES}; leave some out`);
  for (const [name, scalar] of entries) if (!isScalar(scalar)) refuse(notScalar(name, scalar));
  const text = JSON.stringify(value);
  const bytes = Buffer.byteLength(text);
  if (bytes > MAX_ATTRIBUTES_BYTES)
    refuse(`attributes take ${bytes} bytes as JSON, more than ${MAX_ATTRIBUTES_BYTES}; shorten them`);
  if (!entries.every(([name, scalar]) => isWellFormed(name) && isWellFormed(scalar))) {
    refuse('attributes hold a lone surrogate, which has no UTF-8 form');
  }
  return value as Record<string, Scalar>;
}

function isScalar(value: unknown): value is Scalar {
  // 1e999 is JSON, and Infinity once it is read.
  if (typeof value === 'number') return Number.isFinite(value);
  return typeof value === 'string' || typeof value === 'boolean' || value === null;
}

function isWellFormed(value: unknown): boolean {
  return typeof value !== 'string' || value.isWellFormed();
}

function notScalar(name: string, value: unknown): string {
  const shown = JSON.stringify(name.slice(0, SHOWN_CHARACTERS));
  return `attribute ${shown} must be a string, a finite number, true, false or null, not ${typeOf(value)}`;
}

function typeOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'number' && !Number.isFinite(value)) return String(value);
  return `a value of type ${typeof value}`;
}
