import type { Int64 } from '../counter/int64.js';
import type { CellValue } from '../counter/shard.js';
import { type Granularity, windowMs } from '../counter/window.js';
import type { StatsAnswer } from '../proto/calls.js';
import { TallyringError } from '../proto/errors.js';

/** In what reads give integers back. `number` throws OUT_OF_RANGE rather than round. */
export type Int64Mode = 'number' | 'bigint';
export type IntegerOf<M extends Int64Mode> = M extends 'bigint' ? bigint : number;

/** What a counter is worth. `sum` is the value of the counter, `count` the number of events. */
export interface CounterValue<I = number> {
  count: I;
  sum: I;
  /** Of the events' values; null where there are none. */
  min: I | null;
  max: I | null;
  /** The double nearest to sum / count. */
  average: number | null;
}

export const STATS_FUNCTIONS = ['count', 'sum', 'min', 'max', 'average'] as const;
export type StatsFunction = (typeof STATS_FUNCTIONS)[number];

export interface StatsWindow<I = number> extends Partial<CounterValue<I>> {
  start: Date;
}

/** `functions` chooses which of the values are there; all of them by default. */
export interface StatsResult<I = number> extends Partial<CounterValue<I>> {
  /** The range that is really covered: what was asked, widened to windows that are kept. */
  start: Date;
  end: Date;
  granularity?: Granularity;
  series?: StatsWindow<I>[];
}

/** Points of one filled series. */
export const MAX_FILLED_POINTS = 10_000;

/** Bits below the binary point while dividing: the quotient has over 64 significant ones. */
const SCALE_BITS = 128n;

/** The double nearest to sum / count; null where count is 0. */
export function averageOf(sum: Int64, count: Int64): number | null {
  if (count === 0) return null;
  // Both are exact doubles, and IEEE division is correctly rounded.
  if (typeof sum === 'number' && typeof count === 'number') return sum / count;
  const magnitude = BigInt(sum) < 0n ? -BigInt(sum) : BigInt(sum);
  const scaled = magnitude << SCALE_BITS;
  let quotient = scaled / BigInt(count);
  // A sticky last bit keeps what the division cut off from looking like a tie.
  if (scaled % BigInt(count) !== 0n) quotient |= 1n;
  const average = Number(quotient) / 2 ** Number(SCALE_BITS);
  return BigInt(sum) < 0n ? -average : average;
}

function integer(value: Int64, mode: Int64Mode): number | bigint {
  if (mode === 'bigint') return BigInt(value);
  if (typeof value === 'number') return value;
  throw new TallyringError(
    'OUT_OF_RANGE',
    `the value ${value} is no safe integer; connect with int64: 'bigint' to read it`,
  );
}

/** A cell's value as the application sees it. Throws OUT_OF_RANGE in `number` mode. */
export function presentValue<M extends Int64Mode>(value: CellValue, mode: M): CounterValue<IntegerOf<M>> {
  const nullable = (part: Int64 | null) => (part === null ? null : integer(part, mode));
  return {
    count: integer(value.count, mode),
    sum: integer(value.sum, mode),
    min: nullable(value.min),
    max: nullable(value.max),
    average: averageOf(value.sum, value.count),
  } as CounterValue<IntegerOf<M>>;
}

export interface StatsShape {
  functions?: readonly StatsFunction[] | undefined;
  fill?: boolean | undefined;
}

/** Throws INVALID_ARGUMENT for what a stats call may not ask. */
export function checkShape(shape: StatsShape): void {
  for (const name of shape.functions ?? []) {
    if (STATS_FUNCTIONS.includes(name)) continue;
    throw new TallyringError(
      'INVALID_ARGUMENT',
      `unknown function ${String(name)}; use ${STATS_FUNCTIONS.join(', ')}`,
    );
  }
}

/** A range's answer as the application sees it. Throws OUT_OF_RANGE, and INVALID_ARGUMENT for too many points. */
export function presentStats<M extends Int64Mode>(
  answer: StatsAnswer,
  shape: StatsShape,
  mode: M,
): StatsResult<IntegerOf<M>> {
  type Value = Partial<CounterValue<IntegerOf<M>>>;
  const functions = shape.functions ?? STATS_FUNCTIONS;
  const chosen = (value: CellValue): Value => {
    // Only what is asked for is converted: a sum out of range must not spoil a count.
    const asked: CellValue = { count: 0, sum: 0, min: null, max: null };
    for (const name of functions) if (name !== 'average') Object.assign(asked, { [name]: value[name] });
    const all = { ...presentValue(asked, mode), average: averageOf(value.sum, value.count) };
    return Object.fromEntries(functions.map((name) => [name, all[name]])) as Value;
  };
  const { granularity } = answer;
  const result: StatsResult<IntegerOf<M>> = {
    start: new Date(answer.startMs),
    end: new Date(answer.endMs),
    ...chosen(answer.value),
  };
  if (granularity === undefined) return result;
  result.granularity = granularity;
  const points = shape.fill ? filled(answer, granularity) : answer.series;
  result.series = points.map(({ startMs, value }) => ({ start: new Date(startMs), ...chosen(value) }));
  return result;
}

function filled(answer: StatsAnswer, granularity: Granularity): StatsAnswer['series'] {
  const stepMs = windowMs(granularity);
  if ((answer.endMs - answer.startMs) / stepMs > MAX_FILLED_POINTS) {
    throw new TallyringError(
      'INVALID_ARGUMENT',
      `a filled series has at most ${MAX_FILLED_POINTS} points; ask for a shorter range or a coarser granularity`,
    );
  }
  const there = new Map(answer.series.map((point) => [point.startMs, point.value]));
  const points: StatsAnswer['series'] = [];
  for (let startMs = answer.startMs; startMs < answer.endMs; startMs += stepMs) {
    points.push({ startMs, value: there.get(startMs) ?? { count: 0, sum: 0, min: null, max: null } });
  }
  return points;
}
