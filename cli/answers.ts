import { averageOf } from '../client/results.js';
import { int64ToJson } from '../counter/int64.js';
import { type CellValue, EMPTY_VALUE } from '../counter/shard.js';
import { type Granularity, windowIndex, windowMs, windowStartMs } from '../counter/window.js';
import type { CellQuery, StatsAnswer, StatsPoint, StatsQuery } from '../proto/calls.js';
import { TallyringError } from '../proto/errors.js';
import { formatCount, formatNumber, isoTime, table } from './format.js';

/** Answers of `get` and `stats`, as JSON and as text. */

export const MAX_FILLED_POINTS = 10_000;

type JsonInt64 = number | string;

/** int64 as a JSON number while it is a safe integer, else as a string of its digits. */
export function valueJson({ count, sum, min, max }: CellValue) {
  const orNull = (value: CellValue['min']): JsonInt64 | null => (value === null ? null : int64ToJson(value));
  return { count: int64ToJson(count), sum: int64ToJson(sum), min: orNull(min), max: orNull(max) };
}

export function getJson({ key, eventType, granularity, timestampMs }: CellQuery, value: CellValue) {
  const window =
    granularity === undefined || granularity === 'total'
      ? {}
      : { granularity, start: isoTime(windowStartMs(granularity, windowIndex(granularity, timestampMs!))) };
  return { key, eventType, ...window, ...valueJson(value), average: averageOf(value.sum, value.count) };
}

export function statsJson({ key, eventType }: StatsQuery, answer: StatsAnswer, fill: boolean) {
  const series = fill ? filled(answer) : answer.series;
  return {
    key,
    eventType,
    start: isoTime(answer.startMs),
    end: isoTime(answer.endMs),
    ...valueJson(answer.value),
    average: averageOf(answer.value.sum, answer.value.count),
    ...(answer.granularity !== undefined && {
      granularity: answer.granularity,
      series: series.map(({ startMs, value }) => ({ start: isoTime(startMs), ...valueJson(value) })),
    }),
  };
}

/** Refuses, before anything is asked, a filled series of too many points. Throws INVALID_ARGUMENT. */
export function checkFill(granularity: Granularity | undefined, startMs: number, endMs: number): void {
  if (granularity === undefined || granularity === 'total') return;
  const points = Math.ceil(endMs / windowMs(granularity)) - windowIndex(granularity, startMs);
  if (points <= MAX_FILLED_POINTS) return;
  throw new TallyringError(
    'INVALID_ARGUMENT',
    `${formatCount(points)} ${granularity} windows are more than ${formatCount(MAX_FILLED_POINTS)}; ask for a shorter range, a coarser granularity, or leave --fill out`,
  );
}

/** The series with its empty windows. */
export function filled({ startMs, endMs, granularity, series }: StatsAnswer): StatsPoint[] {
  if (granularity === undefined || granularity === 'total') return series;
  checkFill(granularity, startMs, endMs);
  const points = new Map(series.map((point) => [point.startMs, point]));
  const out: StatsPoint[] = [];
  for (let at = startMs; at < endMs; at += windowMs(granularity)) {
    out.push(points.get(at) ?? { startMs: at, value: EMPTY_VALUE });
  }
  return out;
}

function valueCells({ count, sum, min, max }: CellValue): string[] {
  const orDash = (value: CellValue['min']): string => (value === null ? '-' : formatCount(value));
  const average = averageOf(sum, count);
  return [
    formatCount(count),
    formatCount(sum),
    orDash(min),
    orDash(max),
    average === null ? '-' : formatNumber(average),
  ];
}

const VALUE_HEAD = ['count', 'sum', 'min', 'max', 'average'];

export function valueText(value: CellValue): string {
  const cells = valueCells(value);
  return table(
    VALUE_HEAD.map((name, i) => [name, cells[i]!]),
    [1],
  );
}

export function statsText(answer: StatsAnswer, fill: boolean): string {
  const head = `${isoTime(answer.startMs)} to ${isoTime(answer.endMs)}\n${valueText(answer.value)}`;
  if (answer.granularity === undefined) return head;
  const series = fill ? filled(answer) : answer.series;
  if (series.length === 0) return `${head}\n(no events in this range)\n`;
  const rows = series.map(({ startMs, value }) => [isoTime(startMs), ...valueCells(value)]);
  return `${head}\n${table([[answer.granularity, ...VALUE_HEAD], ...rows], [1, 2, 3, 4, 5])}`;
}
