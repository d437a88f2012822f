import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { INT64_MAX, INT64_MIN } from '../../../counter/int64.js';
import { checkEventType, checkKey, checkTimestamp, checkValue } from '../../../counter/validate.js';

const NOW = Date.UTC(2024, 0, 1);
const DAY = 86_400_000;

function codeOf(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    return (error as { code?: string }).code ?? 'untyped';
  }
  return 'taken';
}

describe('validation at the edge', () => {
  it.each<[unknown, string]>([
    ['', 'empty'],
    ['x'.repeat(1025), 'a byte too long'],
    ['é'.repeat(513), 'too long in UTF-8 only'],
    ['€'.repeat(342), 'too long in UTF-8 only'],
    ['\ud800', 'a lone high surrogate'],
    [`a${'\udc00'}b`, 'a lone low surrogate'],
    [`${'x'.repeat(600)}\ud83d`, 'a lone surrogate at the end'],
    [7, 'a number'],
    [undefined, 'nothing'],
  ])('refuses the key %j: %s', (key) => {
    expect(codeOf(() => checkKey(key))).toBe('INVALID_ARGUMENT');
  });

  it('takes keys and event types up to the last byte', () => {
    for (const key of ['x', '\0', 'x'.repeat(1024), 'é'.repeat(512), '😀'.repeat(256)]) {
      expect(checkKey(key)).toBe(key);
    }
    expect(checkEventType('€'.repeat(42))).toHaveLength(42);
    for (const wrong of ['', 'y'.repeat(129), '€'.repeat(43), '\udfff', null]) {
      expect(codeOf(() => checkEventType(wrong))).toBe('INVALID_ARGUMENT');
    }
  });

  it('agrees with the UTF-8 length and well-formedness of any string', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 100 }), fc.nat(20), (part, times) => {
        const key = part.repeat(times);
        const bytes = Buffer.byteLength(key);
        const fine = bytes > 0 && bytes <= 1024 && Buffer.from(key).toString() === key;
        expect(codeOf(() => checkKey(key))).toBe(fine ? 'taken' : 'INVALID_ARGUMENT');
      }),
    );
  });

  it.each([
    [Number.NaN, 'INVALID_ARGUMENT'],
    [1.5, 'INVALID_ARGUMENT'],
    [Infinity, 'INVALID_ARGUMENT'],
    [2 ** 53, 'INVALID_ARGUMENT'],
    [-(2 ** 53), 'INVALID_ARGUMENT'],
    ['1', 'INVALID_ARGUMENT'],
    [null, 'INVALID_ARGUMENT'],
    [{}, 'INVALID_ARGUMENT'],
    [INT64_MAX + 1n, 'OUT_OF_RANGE'],
    [INT64_MIN - 1n, 'OUT_OF_RANGE'],
  ])('refuses the value %s with %s', (value, code) => {
    expect(codeOf(() => checkValue(value))).toBe(code);
  });

  it('takes int64 in its normal form', () => {
    expect(checkValue(-3)).toBe(-3);
    expect(Object.is(checkValue(-0), 0)).toBe(true);
    expect(checkValue(5n)).toBe(5);
    expect(checkValue(2n ** 53n - 1n)).toBe(Number.MAX_SAFE_INTEGER);
    expect(checkValue(2n ** 53n)).toBe(2n ** 53n);
    expect(checkValue(INT64_MIN)).toBe(INT64_MIN);
  });

  it.each([Number.NaN, Infinity, 1.5, 8.64e15 + 1, -8.64e15 - 1, NOW + DAY + 1, '2024', null, 5n])(
    'refuses the timestamp %s',
    (timestamp) => {
      expect(codeOf(() => checkTimestamp(timestamp, NOW))).toBe('INVALID_ARGUMENT');
    },
  );

  it('takes old timestamps and those up to a day ahead', () => {
    for (const timestamp of [NOW + DAY, NOW, 0, -1, -8.64e15])
      expect(checkTimestamp(timestamp, NOW)).toBe(timestamp);
    expect(Object.is(checkTimestamp(-0, NOW), 0)).toBe(true);
  });
});
