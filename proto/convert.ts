import { type Int64, isInt64, toInt64 } from '../counter/int64.js';
import type { CellValue } from '../counter/shard.js';
import { GRANULARITIES, type Granularity } from '../counter/window.js';
import type {
  CellQuery,
  FlushReply,
  FlushRequest,
  IncrementRequest,
  Outcome,
  StatsAnswer,
  StatsQuery,
} from './calls.js';
import { type ErrorData, isErrorCode, TallyringError } from './errors.js';
import { type ConsistencyLevel, LEVELS } from './level.js';
import type * as wire from './messages.js';

/**
 * Between the plain data of calls.ts and the messages of counter.proto. protobufjs silently makes 0 of NaN,
 * 1 of 1.5 and −2^63 of 2^63, so all is checked before it is encoded and after it was decoded; what is
 * wrong throws INVALID_ARGUMENT. What a key or a value may be is checked by the node, not here.
 */

const LONGEST_SAFE_DIGITS = 15;
const DEFAULT_LEVEL: ConsistencyLevel = 'QUORUM';

function malformed(what: string): TallyringError {
  return new TallyringError('INVALID_ARGUMENT', what);
}

export function int64ToWire(what: string, value: Int64): wire.WireInt64 {
  if (!isInt64(value)) {
    const code = typeof value === 'bigint' ? 'OUT_OF_RANGE' : 'INVALID_ARGUMENT';
    const text = `${what} must be a safe integer or a bigint in int64, not ${String(value)}`;
    throw new TallyringError(code, text);
  }
  return typeof value === 'number' ? value : value.toString();
}

export function int64FromWire(digits: wire.WireInt64): Int64 {
  if (typeof digits === 'number' || digits.length <= LONGEST_SAFE_DIGITS) return Number(digits);
  return toInt64(BigInt(digits)) as Int64;
}

/** Times, versions and sizes: safe integers on both sides. */
export function safeToWire(what: string, value: number): number {
  if (!Number.isSafeInteger(value)) throw malformed(`${what} must be a safe integer, not ${String(value)}`);
  return value;
}

export function safeFromWire(what: string, digits: wire.WireInt64): number {
  const value = Number(digits);
  if (!Number.isSafeInteger(value)) throw malformed(`${what} ${digits} is beyond ±2^53`);
  return value;
}

export function uint32ToWire(what: string, value: number): number {
  if (Number.isInteger(value) && value >= 0 && value <= 0xffff_ffff) return value;
  throw malformed(`${what} must be an integer from 0 to 2^32-1, not ${String(value)}`);
}

export function textToWire(what: string, text: string): string {
  if (typeof text === 'string' && text.isWellFormed()) return text;
  throw malformed(`${what} must be a string of well-formed Unicode (no lone surrogates)`);
}

const LEVEL_TO_WIRE = Object.fromEntries(LEVELS.map((level) => [level, `CONSISTENCY_LEVEL_${level}`]));
const LEVEL_FROM_WIRE = new Map<wire.WireEnum, ConsistencyLevel>([
  ['CONSISTENCY_LEVEL_UNSPECIFIED', DEFAULT_LEVEL],
  ...LEVELS.map((level): [string, ConsistencyLevel] => [`CONSISTENCY_LEVEL_${level}`, level]),
]);

export function levelToWire(level: ConsistencyLevel): string {
  const name = LEVEL_TO_WIRE[level];
  if (name === undefined)
    throw malformed(`unknown consistency level ${String(level)}; use ${LEVELS.join(', ')}`);
  return name;
}

export function levelFromWire(level: wire.WireEnum): ConsistencyLevel {
  const found = LEVEL_FROM_WIRE.get(level);
  if (found === undefined) throw malformed(`unknown consistency level ${level}; use ${LEVELS.join(', ')}`);
  return found;
}

const UNSPECIFIED = 'GRANULARITY_UNSPECIFIED';
const GRANULARITY_FROM_WIRE = new Map<wire.WireEnum, Granularity | undefined>([
  [UNSPECIFIED, undefined],
  ...GRANULARITIES.map((name): [string, Granularity] => [`GRANULARITY_${name.toUpperCase()}`, name]),
]);

