import { describe, expect, it } from 'vitest';
import { TallyringError } from '../../../../proto/errors.js';
import { checkEvent } from '../../../../services/processing/http/event-input.js';

const NOW = Date.UTC(2026, 0, 31);
const GOOD = { videoId: 'cats.mp4', eventType: 'view' };

function messageOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(TallyringError);
    expect((error as TallyringError).code).toBe('INVALID_ARGUMENT');
    return (error as Error).message;
  }
  throw new Error('was accepted');
}

describe('checkEvent', () => {
  it('fills in the clock and 1', () => {
    expect(checkEvent(GOOD, NOW)).toEqual({
      ...GOOD,
      eventId: undefined,
      timestampMs: NOW,
      value: 1,
      attributes: undefined,
    });
  });

  it('takes all that an event may have', () => {
    const attributes = { country: 'NL', age: 7, paid: false, referrer: null };
    const event = { ...GOOD, eventId: 'e-1', timestamp: '2026-01-30T12:00:00Z', value: -5, attributes };
    expect(checkEvent(event, NOW)).toEqual({
      ...GOOD,
      eventId: 'e-1',
      timestampMs: Date.UTC(2026, 0, 30, 12),
      value: -5,
      attributes,
    });
    expect(checkEvent({ ...GOOD, timestamp: NOW - 1 }, NOW).timestampMs).toBe(NOW - 1);
  });

  it('takes what is just within the bounds', () => {
    expect(checkEvent({ ...GOOD, timestamp: NOW + 86_400_000 }, NOW).timestampMs).toBe(NOW + 86_400_000);
    expect(checkEvent({ ...GOOD, timestamp: 946_684_800_000 }, NOW).timestampMs).toBe(946_684_800_000);
    expect(checkEvent({ ...GOOD, value: 2 ** 42 }, NOW).value).toBe(2 ** 42);
    expect(checkEvent({ ...GOOD, eventId: 'x'.repeat(256) }, NOW).eventId).toHaveLength(256);
    const sixteen = Object.fromEntries(Array.from({ length: 16 }, (_, i) => [`a${i}`, i]));
    expect(checkEvent({ ...GOOD, attributes: sixteen }, NOW).attributes).toEqual(sixteen);
    const filling = { a: 'x'.repeat(2048 - '{"a":""}'.length) };
    expect(checkEvent({ ...GOOD, attributes: filling }, NOW).attributes).toEqual(filling);
  });

  const seventeen = Object.fromEntries(Array.from({ length: 17 }, (_, i) => [`a${i}`, i]));
  const table: [name: string, event: unknown, message: string | RegExp][] = [
    ['a text', 'view', 'an event must be an object with the fields eventId, videoId'],
    ['null', null, 'an event must be an object'],
    ['a list', [], 'an event must be an object'],
    ['an unknown field', { ...GOOD, video: 'x' }, 'unknown field "video"; an event has the fields'],
    ['no videoId', { eventType: 'view' }, 'videoId is missing; give a string'],
    ['a videoId of another type', { ...GOOD, videoId: 7 }, 'videoId must be a string, not 7'],
    ['an empty videoId', { ...GOOD, videoId: '' }, 'videoId is empty'],
    ['a long videoId', { ...GOOD, videoId: 'é'.repeat(513) }, 'longer than 1024 bytes'],
    ['a lone surrogate', { ...GOOD, videoId: '\ud800' }, 'lone surrogate'],
    ['no eventType', { videoId: 'v' }, 'eventType is missing; give a string'],
    ['a long eventType', { ...GOOD, eventType: 'x'.repeat(129) }, 'longer than 128 bytes'],
    ['a timestamp of words', { ...GOOD, timestamp: 'yesterday' }, 'timestamp "yesterday" is no time'],
    ['a timestamp of null', { ...GOOD, timestamp: null }, 'timestamp null is no time'],
    ['a broken timestamp', { ...GOOD, timestamp: 1.5 }, 'timestamp 1.5 is no time'],
    ['the 30th of February', { ...GOOD, timestamp: '2026-02-30' }, 'is no time'],
    ['a timestamp in seconds', { ...GOOD, timestamp: 1_769_860_000 }, 'lies before 2000-01-01'],
    ['a far past', { ...GOOD, timestamp: '1999-12-31' }, 'lies before 2000-01-01'],
    ['a far future', { ...GOOD, timestamp: NOW + 86_400_001 }, 'more than 24 hours ahead'],
    ['a value of null', { ...GOOD, value: null }, 'not null'],
    ['a value in words', { ...GOOD, value: '5' }, 'value must be an integer within ±2^42, not "5"'],
    ['a list where one goes', { events: [GOOD] }, 'a list of them goes to /processEvents'],
    ['a time of day without a zone', { ...GOOD, timestamp: '2026-01-31T12:00:00' }, 'with a zone'],
    ['a broken value', { ...GOOD, value: 0.5 }, 'value must be an integer within ±2^42, not 0.5'],
    ['a large value', { ...GOOD, value: 2 ** 42 + 1 }, 'within ±2^42'],
    ['an eventId of another type', { ...GOOD, eventId: 7 }, 'eventId must be a string, not a value of type'],
    ['an empty eventId', { ...GOOD, eventId: '' }, 'eventId must have 1 to 256 bytes'],
    ['a long eventId', { ...GOOD, eventId: 'é'.repeat(129) }, 'eventId must have 1 to 256 bytes'],
    ['an eventId that is no text', { ...GOOD, eventId: '\udfff' }, 'lone surrogate'],
    ['attributes of another type', { ...GOOD, attributes: 'x' }, 'attributes must be an object of scalars'],
    ['a list of attributes', { ...GOOD, attributes: [1] }, 'not an array'],
    ['too many attributes', { ...GOOD, attributes: seventeen }, '17 attributes are more than 16'],
    ['nested attributes', { ...GOOD, attributes: { a: {} } }, /attribute "a" must be a string.*type object/],
    ['an attribute without end', { ...GOOD, attributes: { a: Number.POSITIVE_INFINITY } }, 'not Infinity'],
    ['large attributes', { ...GOOD, attributes: { a: 'x'.repeat(2041) } }, 'take 2049 bytes as JSON'],
    ['attributes that are no text', { ...GOOD, attributes: { a: '\ud800' } }, 'lone surrogate'],
  ];
  it.each(table)('refuses %s', (_name, event, message) => {
    expect(messageOf(() => checkEvent(event, NOW))).toMatch(message);
  });
});
