import { expect, it } from 'vitest';
import {
  formatBytes,
  formatCount,
  formatDuration,
  formatNumber,
  parseInt64,
  parseLevel,
  table,
} from '../../../cli/format.js';
import { timeOf } from '../../../counter/time.js';

it.each([
  [0, '0'],
  [999, '999'],
  [1_000, '1,000'],
  [-1_234_567, '-1,234,567'],
  [-123, '-123'],
  [2n ** 63n - 1n, '9,223,372,036,854,775,807'],
])('formatCount(%s)', (value, text) => {
  expect(formatCount(value)).toBe(text);
});

it.each([
  [0, '0.0 s'],
  [12_340, '12.3 s'],
  [59_960, '1 min 00 s'],
  [245_000, '4 min 05 s'],
  [3_600_000 * 3 + 60_000 * 7, '3 h 07 min'],
  [86_400_000 * 2 + 3_600_000 * 4, '2 d 04 h'],
])('formatDuration(%s)', (ms, text) => {
  expect(formatDuration(ms)).toBe(text);
});

it.each([
  [512, '512 bytes'],
  [1_536, '1.50 KiB'],
  [64 * 1024 * 1024, '64.0 MiB'],
])('formatBytes(%s)', (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text);
});

it.each([
  ['2026-01-31', Date.UTC(2026, 0, 31)],
  ['2026-01-31T12:30Z', Date.UTC(2026, 0, 31, 12, 30)],
  ['2026-01-31T12:30', undefined],
  ['2026-01-31t12:30z', Date.UTC(2026, 0, 31, 12, 30)],
  ['2026-01-31T12:30:15.250Z', Date.UTC(2026, 0, 31, 12, 30, 15, 250)],
  ['2026-01-31T12:30:15+02:00', Date.UTC(2026, 0, 31, 10, 30, 15)],
  ['1769862615000', 1_769_862_615_000],
  ['-5', -5],
  [17, 17],
  ['2026-02-29', undefined],
  ['2026-13-01', undefined],
  ['2026-01-31T25:00Z', undefined],
  ['31.1.2026', undefined],
  ['', undefined],
  ['99999999999999999', undefined],
  [1.5, undefined],
  [Number.NaN, undefined],
  [null, undefined],
  [[5], undefined],
])('timeOf(%s)', (value, ms) => {
  expect(timeOf(value)).toBe(ms);
});

it.each([
  [3_000, '3,000'],
  [-1_234.5, '-1,234.5'],
  [0.1, '0.1'],
])('formatNumber(%s)', (value, text) => {
  expect(formatNumber(value)).toBe(text);
});

it('levels in any case, and with dashes', () => {
  expect(parseLevel('local-quorum')).toBe('LOCAL_QUORUM');
  expect(() => parseLevel('toString')).toThrow('one of ONE, TWO');
});

it('int64 text', () => {
  expect(parseInt64('x', '+9223372036854775807')).toBe(2n ** 63n - 1n);
  expect(parseInt64('x', '-7')).toBe(-7);
  for (const text of ['', '1e3', '0x10', ' 1', '9223372036854775808'])
    expect(() => parseInt64('x', text)).toThrow('64 bits');
});

it('a table aligns its columns', () => {
  expect(
    table(
      [
        ['a', 'n'],
        ['long', '7'],
        ['b', '12345'],
      ],
      [1],
    ),
  ).toBe('a         n\nlong      7\nb     12345\n');
});
