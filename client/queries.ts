import { checkEventType, checkKey, checkTimestamp } from '../counter/validate.js';
import { GRANULARITIES, type Granularity } from '../counter/window.js';
import type { CellQuery, Outcome, StatsQuery } from '../proto/calls.js';
import { asTallyringError, errorFromData, TallyringError } from '../proto/errors.js';
import type { ConsistencyLevel } from '../proto/level.js';
import { checkLevel, type LevelContext } from './levels.js';
import type { Reader } from './reader.js';
import {
  type CounterValue,
  checkShape,
  type Int64Mode,
  type IntegerOf,
  presentStats,
  presentValue,
  type StatsResult,
  type StatsShape,
} from './results.js';

export interface ReadOptions {
  consistency?: ConsistencyLevel | undefined;
  timeoutMs?: number | undefined;
  signal?: AbortSignal | undefined;
}

/** Which window: `total` by default, else the one that holds `timestamp` (epoch milliseconds when a number). */
export interface CellChoice {
  granularity?: Granularity | undefined;
  timestamp?: Date | number | undefined;
}

export interface CellRequest extends CellChoice {
  key: string;
  eventType: string;
}

export interface GetOptions extends CellChoice, ReadOptions {}

/** [start, end); epoch milliseconds when numbers. `granularity` asks for a series of windows too. */
export interface RangeChoice extends StatsShape {
  start: Date | number;
  end: Date | number;
  granularity?: Granularity | undefined;
}

export interface StatsRequest extends RangeChoice {
  key: string;
  eventType: string;
}

export interface StatsOptions extends RangeChoice, ReadOptions {}

/** One of many reads: a value, or why there is none. */
export type ReadOutcome<T> = { value: T; error?: undefined } | { value?: undefined; error: TallyringError };

const toMs = (time: Date | number): number => (time instanceof Date ? time.getTime() : time);

/** The reads of a client: from what the application asks to what it gets. */
export class Queries<M extends Int64Mode> {
  readonly #parts: {
    reader: Reader;
    levels: LevelContext;
    readLevel: ConsistencyLevel;
    timeoutMs: number;
    mode: M;
  };

  constructor(parts: {
    reader: Reader;
    levels: LevelContext;
    readLevel: ConsistencyLevel;
    /** Of calls that do not say. */
    timeoutMs: number;
    mode: M;
  }) {
    this.#parts = parts;
  }

  async get(request: CellRequest, options: ReadOptions): Promise<CounterValue<IntegerOf<M>>> {
    return only(await this.getMany([request], options));
  }

  async stats(request: StatsRequest, options: ReadOptions): Promise<StatsResult<IntegerOf<M>>> {
    return only(await this.statsMany([request], options));
  }

  async getMany(
    requests: readonly CellRequest[],
    options: ReadOptions,
  ): Promise<ReadOutcome<CounterValue<IntegerOf<M>>>[]> {
    const outcomes = await this.#parts.reader.read(
      requests.map(cellQuery),
      (connection, queries, level, call) => connection.get(queries, level, call),
      this.#plan(options),
    );
    return outcomes.map((outcome) => present(outcome, (value) => presentValue(value, this.#parts.mode)));
  }

  async statsMany(
    requests: readonly StatsRequest[],
    options: ReadOptions,
  ): Promise<ReadOutcome<StatsResult<IntegerOf<M>>>[]> {
    const outcomes = await this.#parts.reader.read(
      requests.map(statsQuery),
      (connection, queries, level, call) => connection.stats(queries, level, call),
      this.#plan(options),
    );
    return outcomes.map((outcome, i) =>
      present(outcome, (answer) => presentStats(answer, requests[i]!, this.#parts.mode)),
    );
  }

  #plan({ consistency, timeoutMs = this.#parts.timeoutMs, signal }: ReadOptions) {
    const { levels, readLevel } = this.#parts;
    const level = consistency === undefined ? readLevel : checkLevel(consistency, levels);
    checkTimeout(timeoutMs);
    return { level, timeoutMs, signal };
  }
}

/** Throws INVALID_ARGUMENT for what no timer can wait. */
export function checkTimeout(timeoutMs: number): void {
  if (timeoutMs > 0 && timeoutMs <= 0x7fff_ffff) return;
  throw new TallyringError('INVALID_ARGUMENT', `timeoutMs must be positive and below 2^31, not ${timeoutMs}`);
}

/** The value of a call's one outcome; throws its error. */
export function only<T>([outcome]: ReadOutcome<T>[]): T {
  if (outcome!.error) throw outcome!.error;
  return outcome!.value as T;
}

/** What is answered as the application gets it. */
export function present<A, T>(outcome: Outcome<A>, convert: (answer: A) => T): ReadOutcome<T> {
  if ('error' in outcome) return { error: errorFromData(outcome.error) };
  try {
    return { value: convert(outcome.ok) };
  } catch (error) {
    return { error: asTallyringError(error) };
  }
}

function checkGranularity(granularity: Granularity | undefined): void {
  if (granularity === undefined || GRANULARITIES.includes(granularity)) return;
  throw new TallyringError(
    'INVALID_ARGUMENT',
    `unknown granularity ${String(granularity)}; use one of ${GRANULARITIES.join(', ')}`,
  );
}

function cellQuery({ key, eventType, granularity, timestamp }: CellRequest): CellQuery {
  checkGranularity(granularity);
  const query: CellQuery = { key: checkKey(key), eventType: checkEventType(eventType), granularity };
  if (timestamp !== undefined) query.timestampMs = checkTimestamp(toMs(timestamp), Infinity);
  else if (granularity !== undefined && granularity !== 'total') {
    throw new TallyringError('INVALID_ARGUMENT', `which ${granularity}? Give a timestamp inside it`);
  }
  return query;
}

function statsQuery(request: StatsRequest): StatsQuery {
  const { key, eventType, start, end, granularity } = request;
  checkGranularity(granularity);
  checkShape(request);
  return {
    key: checkKey(key),
    eventType: checkEventType(eventType),
    startMs: checkTimestamp(toMs(start), Infinity),
    endMs: checkTimestamp(toMs(end), Infinity),
    granularity,
  };
}
