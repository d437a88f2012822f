import { type Int64, toInt64 } from '../counter/int64.js';
import { noTime, timeOf } from '../counter/time.js';
import { GRANULARITIES, type Granularity, isGranularity } from '../counter/window.js';
import { type ConsistencyLevel, isLevel, LEVELS } from '../proto/level.js';
import { usage } from './exit.js';

/** 1234567 as 1,234,567. */
export function formatCount(value: Int64): string {
  return value.toString().replace(/\B(?=(\d{3})+$)/g, ',');
}

/** 1234.5 as 1,234.5, with all of its digits. */
export function formatNumber(value: number): string {
  return value.toLocaleString('en-US', { maximumFractionDigits: 20 });
}

/** 1 key, 2 keys, 1,000 entries. */
export function plural(count: number, one: string, many = `${one}s`): string {
  return `${formatCount(count)} ${count === 1 ? one : many}`;
}

/** Bytes with a binary unit, as nodetool shows them. */
export function formatBytes(bytes: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return unit === 0 ? `${bytes} bytes` : `${value.toFixed(value < 10 ? 2 : 1)} ${units[unit]}`;
}

/** 0.4 s, 12.3 s, 4 min 05 s, 3 h 07 min, 2 d 04 h. */
export function formatDuration(ms: number): string {
  const seconds = Math.max(0, ms) / 1000;
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  const two = (value: number) => String(Math.floor(value)).padStart(2, '0');
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  if (whole < 86_400) return `${Math.floor(whole / 3600)} h ${two((whole % 3600) / 60)} min`;
  return `${Math.floor(whole / 86_400)} d ${two((whole % 86_400) / 3600)} h`;
}

export function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}

/** A time on the command line. Throws INVALID_ARGUMENT. */
export function parseTime(what: string, text: unknown): number {
  const ms = timeOf(text);
  if (ms === undefined) {
    throw usage(`${what} ${noTime(text)}`);
  }
  return ms;
}

/** An int64 in decimal digits. Throws INVALID_ARGUMENT. */
export function parseInt64(what: string, text: string): Int64 {
  const value = /^[+-]?\d{1,19}$/.test(text) ? toInt64(BigInt(text.replace(/^\+/, ''))) : undefined;
  if (value === undefined) throw usage(`${what} ${JSON.stringify(text)} is no integer of 64 bits`);
  return value;
}

/** A positive number. Throws INVALID_ARGUMENT. */
export function parsePositive(what: string, text: string): number {
  const value = Number(text);
  if (!(value > 0) || !Number.isFinite(value))
    throw usage(`${what} ${JSON.stringify(text)} must be a number above 0`);
  return value;
}

export function parseLevel(text: string): ConsistencyLevel {
  const level = text.toUpperCase().replaceAll('-', '_');
  if (!isLevel(level))
    throw usage(`unknown consistency level ${JSON.stringify(text)}; one of ${LEVELS.join(', ')}`);
  return level;
}

export function parseGranularity(text: unknown): Granularity {
  if (typeof text === 'string' && isGranularity(text)) return text;
  throw usage(`unknown granularity ${JSON.stringify(text)}; one of ${GRANULARITIES.join(', ')}`);
}

/** Columns padded to their widest cell; `right` names those aligned to the right. */
export function table(rows: readonly (readonly string[])[], right: readonly number[] = []): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length);
  }
  const lines = rows.map((row) =>
    row
      .map((cell, i) => (right.includes(i) ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)))
      .join('  ')
      .trimEnd(),
  );
  return `${lines.join('\n')}\n`;
}
