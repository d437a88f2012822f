import { TIME_FORMS } from '../counter/time.js';
import { checkEventType, checkKey } from '../counter/validate.js';
import type { CellQuery, StatsQuery } from '../proto/calls.js';
import { asTallyringError, type TallyringError } from '../proto/errors.js';
import { checkFill } from './answers.js';
import { usage } from './exit.js';
import { parseGranularity, parseTime } from './format.js';
import type { Line } from './lines.js';

/** What an error line tells of the request that it answers; key and eventType where they could be read. */
export interface Origin {
  /** From 1. */
  line: number;
  key?: string;
  eventType?: string;
}

/** One request of `get -` or `stats -`, or why the line is none. */
export type Parsed<Q> = { origin: Origin } & ({ query: Q } | { error: TallyringError });

export interface NumberedLine {
  line: Line;
  /** From 1. */
  number: number;
}

/** A line's JSON object. Throws INVALID_ARGUMENT. */
function objectOf(line: Line, allowed: readonly string[]): Record<string, unknown> {
  if (typeof line !== 'string') throw usage(line.unreadable);
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    throw usage(`not JSON: ${(error as Error).message}`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw usage(`a line must be one JSON object with the fields ${allowed.join(', ')}`);
  }
  return value as Record<string, unknown>;
}

/** The request that `parse` makes of a line with no fields but those named. */
function attempt<Q>(
  { line, number }: NumberedLine,
  allowed: readonly string[],
  parse: (fields: Record<string, unknown>) => Q,
): Parsed<Q> {
  const origin: Origin = { line: number };
  try {
    const fields = objectOf(line, allowed);
    const { key, eventType } = fields;
    if (typeof key === 'string') origin.key = key;
    if (typeof eventType === 'string') origin.eventType = eventType;
    const unknown = Object.keys(fields).find((name) => !allowed.includes(name));
    if (unknown !== undefined)
      throw usage(`unknown field ${JSON.stringify(unknown)}; allowed: ${allowed.join(', ')}`);
    return { origin, query: parse(fields) };
  } catch (error) {
    return { origin, error: asTallyringError(error) };
  }
}

const GET_FIELDS = ['key', 'eventType', 'granularity', 'timestamp'];

/** `{key, eventType, granularity, timestamp}`; `defaults` stands in for what a line does not say. */
export function parseGetLine(
  line: NumberedLine,
  defaults: Pick<CellQuery, 'granularity'> & { timestampMs: number },
): Parsed<CellQuery> {
  return attempt(line, GET_FIELDS, (fields) => {
    const key = checkKey(fields.key);
    const eventType = checkEventType(fields.eventType);
    const granularity = given(fields.granularity)
      ? parseGranularity(fields.granularity)
      : defaults.granularity;
    const timestampMs = given(fields.timestamp)
      ? parseTime('timestamp', fields.timestamp)
      : defaults.timestampMs;
    if (granularity === undefined || granularity === 'total') return { key, eventType };
    return { key, eventType, granularity, timestampMs };
  });
}

function given(field: unknown): boolean {
  return field !== undefined && field !== null;
}

/** Stands in for what a line does not say. */
export interface StatsDefaults {
  start?: string | undefined;
  end?: string | undefined;
  granularity?: string | undefined;
  fill: boolean;
}

const STATS_FIELDS = ['key', 'eventType', 'start', 'end', 'granularity'];

/** `{key, eventType, start, end, granularity}`. */
export function parseStatsLine(line: NumberedLine, defaults: StatsDefaults): Parsed<StatsQuery> {
  return attempt(line, STATS_FIELDS, (fields) => {
    const { start = defaults.start, end = defaults.end, granularity = defaults.granularity } = fields;
    if (start === undefined || end === undefined) throw usage(`start and end are needed: ${TIME_FORMS}`);
    const query: StatsQuery = {
      key: checkKey(fields.key),
      eventType: checkEventType(fields.eventType),
      startMs: parseTime('start', start),
      endMs: parseTime('end', end),
      granularity: given(granularity) ? parseGranularity(granularity) : undefined,
    };
    if (query.endMs <= query.startMs) throw usage('end must lie after start');
    if (defaults.fill) checkFill(query.granularity, query.startMs, query.endMs);
    return query;
  });
}