export function granularityToWire(granularity: Granularity | undefined): string {
  if (granularity === undefined) return UNSPECIFIED;
  if (GRANULARITIES.includes(granularity)) return `GRANULARITY_${granularity.toUpperCase()}`;
  throw malformed(`unknown granularity ${String(granularity)}; use ${GRANULARITIES.join(', ')}`);
}

export function granularityFromWire(granularity: wire.WireEnum): Granularity | undefined {
  if (GRANULARITY_FROM_WIRE.has(granularity)) return GRANULARITY_FROM_WIRE.get(granularity);
  throw malformed(`unknown granularity ${granularity}; use ${GRANULARITIES.join(', ')}`);
}

export function errorToWire(error: ErrorData): wire.WireError {
  const { message } = error;
  return { ...error, message: message.isWellFormed() ? message : JSON.stringify(message) };
}

export function errorFromWire(error: wire.WireError | null | undefined): ErrorData {
  if (!error) throw malformed('an error without content');
  const { message, required, received, live, mayHaveApplied, retryable } = error;
  const known = isErrorCode(error.code);
  const code = known ? (error.code as ErrorData['code']) : 'INTERNAL';
  const text = known ? message : `${error.code}: ${message}`;
  return { code, message: text, required, received, live, mayHaveApplied, retryable };
}

/** sum / count as the nearest double; `undefined` when count is 0. */
export function averageOf({ count, sum }: CellValue): number | undefined {
  if (count === 0) return undefined;
  if (typeof count === 'number' && typeof sum === 'number') return sum / count;
  // An int64 ratio differs from a point halfway between two doubles by at least 2^-179, so that what is cut
  // off at 192 binary places cannot turn the one rounding that Number() does.
  return Number((BigInt(sum) << 192n) / BigInt(count)) / 2 ** 192;
}

export function valueToWire(value: CellValue): wire.WireCellValue {
  return {
    count: int64ToWire('count', value.count),
    sum: int64ToWire('sum', value.sum),
    min: value.min === null ? undefined : int64ToWire('min', value.min),
    max: value.max === null ? undefined : int64ToWire('max', value.max),
    average: averageOf(value),
  };
}

export function valueFromWire(value: wire.WireCellValue | null | undefined): CellValue {
  if (!value) throw malformed('a reply without a value');
  return {
    count: int64FromWire(value.count),
    sum: int64FromWire(value.sum),
    min: value.min === undefined ? null : int64FromWire(value.min),
    max: value.max === undefined ? null : int64FromWire(value.max),
  };
}

export function incrementToWire(request: IncrementRequest): wire.WireIncrementItem {
  const { timestampMs } = request;
  return {
    key: textToWire('key', request.key),
    eventType: textToWire('eventType', request.eventType),
    value: int64ToWire('value', request.value),
    timestampMs: timestampMs === undefined ? undefined : safeToWire('timestampMs', timestampMs),
  };
}

export function incrementFromWire(item: wire.WireIncrementItem): IncrementRequest {
  const { key, eventType, value, timestampMs } = item;
  return {
    key,
    eventType,
    value: value === undefined ? 1 : int64FromWire(value),
    timestampMs: timestampMs === undefined ? undefined : safeFromWire('timestamp_ms', timestampMs),
  };
}

export function cellQueryToWire(query: CellQuery): wire.WireCellQuery {
  const { timestampMs } = query;
  return {
    key: textToWire('key', query.key),
    eventType: textToWire('eventType', query.eventType),
    granularity: granularityToWire(query.granularity),
    timestampMs: timestampMs === undefined ? undefined : safeToWire('timestampMs', timestampMs),
  };
}

export function cellQueryFromWire(query: wire.WireCellQuery): CellQuery {
  const { key, eventType, timestampMs } = query;
  return {
    key,
    eventType,
    granularity: granularityFromWire(query.granularity),
    timestampMs: timestampMs === undefined ? undefined : safeFromWire('timestamp_ms', timestampMs),
  };
}

