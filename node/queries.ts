import { planRange } from '../counter/range.js';
import { type CellValue, foldValues } from '../counter/shard.js';
import { checkEventType, checkKey, MAX_TIMESTAMP_MS } from '../counter/validate.js';
import { type Granularity, windowIndex, windowStartMs } from '../counter/window.js';
import type { CellQuery, Outcome, ProducerShard, StatsAnswer, StatsQuery } from '../proto/calls.js';
import { type Column, columnName, decodeColumn } from '../proto/column.js';
import {
  type CellAddress,
  decodeEntryKey,
  decodeShard,
  type Entry,
  KIND,
  kindOfEntry,
} from '../proto/entry.js';
import { errorFromData, TallyringError } from '../proto/errors.js';
import type { RowQuery } from '../proto/peer-message.js';
import type { Limits } from './config.js';
import { periodsOf } from './quorum/row-ranges.js';

/** From what is asked to the rows that are read, and from their shards to values. Pure. */

export interface StatsPlan {
  query: StatsQuery;
  startMs: number;
  endMs: number;
  rows: RowQuery[];
  /** Ranges that reading it takes. */
  periods: number;
  maxPoints: number;
}

/** The row of one cell. Throws INVALID_ARGUMENT for what is not kept. */
export function cellRow(query: CellQuery, rollups: readonly Granularity[]): RowQuery {
  const { key, eventType, granularity = 'total' } = query;
  checkSeries({ key, eventType, granularity }, rollups);
  if (granularity !== 'total' && query.timestampMs === undefined) {
    throw new TallyringError('INVALID_ARGUMENT', `a ${granularity} needs a timestamp that lies in it`);
  }
  const window = windowIndex(granularity, query.timestampMs ?? 0);
  return { key, eventType, granularity, fromWindow: window, toWindow: window + 1 };
}

function checkSeries(series: Omit<CellAddress, 'window'>, rollups: readonly Granularity[]): void {
  checkKey(series.key);
  checkEventType(series.eventType);
  if (rollups.includes(series.granularity)) return;
  const text = `this cluster keeps ${rollups.join(', ')}, not ${series.granularity}`;
  throw new TallyringError('INVALID_ARGUMENT', text);
}

/** The row of a cell by its window's number. Throws INVALID_ARGUMENT for what is not kept, or no window. */
export function addressedRow(cell: CellAddress, rollups: readonly Granularity[]): RowQuery {
  checkSeries(cell, rollups);
  const { key, eventType, granularity, window } = cell;
  const startMs = granularity === 'total' ? window : windowStartMs(granularity, window);
  const lastMs = granularity === 'total' ? 0 : MAX_TIMESTAMP_MS;
  if (!Number.isSafeInteger(window) || Math.abs(startMs) > lastMs) {
    throw new TallyringError('INVALID_ARGUMENT', `${String(window)} is no window of ${granularity}`);
  }
  return { key, eventType, granularity, fromWindow: window, toWindow: window + 1 };
}

/** Where the columns of a key lie. Throws INVALID_ARGUMENT for what is no key. */
export function columnsRow(key: string): RowQuery {
  return { key: checkKey(key), eventType: '', granularity: 'total', fromWindow: 0, toWindow: 1 };
}

/** The columns among the entries of such a row, in order of their names. */
export function columnsOf(entries: readonly Entry[]): Column[] {
  const columns = entries.filter(({ key }) => kindOfEntry(key) === KIND.column);
  return columns
    .sort((a, b) => a.key.compare(b.key))
    .map(({ key, value }) => ({ name: columnName(key), ...decodeColumn(value) }));
}

/** A cell's shards, each with its producer. */
export function producerShards(entries: readonly Entry[]): ProducerShard[] {
  return entries.flatMap(({ key, value }) => {
    const { kind, producerId } = decodeEntryKey(key);
    return kind === KIND.shard ? [{ producerId: Buffer.from(producerId, 'hex'), ...decodeShard(value) }] : [];
  });
}

/** Σ over a cell's shards. Throws OUT_OF_RANGE, naming the cell; the state stays. */
export function cellValue(row: RowQuery, entries: readonly Entry[]): CellValue {
  const value = foldValues(entries.map((entry) => decodeShard(entry.value)));
  if (value !== undefined) return value;
  const { key, eventType, granularity } = row;
  throw new TallyringError('OUT_OF_RANGE', `${key} ${eventType} (${granularity}) is outside int64 in sum`);
}

/**
 * The rows that answer a stats query. Throws INVALID_ARGUMENT for what is malformed, not kept, or too wide.
 */
export function planStats(
  query: StatsQuery,
  rollups: readonly Granularity[],
  limits: Pick<Limits, 'maxStatsPeriods' | 'maxStatsPoints'>,
): StatsPlan {
  checkKey(query.key);
  checkEventType(query.eventType);
  const range = planRange({ ...query, rollups });
  const { key, eventType } = query;
  const parts = range.series === undefined ? range.segments : [range.series];
  const rows = parts.map((part) => ({ key, eventType, ...part }));
  const periods = rows.reduce((sum, row) => sum + periodsOf(row), 0);
  const { maxStatsPeriods, maxStatsPoints } = limits;
  if (periods > maxStatsPeriods) throw tooWide(`touches ${periods} periods, at most ${maxStatsPeriods}`);
  return { query, startMs: range.startMs, endMs: range.endMs, rows, periods, maxPoints: maxStatsPoints };
}

/** Cuts plans into runs of at most `maxPeriods` periods together, one plan at least. */
export function slicesOf(plans: readonly StatsPlan[], maxPeriods: number): StatsPlan[][] {
  const slices: StatsPlan[][] = [];
  let periods = Number.POSITIVE_INFINITY;
  for (const plan of plans) {
    periods += plan.periods;
    if (periods > maxPeriods) {
      slices.push([]);
      periods = plan.periods;
    }
    slices.at(-1)!.push(plan);
  }
  return slices;
}

/** A stats answer from the rows' shards; throws the first row's error. */
export function assembleStats(plan: StatsPlan, reads: readonly Outcome<Entry[]>[]): StatsAnswer {
  const { granularity } = plan.query;
  const windows = new Map<number, Entry[]>();
  const all: Entry[] = [];
  for (const read of reads) {
    if ('error' in read) throw errorFromData(read.error);
    for (const entry of read.ok) {
      all.push(entry);
      if (granularity === undefined) continue;
      const { window } = decodeEntryKey(entry.key);
      const entries = windows.get(window);
      if (entries === undefined) windows.set(window, [entry]);
      else entries.push(entry);
    }
  }
  if (windows.size > plan.maxPoints) throw tooWide(`has ${windows.size} windows, at most ${plan.maxPoints}`);
  const row = plan.rows[0]!;
  const series = [...windows]
    .sort(([a], [b]) => a - b)
    .map(([window, entries]) => ({
      startMs: windowStartMs(row.granularity, window),
      value: cellValue(row, entries),
    }));
  const { startMs, endMs } = plan;
  return { startMs, endMs, granularity, value: cellValue(row, all), series };
}

function tooWide(what: string): TallyringError {
  const text = `the range ${what}: ask for a shorter range or a coarser granularity`;
  return new TallyringError('INVALID_ARGUMENT', text);
}
