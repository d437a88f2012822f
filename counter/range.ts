import { TallyringError } from '../proto/errors.js';
import { MAX_TIMESTAMP_MS } from './validate.js';
import { GRANULARITIES, type Granularity, windowMs } from './window.js';

/** The windows [fromWindow, toWindow) of one granularity. */
export interface WindowRange {
  granularity: Granularity;
  fromWindow: number;
  toWindow: number;
}

export interface RangePlan {
  /** The range that is really covered, [startMs, endMs). */
  startMs: number;
  endMs: number;
  /** In order of time, without gaps or overlaps: their windows make up the value. */
  segments: WindowRange[];
  /** The same range in windows of the asked granularity. */
  series?: WindowRange;
}

export interface RangeRequest {
  /** [startMs, endMs) in epoch milliseconds. */
  startMs: number;
  endMs: number;
  /** The granularities that the cluster keeps. */
  rollups: readonly Granularity[];
  /** Of the series; none when absent. */
  granularity?: Granularity | undefined;
}

function refuse(message: string): never {
  throw new TallyringError('INVALID_ARGUMENT', message);
}

function isoOf(ms: number): string {
  return new Date(ms).toISOString();
}

function isTime(value: number): boolean {
  return Number.isInteger(value) && Math.abs(value) <= MAX_TIMESTAMP_MS;
}

/**
 * Plans a read of [startMs, endMs): the fewest windows, days in the middle and finer ones at the edges. A
 * range that is not aligned to the finest kept granularity (to the series' own, when one is asked for) is
 * widened outwards. How many points are too many is the caller's to say. Throws INVALID_ARGUMENT.
 */
export function planRange(request: RangeRequest): RangePlan {
  const { startMs, endMs, rollups, granularity } = request;
  if (!isTime(startMs) || !isTime(endMs)) {
    refuse(`range ${startMs} to ${endMs} is not in integer milliseconds since 1970-01-01 UTC`);
  }
  if (endMs <= startMs) refuse(`the range's end ${isoOf(endMs)} must lie after its start ${isoOf(startMs)}`);
  const kept = GRANULARITIES.filter((each) => each !== 'total' && rollups.includes(each));
  const finest = kept.at(-1);
  if (finest === undefined) {
    refuse('this cluster keeps totals only, so it has no values of a range; ask for the total');
  }
  if (granularity === 'total') {
    refuse(`a series cannot be of granularity total; ask for one of ${kept.join(', ')}`);
  }
  if (granularity !== undefined && !kept.includes(granularity)) {
    refuse(
      `granularity ${granularity} is not kept (rollups in cluster.yml); ask for one of ${kept.join(', ')}`,
    );
  }
  const unitMs = windowMs(granularity ?? finest);
  const from = Math.floor(startMs / unitMs) + 0; // + 0: never −0
  const to = Math.ceil(endMs / unitMs) + 0;
  const segments: WindowRange[] = [];
  cover(segments, kept, from * unitMs, to * unitMs);
  const plan: RangePlan = { startMs: from * unitMs, endMs: to * unitMs, segments };
  if (granularity !== undefined) plan.series = { granularity, fromWindow: from, toWindow: to };
  return plan;
}

/**
 * Each granularity's windows nest in the coarser one's, so as many as fit of the coarsest, and the same for
 * what is left at both sides, is the least number.
 */
function cover(out: WindowRange[], kept: readonly Granularity[], startMs: number, endMs: number): void {
  const [granularity, ...finer] = kept;
  if (granularity === undefined || startMs >= endMs) return;
  const ms = windowMs(granularity);
  const fromWindow = Math.ceil(startMs / ms) + 0;
  const toWindow = Math.floor(endMs / ms) + 0;
  if (fromWindow >= toWindow) {
    cover(out, finer, startMs, endMs);
    return;
  }
  cover(out, finer, startMs, fromWindow * ms);
  out.push({ granularity, fromWindow, toWindow });
  cover(out, finer, toWindow * ms, endMs);
}