export function statsQueryToWire(query: StatsQuery): wire.WireStatsQuery {
  return {
    key: textToWire('key', query.key),
    eventType: textToWire('eventType', query.eventType),
    startMs: safeToWire('startMs', query.startMs),
    endMs: safeToWire('endMs', query.endMs),
    granularity: granularityToWire(query.granularity),
  };
}

export function statsQueryFromWire(query: wire.WireStatsQuery): StatsQuery {
  return {
    key: query.key,
    eventType: query.eventType,
    startMs: safeFromWire('start_ms', query.startMs),
    endMs: safeFromWire('end_ms', query.endMs),
    granularity: granularityFromWire(query.granularity),
  };
}

export function statsToWire(answer: StatsAnswer): wire.WireStatsReply {
  return {
    startMs: safeToWire('startMs', answer.startMs),
    endMs: safeToWire('endMs', answer.endMs),
    granularity: granularityToWire(answer.granularity),
    value: valueToWire(answer.value),
    series: answer.series.map((point) => ({
      startMs: safeToWire('startMs', point.startMs),
      value: valueToWire(point.value),
    })),
  };
}

export function statsFromWire(reply: wire.WireStatsReply): StatsAnswer {
  return {
    startMs: safeFromWire('start_ms', reply.startMs),
    endMs: safeFromWire('end_ms', reply.endMs),
    granularity: granularityFromWire(reply.granularity),
    value: valueFromWire(reply.value),
    series: reply.series.map((point) => ({
      startMs: safeFromWire('start_ms', point.startMs),
      value: valueFromWire(point.value),
    })),
  };
}

export function statsOutcomesToWire(
  outcomes: readonly Outcome<StatsAnswer>[],
): wire.WireStatsManyReply['outcomes'] {
  return outcomes.map((outcome) =>
    'ok' in outcome ? { stats: statsToWire(outcome.ok) } : { error: errorToWire(outcome.error) },
  );
}

export function statsOutcomesFromWire(outcomes: wire.WireStatsManyReply['outcomes']): Outcome<StatsAnswer>[] {
  return outcomes.map(({ stats, error }) =>
    stats ? { ok: statsFromWire(stats) } : { error: errorFromWire(error) },
  );
}

export function cellOutcomesToWire(outcomes: readonly Outcome<CellValue>[]): wire.WireGetManyReply {
  return {
    outcomes: outcomes.map((outcome) =>
      'ok' in outcome ? { value: valueToWire(outcome.ok) } : { error: errorToWire(outcome.error) },
    ),
  };
}

export function cellOutcomesFromWire(reply: wire.WireGetManyReply): Outcome<CellValue>[] {
  return reply.outcomes.map(({ value, error }) =>
    error ? { error: errorFromWire(error) } : { ok: valueFromWire(value) },
  );
}

/** The stream that takes it gives it its number and timeout. */
export function queryToWire(
  { cells = [], stats = [] }: { cells?: readonly CellQuery[]; stats?: readonly StatsQuery[] },
  level: ConsistencyLevel,
): wire.WireQueryRequest {
  return {
    id: 0,
    queries: cells.map(cellQueryToWire),
    consistency: levelToWire(level),
    timeoutMs: 0,
    stats: stats.map(statsQueryToWire),
  };
}

/** The stream that takes it gives it its number and timeout. */
export function flushToWire({ ringEpoch, level, batch }: FlushRequest): wire.WireFlushRequest {
  return {
    id: 0,
    ringEpoch: safeToWire('ringEpoch', ringEpoch),
    consistency: levelToWire(level),
    timeoutMs: 0,
    batch,
  };
}

export function flushFromWire(request: wire.WireFlushRequest): FlushRequest {
  return {
    ringEpoch: safeFromWire('ring_epoch', request.ringEpoch),
    level: levelFromWire(request.consistency),
    batch: request.batch,
  };
}

export function flushReplyToWire(id: number, reply: FlushReply): wire.WireFlushReply {
  const failures = reply.failures.map(({ indexes, error }) => ({ indexes, error: errorToWire(error) }));
  return { id, failures };
}

export function flushReplyFromWire(reply: wire.WireFlushReply): FlushReply {
  return {
    failures: reply.failures.map(({ indexes, error }) => ({ indexes, error: errorFromWire(error) })),
  };
}
